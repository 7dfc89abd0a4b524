"""A slider for each mode of the shape model, with what the mode means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ctk
import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.widget_values import WheelGuard, show_value, silenced

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import ModeRow

PLAY, STOP = "▶", "■"


class ModeSlider:
    """One mode: number, slider in sigma, explained variance, animation, meaning in words.

    Attributes:
        mode: number from 0.
        widget: the whole row.
        slider, animate, reset, meaning: what it is made of.

    Args:
        mode: number from 0.
        explained: share of the variance, of this mode and of all up to it.
        on_moved: called with mode and sigma when the user moves it.
        on_reset: called with mode when the user wants it to be 0.
        on_animate: called with mode and whether to animate.
    """

    def __init__(
        self,
        mode: int,
        explained: tuple[float, float],
        on_moved: Callable[[int, float], None],
        on_reset: Callable[[int], None],
        on_animate: Callable[[int, bool], None],
    ) -> None:
        self.mode = mode
        self._on_moved = on_moved
        self._limit, self._shown, self._moving = 1.5, 0.0, False
        self.widget = qt.QWidget()
        self.slider = ctk.ctkSliderWidget()
        self.slider.objectName = f"mode{mode + 1}Slider"
        self.slider.decimals, self.slider.singleStep, self.slider.pageStep = 2, 0.05, 0.5
        self.slider.suffix = " σ"
        self.animate = qt.QToolButton()
        self.animate.text, self.animate.checkable = PLAY, True
        self.animate.toolTip = _("Let this mode swing to and fro")
        self.reset = qt.QToolButton()
        self.reset.text = "0"
        self.reset.toolTip = _("Set this mode to 0")
        self.meaning = qt.QLabel(_("being worked out..."))
        self.meaning.wordWrap = True
        self.meaning.enabled = False
        self._lay_out(explained)
        self.slider.connect("valueChanged(double)", self._moved)
        self.reset.connect("clicked()", lambda: on_reset(mode))
        self.animate.connect("toggled(bool)", lambda on: on_animate(mode, on))
        self.animate.connect("toggled(bool)", self._show_animation)

    def show(self, sigma: float) -> None:
        """Show a weight without telling anybody; one beyond the limit widens the slider."""
        if sigma == self._shown and not self._beyond:
            return
        self._shown = sigma
        if self._moving and abs(sigma) <= self.slider.maximum:
            # Its ends stay where they are under the user's hand.
            with silenced(self.slider) as slider:
                slider.value = sigma
        else:
            self._show_within_ends()

    def set_limit(self, sigma: float) -> None:
        """Let the slider go to plus and minus so much, and to where it is if that is beyond."""
        self._limit = sigma
        self._show_within_ends()

    def describe(self, row: ModeRow, sigma: float, names: Mapping[str, str]) -> None:
        """Show what the mode means; measurements are called by these names, where they have one."""
        self.meaning.text = row.description
        self.meaning.enabled = True
        changes = "\n".join(f"{names.get(key, key)}: {percent:+.0f} %" for key, percent in row.changes.items())
        self.meaning.toolTip = _("From -{sigma:g} to +{sigma:g} sigma:\n{changes}").format(sigma=sigma, changes=changes)

    @property
    def _beyond(self) -> bool:
        return float(self.slider.maximum) > self._limit

    def _show_within_ends(self) -> None:
        end = max(self._limit, abs(self._shown))
        show_value(self.slider, self._shown, -end, end)

    def _moved(self, sigma: float) -> None:
        self._shown, self._moving = sigma, True
        try:
            self._on_moved(self.mode, sigma)
        finally:
            self._moving = False

    def _show_animation(self, on: bool) -> None:
        self.animate.text = STOP if on else PLAY

    def _lay_out(self, explained: tuple[float, float]) -> None:
        number = qt.QLabel(f"{self.mode + 1}")
        number.toolTip = _("Mode {number}").format(number=self.mode + 1)
        variance = qt.QLabel(f"{100 * explained[0]:.0f} %" if explained[0] >= 0.01 else f"{100 * explained[0]:.1f} %")
        variance.toolTip = _("Share of the population's variance; {total:.0f} % with the modes before").format(
            total=100 * explained[1]
        )
        variance.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        for label, widest in ((number, "40"), (variance, "0.9 %")):
            label.minimumWidth = label.fontMetrics().boundingRect(widest).width() + 4
        grid = qt.QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 4, 4)
        grid.setVerticalSpacing(0)
        for column, each in enumerate((number, self.slider, variance, self.animate, self.reset)):
            grid.addWidget(each, 0, column)
        grid.addWidget(self.meaning, 1, 1, 1, 4)
        grid.setColumnStretch(1, 1)


class ModeSliders:
    """The sliders of all modes that are used.

    Attributes:
        sliders: those that were made so far; what is beyond the number of weights is hidden.

    Args:
        layout: of the container they are put into.
        explained: share of the variance of each mode of the model.
        on_moved, on_reset, on_animate: see :class:`ModeSlider`.
    """

    def __init__(
        self,
        layout: Any,
        explained: Sequence[float],
        on_moved: Callable[[int, float], None],
        on_reset: Callable[[int], None],
        on_animate: Callable[[int, bool], None],
    ) -> None:
        self._layout, self._explained = layout, explained
        self._callbacks = on_moved, on_reset, on_animate
        self._guard = WheelGuard()
        self._limit = 1.5
        self._rows: Sequence[ModeRow] = ()
        self._names: Mapping[str, str] = {}
        self._sigma = 1.5
        self._used = 0
        self.sliders: list[ModeSlider] = []
        layout.addStretch(1)

    def show(self, weights: Sequence[float]) -> None:
        """Show the weights; sliders come and go as there are more or fewer."""
        while len(self.sliders) < len(weights):
            self._add()
        if len(weights) != self._used:
            self._used = len(weights)
            for slider in self.sliders:
                slider.widget.setVisible(slider.mode < self._used)
        for slider, weight in zip(self.sliders, weights, strict=False):
            slider.show(weight)

    def set_limit(self, sigma: float) -> None:
        """Let all sliders go to plus and minus so much."""
        if sigma != self._limit:
            self._limit = sigma
            for slider in self.sliders:
                slider.set_limit(sigma)

    def describe(self, rows: Sequence[ModeRow], sigma: float) -> None:
        """Show what the modes mean, from minus to plus so many sigma."""
        self._rows, self._sigma = rows, sigma
        self._describe_all()

    def name_measurements(self, names: Mapping[str, str]) -> None:
        """Call the measurements in the tooltips by names, given by key."""
        if names != self._names:
            self._names = names
            self._describe_all()

    def stop_animations(self, but: int | None = None) -> None:
        """Let no mode swing, but for one."""
        for slider in self.sliders:
            if slider.mode != but and slider.animate.checked:
                slider.animate.checked = False

    def _describe_all(self) -> None:
        for slider, row in zip(self.sliders, self._rows, strict=False):
            slider.describe(row, self._sigma, self._names)

    def _add(self) -> None:
        mode = len(self.sliders)
        explained = self._explained[mode], sum(self._explained[: mode + 1])
        slider = ModeSlider(mode, explained, *self._callbacks)
        slider.set_limit(self._limit)
        if mode < len(self._rows):
            slider.describe(self._rows[mode], self._sigma, self._names)
        self._guard.protect(slider.slider)
        self._layout.insertWidget(mode, slider.widget)
        self.sliders.append(slider)
        self._used = mode + 1
