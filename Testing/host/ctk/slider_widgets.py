"""Sliders over floating point numbers."""

from __future__ import annotations

import math

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from Testing.host.ctk.spin_box import finite
from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import forwarded, stored

MOST_STEPS = 2**30


class StepScale:
    """Between a floating point range and the whole steps of a QSlider."""

    def __init__(self, slider: QSlider) -> None:
        self.slider, self.minimum, self.maximum, self.step = slider, 0.0, 99.0, 1.0

    def value_at(self, position: int) -> float:
        """The value at a position of the slider's handle."""
        return min(self.minimum + position * self.step, self.maximum)

    def show(self, value: float) -> None:
        """Set the slider's range and handle without a signal."""
        steps = (self.maximum - self.minimum) / self.step if self.step else 0.0
        blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, int(min(math.ceil(steps - 1e-9), MOST_STEPS)) if math.isfinite(steps) else 0)
        position = (value - self.minimum) / self.step if self.step else 0.0
        self.slider.setValue(round(position) if math.isfinite(position) and abs(position) < MOST_STEPS else 0)
        self.slider.blockSignals(blocked)


@cxx_class("Libs/Widgets/ctkDoubleSlider.h")
class ctkDoubleSlider(QWidget):
    """A slider over floating point numbers. Left out: tick marks' text, tool tip at the handle."""

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        slider = QSlider(Qt.Horizontal)
        private(self, slider=slider, scale=StepScale(slider), value=0.0)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(slider)
        slider.valueChanged.connect(self._on_moved)
        slider.sliderPressed.connect(lambda: self.sliderPressed.emit())
        slider.sliderReleased.connect(lambda: self.sliderReleased.emit())
        slider.sliderMoved.connect(lambda p: self.sliderMoved.emit(private(self).scale.value_at(p)))

    def _on_moved(self, position: int) -> None:
        self._set_value(private(self).scale.value_at(position))

    def _set_value(self, value: float) -> None:
        state = private(self)
        value = min(max(float(value), state.scale.minimum), state.scale.maximum)
        state.scale.show(value)
        if value != state.value:
            state.value = value
            self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._set_value(value)

    def setOrientation(self, orientation: Qt.Orientation) -> None:
        private(self).slider.setOrientation(Qt.Orientation(orientation))

    def _set_range(self, minimum: float, maximum: float) -> None:
        scale = private(self).scale
        scale.minimum, scale.maximum = float(minimum), max(float(maximum), float(minimum))
        self.rangeChanged.emit(scale.minimum, scale.maximum)
        self._set_value(self.value)

    def _set_step(self, step: float) -> None:
        private(self).scale.step = float(step)
        private(self).scale.show(self.value)

    value = Property(float, lambda self: private(self).value, _set_value)
    sliderPosition = Property(float, lambda self: private(self).value, _set_value)
    minimum = Property(
        float,
        lambda self: private(self).scale.minimum,
        lambda self, v: self._set_range(v, max(v, private(self).scale.maximum)),
    )
    maximum = Property(
        float,
        lambda self: private(self).scale.maximum,
        lambda self, v: self._set_range(min(v, private(self).scale.minimum), v),
    )
    singleStep = Property(float, lambda self: private(self).scale.step, _set_step)
    pageStep = stored(float, "pageStep", 10.0)
    tickInterval = stored(float, "tickInterval", 0.0)
    tickPosition = forwarded(int, "slider", "tickPosition")
    tracking = forwarded(bool, "slider", "tracking")
    orientation = forwarded(int, "slider", "orientation")
    invertedAppearance = forwarded(bool, "slider", "invertedAppearance")
    invertedControls = forwarded(bool, "slider", "invertedControls")
    handleToolTip = stored(str, "handleToolTip", "")


