"""Numbers with units. Left out: units of the selection node; `quantity` is kept and has no effect."""

from __future__ import annotations

from typing import Any

from Testing.host.ctk.range_widgets import ctkRangeWidget
from Testing.host.ctk.slider_widgets import ctkSliderWidget
from Testing.host.ctk.spin_box import ctkDoubleSpinBox
from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored


class _Unit:
    Prefix, Suffix, Precision, MinimumValue, MaximumValue, Scaling = 1, 2, 4, 8, 16, 32

    def setMRMLScene(self, scene: Any) -> None:
        private(self).scene = scene

    def setQuantity(self, quantity: str) -> None:
        self.quantity = quantity


@cxx_class("Libs/MRML/Widgets/qMRMLSliderWidget.h")
class qMRMLSliderWidget(_Unit, ctkSliderWidget):
    """A slider with a spin box."""

    def mrmlScene(self) -> Any:
        return getattr(private(self), "scene", None)

    quantity = stored(str, "quantity", "")
    unitAwareProperties = stored(int, "unitAwareProperties", 0)


@cxx_class("Libs/MRML/Widgets/qMRMLSpinBox.h")
class qMRMLSpinBox(_Unit, ctkDoubleSpinBox):
    """A spin box."""

    def mrmlScene(self) -> Any:
        return getattr(private(self), "scene", None)

    quantity = stored(str, "quantity", "")
    unitAwareProperties = stored(int, "unitAwareProperties", 0)


@cxx_class("Libs/MRML/Widgets/qMRMLRangeWidget.h")
class qMRMLRangeWidget(ctkRangeWidget):
    """A range within bounds."""

    def setMRMLScene(self, scene: Any) -> None:
        private(self).scene = scene

    def setQuantity(self, quantity: str) -> None:
        self.quantity = quantity

    quantity = stored(str, "quantity", "")
