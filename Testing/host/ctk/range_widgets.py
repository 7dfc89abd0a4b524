"""Widgets for a range within a range."""

from __future__ import annotations

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QWidget

from Testing.host.ctk.spin_box import finite
from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored


def _bound(index: int) -> Property:
    """The end of what may be chosen: 0 for the lower, 1 for the upper; it moves the other one along."""

    def write(widget: _RangeWidget, value: float) -> None:
        low, high = private(widget).bounds
        widget.setRange(*((value, max(high, value)) if index == 0 else (min(low, value), value)))

    return Property(float, lambda widget: private(widget).bounds[index], write)


def _chosen(index: int) -> Property:
    """The end of what is chosen: 0 for the lower, 1 for the upper."""

    def write(widget: _RangeWidget, value: float) -> None:
        low, high = private(widget).values
        widget.setValues(*((value, high) if index == 0 else (low, value)))

    return Property(float, lambda widget: private(widget).values[index], write)


class _RangeWidget(QWidget):
    """Two spin boxes for the ends. Left out: the slider with two handles between them."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    minimum, maximum = _bound(0), _bound(1)
    minimumValue, maximumValue = _chosen(0), _chosen(1)
    singleStep = stored(float, "singleStep", 1.0)
    tracking = stored(bool, "tracking", True)
    symmetricMoves = stored(bool, "symmetricMoves", False)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        low, high = QDoubleSpinBox(), QDoubleSpinBox()
        private(self, low=low, high=high, bounds=(0.0, 99.0), values=(0.0, 99.0))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(low)
        layout.addWidget(high)
        self._show()
        low.valueChanged.connect(lambda v: self.setValues(v, private(self).values[1]))
        high.valueChanged.connect(lambda v: self.setValues(private(self).values[0], v))

    def _show(self) -> None:
        state = private(self)
        for box, value in zip((state.low, state.high), state.values, strict=True):
            blocked = box.blockSignals(True)
            box.setRange(*map(finite, state.bounds))
            box.setValue(value)
            box.blockSignals(blocked)

    def setRange(self, minimum: float, maximum: float) -> None:
        private(self).bounds = (float(minimum), max(float(minimum), float(maximum)))
        self.rangeChanged.emit(*private(self).bounds)
        self.setValues(*private(self).values)
        self._show()

    def setValues(self, minimum: float, maximum: float) -> None:
        state = private(self)
        low, high = (min(max(float(v), state.bounds[0]), state.bounds[1]) for v in (minimum, maximum))
        before, state.values = state.values, (low, max(low, high))
        self._show()
        if state.values[0] != before[0]:
            self.minimumValueChanged.emit(state.values[0])
        if state.values[1] != before[1]:
            self.maximumValueChanged.emit(state.values[1])
        if state.values != before:
            self.valuesChanged.emit(*state.values)

    def setMinimumValue(self, value: float) -> None:
        self.minimumValue = value

    def setMaximumValue(self, value: float) -> None:
        self.maximumValue = value


def _set_decimals(widget: QWidget) -> None:
    for box in (private(widget).low, private(widget).high):
        box.setDecimals(widget.decimals)


@cxx_class("Libs/Widgets/ctkRangeWidget.h")
class ctkRangeWidget(_RangeWidget):
    """A range within bounds, as two spin boxes."""

    decimals = stored(int, "decimals", 2, _set_decimals)
    prefix = stored(str, "prefix", "")
    suffix = stored(str, "suffix", "")

    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    def reset(self) -> None:
        """Go to the bounds."""
        self.setValues(*private(self).bounds)


@cxx_class("Libs/Widgets/ctkDoubleRangeSlider.h")
class ctkDoubleRangeSlider(_RangeWidget):
    """A range within bounds; shown as two spin boxes, not as a slider."""

    orientation = stored(int, "orientation", int(Qt.Horizontal))