@cxx_class("Libs/Widgets/ctkSliderWidget.h")
class ctkSliderWidget(QWidget):
    """A slider with a spin box.

    Left out: synchronised siblings, the pop-up slider, value proxies; the spin box is Qt's own.
    """

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    NoSynchronize, SynchronizeWidth, SynchronizeDecimals = 0, 1, 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        slider, box = QSlider(Qt.Horizontal), QDoubleSpinBox()
        private(self, slider=slider, box=box, scale=StepScale(slider), value=0.0, pending=None, tracking=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(slider, 1)
        layout.addWidget(box)
        self._show()
        slider.valueChanged.connect(self._on_slider)
        slider.sliderReleased.connect(self._on_released)
        box.valueChanged.connect(self._on_box)

    def _show(self) -> None:
        state = private(self)
        blocked = state.box.blockSignals(True)
        state.box.setRange(finite(state.scale.minimum), finite(state.scale.maximum))
        # Qt writes the text anew even if nothing changes, which would garble what is being typed.
        if state.box.singleStep != state.scale.step:
            state.box.setSingleStep(state.scale.step)
        shown = state.value if state.pending is None else state.pending
        if state.box.value != shown:
            state.box.setValue(shown)
        state.box.blockSignals(blocked)
        state.scale.show(state.value if state.pending is None else state.pending)

    def _on_slider(self, position: int) -> None:
        state = private(self)
        value = round(state.scale.value_at(position), state.box.decimals)
        if state.slider.isSliderDown():
            self.valueIsChanging.emit(value)
            if not state.tracking:
                state.pending = value
                self._show()
                return
        self.setValue(value)

    def _on_released(self) -> None:
        pending, private(self).pending = private(self).pending, None
        if pending is not None:
            self.setValue(pending)

    def _on_box(self, value: float) -> None:
        self.setValue(value)

    def setValue(self, value: float) -> None:
        state = private(self)
        value = round(min(max(float(value), state.scale.minimum), state.scale.maximum), state.box.decimals)
        changed, state.value = value != state.value, value
        self._show()
        if changed:
            self.valueChanged.emit(value)

    def reset(self) -> None:
        """Go to 0, or to the minimum, as ctkSliderWidget does."""
        self.setValue(0.0)

    def setDecimals(self, decimals: int) -> None:
        if decimals != self.decimals:
            private(self).box.setDecimals(int(decimals))
            self.decimalsChanged.emit(int(decimals))

    def setSpinBoxVisible(self, visible: bool) -> None:
        private(self).box.setVisible(visible)

    def _set_minimum(self, minimum: float) -> None:
        scale = private(self).scale
        scale.minimum, scale.maximum = float(minimum), max(float(minimum), scale.maximum)
        self.setValue(self.value)

    def _set_maximum(self, maximum: float) -> None:
        scale = private(self).scale
        scale.maximum, scale.minimum = float(maximum), min(float(maximum), scale.minimum)
        self.setValue(self.value)

    def _set_step(self, step: float) -> None:
        private(self).scale.step = float(step)
        self._show()

    value = Property(float, lambda self: private(self).value, lambda self, v: self.setValue(v), user=True)
    minimum = Property(float, lambda self: private(self).scale.minimum, _set_minimum)
    maximum = Property(float, lambda self: private(self).scale.maximum, _set_maximum)
    singleStep = Property(float, lambda self: private(self).scale.step, _set_step)
    pageStep = stored(float, "pageStep", 10.0)
    decimals = Property(int, lambda self: private(self).box.decimals, lambda self, n: self.setDecimals(n))
    prefix = forwarded(str, "box", "prefix")
    suffix = forwarded(str, "box", "suffix")
    tickInterval = stored(float, "tickInterval", 0.0)
    tickPosition = forwarded(int, "slider", "tickPosition")
    spinBoxAlignment = stored(int, "spinBoxAlignment", int(Qt.AlignRight))
    tracking = stored(bool, "tracking", True)
    spinBoxVisible = Property(
        bool, lambda self: not private(self).box.isHidden(), lambda self, v: self.setSpinBoxVisible(v)
    )
    popupSlider = stored(bool, "popupSlider", False)
    synchronizeSiblings = stored(int, "synchronizeSiblings", NoSynchronize)
    invertedAppearance = forwarded(bool, "slider", "invertedAppearance")
    invertedControls = forwarded(bool, "slider", "invertedControls")
