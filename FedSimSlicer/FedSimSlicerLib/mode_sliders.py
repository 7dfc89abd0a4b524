"""A slider for each mode of the shape model, with what the mode means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ctk
import qt
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import ModeRow

MEANING_STYLE = "QLabel { color: palette(dark); font-size: 9pt; }"


class ModeSlider:
    """One mode: number, slider in sigma, explained variance, animation, meaning in words.

    Args:
        mode: number from 0.
        explained: share of the variance.
        on_moved: called with mode and sigma when the user moves it.
        on_animate: called with mode and whether to animate.
    """

    def __init__(
        self,
        mode: int,
        explained: float,
        on_moved: Callable[[int, float], None],
        on_animate: Callable[[int, bool], None],
    ) -> None:
        self.mode = mode
        self.widget = qt.QWidget()
        self._on_moved = on_moved
        grid = qt.QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 4, 2)
        grid.setVerticalSpacing(0)
        self.number = qt.QLabel(f"{mode + 1}")
        self.number.minimumWidth = 18
        self.slider = ctk.ctkSliderWidget()
        self.slider.decimals = 2
        self.slider.singleStep = 0.05
        self.slider.pageStep = 0.5
        self.slider.suffix = " σ"
        self.slider.objectName = f"mode{mode + 1}Slider"
        self.variance = qt.QLabel(f"{100 * explained:.0f} %")
        self.variance.toolTip = _("Share of the population's variance that this mode explains")
        self.animate = qt.QToolButton()
        self.animate.text = "▶"
        self.animate.checkable = True
        self.animate.toolTip = _("Let this mode swing to and fro")
        self.reset = qt.QToolButton()
        self.reset.text = "0"
        self.reset.toolTip = _("Set this mode to 0")
        self.meaning = qt.QLabel("")
        self.meaning.wordWrap = True
        self.meaning.styleSheet = MEANING_STYLE
        for column, each in enumerate((self.number, self.slider, self.variance, self.animate, self.reset)):
            grid.addWidget(each, 0, column)
        grid.addWidget(self.meaning, 1, 1, 1, 4)
        grid.setColumnStretch(1, 1)
        self.slider.connect("valueChanged(double)", self._moved)
        self.reset.connect("clicked()", lambda: on_moved(mode, 0.0))
        self.animate.connect("toggled(bool)", lambda on: on_animate(mode, on))

    def _moved(self, sigma: float) -> None:
        self._on_moved(self.mode, sigma)

    def show(self, sigma: float) -> None:
        """Show a weight without telling anybody; one beyond the slider's range widens it."""
        blocked = self.slider.blockSignals(True)
        if abs(sigma) > self.slider.maximum:
            self.set_limit(abs(sigma))
        self.slider.value = sigma
        self.slider.blockSignals(blocked)

    def set_limit(self, sigma: float) -> None:
        """Let the slider go to plus and minus so much; values beyond come inside and are told."""
        self.slider.minimum = -sigma
        self.slider.maximum = sigma

    def describe(self, row: ModeRow) -> None:
        """Show what the mode means."""
        self.meaning.text = row.description
        changes = "\n".join(f"{name}: {percent:+.0f} %" for name, percent in row.changes.items())
        self.widget.toolTip = _("From -{sigma:g} to +{sigma:g} sigma:\n{changes}").format(sigma=1.5, changes=changes)


class ModeSliders:
    """The sliders of all modes that are used.

    Args:
        layout: of the container they are put into.
        explained: share of the variance of each mode of the model.
        on_moved, on_animate: see :class:`ModeSlider`.
    """

    def __init__(
        self,
        layout: Any,
        explained: Sequence[float],
        on_moved: Callable[[int, float], None],
        on_animate: Callable[[int, bool], None],
    ) -> None:
        self._layout, self._explained = layout, explained
        self._on_moved, self._on_animate = on_moved, on_animate
        self._limit = 1.5
        self._rows: Sequence[ModeRow] = ()
        self.sliders: list[ModeSlider] = []
        layout.addStretch(1)

    def show(self, weights: Sequence[float]) -> None:
        """Show the weights; sliders come and go as there are more or fewer."""
        while len(self.sliders) < len(weights):
            self._add()
        for slider in self.sliders:
            used = slider.mode < len(weights)
            if slider.widget.visible != used:
                slider.widget.setVisible(used)
            if used:
                slider.show(weights[slider.mode])

    def set_limit(self, sigma: float) -> None:
        """Let all sliders go to plus and minus so much."""
        self._limit = sigma
        for slider in self.sliders:
            slider.set_limit(sigma)

    def describe(self, rows: Sequence[ModeRow]) -> None:
        """Show what the modes mean."""
        self._rows = rows
        for slider, row in zip(self.sliders, rows, strict=False):
            slider.describe(row)

    def stop_animations(self, but: int | None = None) -> None:
        """Let no mode swing, but for one."""
        for slider in self.sliders:
            if slider.mode != but:
                slider.animate.checked = False

    def _add(self) -> None:
        mode = len(self.sliders)
        slider = ModeSlider(mode, self._explained[mode], self._on_moved, self._on_animate)
        slider.set_limit(self._limit)
        if mode < len(self._rows):
            slider.describe(self._rows[mode])
        self._layout.insertWidget(mode, slider.widget)
        self.sliders.append(slider)
