"""Widgets for a range within a range."""

from __future__ import annotations

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QWidget

from Testing.host.ctk.spin_box import finite
from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored


class _RangeWidget(QWidget):
    """Two spin boxes for the ends. Left out: the slider with two handles between them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        low, high = QDoubleSpinBox(), QDoubleSpinBox()
        private(self, low=low, high=high, bounds=(0.0, 99.0), values=(0.0, 99.0))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(low)
        layout.addWidget(high)
        self._show()
        low.valueChanged.connect(lambda v: self._set_values(v, private(self).values[1]))
        high.valueChanged.connect(lambda v: self._set_values(private(self).values[0], v))

    def _show(self) -> None:
        state = private(self)
        for box, value in zip((state.low, state.high), state.values, strict=True):
            blocked = box.blockSignals(True)
            box.setRange(*map(finite, state.bounds))
            box.setValue(value)
            box.blockSignals(blocked)

    def _set_range(self, minimum: float, maximum: float) -> None:
        private(self).bounds = (float(minimum), max(float(minimum), float(maximum)))
        self.rangeChanged.emit(*private(self).bounds)
        self._set_values(*private(self).values)
        self._show()

    def _set_values(self, low: float, high: float) -> None:
        state = private(self)
        low, high = (min(max(float(v), state.bounds[0]), state.bounds[1]) for v in (low, high))
        before, state.values = state.values, (low, max(low, high))
        self._show()
        if state.values[0] != before[0]:
            self.minimumValueChanged.emit(state.values[0])
        if state.values[1] != before[1]:
            self.maximumValueChanged.emit(state.values[1])
        if state.values != before:
            self.valuesChanged.emit(*state.values)


def _range_properties() -> dict[str, Property]:
    def of_bounds(index: int) -> Property:
        def write(self: _RangeWidget, value: float) -> None:
            low, high = private(self).bounds
            self._set_range(*((value, max(high, value)) if index == 0 else (min(low, value), value)))

        return Property(float, lambda self: private(self).bounds[index], write)

    def of_values(index: int) -> Property:
        def write(self: _RangeWidget, value: float) -> None:
            low, high = private(self).values
            self._set_values(*((value, high) if index == 0 else (low, value)))

        return Property(float, lambda self: private(self).values[index], write)

    return {
        "minimum": of_bounds(0),
        "maximum": of_bounds(1),
        "minimumValue": of_values(0),
        "maximumValue": of_values(1),
    }


_PROPERTIES = _range_properties()


def _set_decimals(widget: QWidget) -> None:
    for box in (private(widget).low, private(widget).high):
        box.setDecimals(widget.decimals)


@cxx_class("Libs/Widgets/ctkRangeWidget.h")
class ctkRangeWidget(_RangeWidget):
    """A range within bounds, as two spin boxes."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    minimum, maximum = _PROPERTIES["minimum"], _PROPERTIES["maximum"]
    minimumValue, maximumValue = _PROPERTIES["minimumValue"], _PROPERTIES["maximumValue"]
    singleStep = stored(float, "singleStep", 1.0)
    decimals = stored(int, "decimals", 2, _set_decimals)
    tracking = stored(bool, "tracking", True)
    symmetricMoves = stored(bool, "symmetricMoves", False)
    prefix = stored(str, "prefix", "")
    suffix = stored(str, "suffix", "")

    def setRange(self, minimum: float, maximum: float) -> None:
        self._set_range(minimum, maximum)

    def setValues(self, minimum: float, maximum: float) -> None:
        self._set_values(minimum, maximum)

    def setMinimumValue(self, value: float) -> None:
        self.minimumValue = value

    def setMaximumValue(self, value: float) -> None:
        self.maximumValue = value

    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    def reset(self) -> None:
        """Go to the bounds."""
        self._set_values(*private(self).bounds)


@cxx_class("Libs/Widgets/ctkDoubleRangeSlider.h")
class ctkDoubleRangeSlider(_RangeWidget):
    """A range within bounds; shown as two spin boxes, not as a slider."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    minimum, maximum = _PROPERTIES["minimum"], _PROPERTIES["maximum"]
    minimumValue, maximumValue = _PROPERTIES["minimumValue"], _PROPERTIES["maximumValue"]
    singleStep = stored(float, "singleStep", 1.0)
    tracking = stored(bool, "tracking", True)
    symmetricMoves = stored(bool, "symmetricMoves", False)
    orientation = stored(int, "orientation", int(Qt.Horizontal))

    def setRange(self, minimum: float, maximum: float) -> None:
        self._set_range(minimum, maximum)

    def setValues(self, minimum: float, maximum: float) -> None:
        self._set_values(minimum, maximum)

    def setMinimumValue(self, value: float) -> None:
        self.minimumValue = value

    def setMaximumValue(self, value: float) -> None:
        self.maximumValue = value
