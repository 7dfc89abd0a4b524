"""`ctkDoubleSpinBox`."""

from __future__ import annotations

import math

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import forwarded, stored

UNBOUNDED = 1e300


def finite(value: float) -> float:
    """A bound that QDoubleSpinBox can hold: its text grows with the number of digits."""
    return min(max(float(value), -UNBOUNDED), UNBOUNDED)


def _unbounded(value: float) -> float:
    """What `finite` was given: an infinite value for the widest one."""
    return math.copysign(math.inf, value) if abs(value) >= UNBOUNDED else value


@cxx_class("Libs/Widgets/ctkDoubleSpinBox.h")
class ctkDoubleSpinBox(QWidget):
    """A spin box for floating point numbers. Left out: decimals by keyboard or by value, value proxies."""

    valueChanged = Signal(float)
    decimalsChanged = Signal(int)
    editingFinished = Signal()

    SetAlways, SetIfDifferent = 0, 1
    SizeHintByMinMax, SizeHintByValue = 0, 1
    FixedDecimals, DecimalsByValue, DecimalsByKey, DecimalsByShortcuts, InsertDecimals = 0, 2, 4, 8, 16
    ReplaceDecimals, DecimalsAsMax, DecimalsAsMin, DecimalPointAlwaysVisible = 32, 64, 128, 256

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        box = QDoubleSpinBox()
        private(self, box=box, bounds=(0.0, 99.99))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(box)
        self.setFocusProxy(box)
        box.valueChanged.connect(self._on_value_changed)
        box.editingFinished.connect(self._on_editing_finished)

    def _on_value_changed(self, value: float) -> None:
        self.valueChanged.emit(_unbounded(value))

    def _on_editing_finished(self) -> None:
        self.editingFinished.emit()

    def _set_bounds(self, minimum: float, maximum: float) -> None:
        """Keep the bounds, which may be infinite, and give the inner box what it can hold."""
        private(self).bounds = (float(minimum), float(maximum))
        private(self).box.setRange(finite(minimum), finite(maximum))

    def setValue(self, value: float) -> None:
        private(self).box.setValue(finite(value))

    def setValueIfDifferent(self, value: float) -> None:
        if value != self.value:
            self.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        if decimals != self.decimals:
            private(self).box.setDecimals(int(decimals))
            self.decimalsChanged.emit(int(decimals))

    def setReadOnly(self, read_only: bool) -> None:
        private(self).box.setReadOnly(read_only)

    def stepUp(self) -> None:
        private(self).box.stepUp()

    def stepDown(self) -> None:
        private(self).box.stepDown()

    value = Property(float, lambda self: _unbounded(private(self).box.value), lambda self, v: self.setValue(v))
    decimals = Property(int, lambda self: private(self).box.decimals, lambda self, n: self.setDecimals(n))
    minimum = Property(
        float,
        lambda self: private(self).bounds[0],
        lambda self, v: self._set_bounds(v, max(v, private(self).bounds[1])),
    )
    maximum = Property(
        float,
        lambda self: private(self).bounds[1],
        lambda self, v: self._set_bounds(min(v, private(self).bounds[0]), v),
    )
    singleStep = forwarded(float, "box", "singleStep")
    prefix = forwarded(str, "box", "prefix")
    suffix = forwarded(str, "box", "suffix")
    readOnly = forwarded(bool, "box", "readOnly")
    frame = forwarded(bool, "box", "frame")
    alignment = forwarded(int, "box", "alignment")
    cleanText = Property(str, lambda self: private(self).box.cleanText)
    decimalsOption = stored(int, "decimalsOption", DecimalsByShortcuts | InsertDecimals)
    setMode = stored(int, "setMode", SetIfDifferent)
    sizeHintPolicy = stored(int, "sizeHintPolicy", SizeHintByMinMax)
    invertedControls = stored(bool, "invertedControls", False)
