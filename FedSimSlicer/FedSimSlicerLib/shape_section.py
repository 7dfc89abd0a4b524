"""The section of the Explore panel with the shape's modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from FedSimSlicerLib.heart_editor import WIDE_SIGMA
from FedSimSlicerLib.mode_animation import ModeAnimation
from FedSimSlicerLib.mode_meanings import ModeMeanings
from FedSimSlicerLib.mode_sliders import ModeSliders
from FedSimSlicerLib.widget_values import silenced

if TYPE_CHECKING:
    from FedSimCore.shape.parameters import HeartParameters
    from FedSimCore.worker.protocol import MeasureResult
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

_ROUNDING = 1e-9


class ShapeSection:
    """Sliders of the modes: how many, how far they go, which one swings.

    Attributes:
        modes: the sliders.

    Args:
        session: what is behind the panel.
        ui: widgets of ExplorePanel.ui by name.
    """

    def __init__(self, session: Session, ui: Any) -> None:
        self._session, self._editor, self._ui = session, session.editor, ui
        ui.modeCountBox.maximum = session.surface.mode_count
        self.modes = ModeSliders(
            ui.modeLayout, session.surface.explained.tolist(), self._move, self._reset, self._animate
        )
        self._animation = ModeAnimation(self._editor)
        self._meanings = ModeMeanings(session.worker, session.surface, self.modes.describe)
        session.live.measured.connect(self._name_measurements)
        ui.modeCountBox.connect("valueChanged(int)", self._set_mode_count)
        ui.wideRangeBox.connect("toggled(bool)", self._set_wide_range)

    def stop_animation(self) -> None:
        """Let no mode swing; one that did goes back to where it was."""
        self.modes.stop_animations()
        self._animation.stop()

    def show_heart(self, heart: HeartParameters) -> None:
        """Show the heart's weights."""
        self.modes.show(heart.weights)
        with silenced(self._ui.modeCountBox) as box:
            box.value = len(heart.weights)
        self._meanings.want(len(heart.weights))
        self._show_warning()

    def show_state(self, state: ModuleState | None) -> None:
        """Show the scene's settings."""
        if state is None:
            self.stop_animation()
            return
        with silenced(self._ui.wideRangeBox) as box:
            box.checked = state.wide_range
        self.modes.set_limit(self._limit())
        self._show_warning()

    def _name_measurements(self, result: MeasureResult) -> None:
        self.modes.name_measurements({row.key: row.name for row in result.rows})

    def _limit(self) -> float:
        state = self._session.state
        return WIDE_SIGMA if state is not None and state.wide_range else self._session.surface.header.limit_sigma

    def _show_warning(self) -> None:
        usual = self._session.surface.header.limit_sigma
        beyond = any(abs(weight) > usual + _ROUNDING for weight in self._editor.heart.weights)
        wanted = beyond or self._limit() > usual
        if self._ui.rangeWarningLabel.isHidden() == wanted:
            self._ui.rangeWarningLabel.setVisible(wanted)

    def _set_wide_range(self, wide: bool) -> None:
        if self._session.state is not None:
            self._session.state.wide_range = wide

    def _set_mode_count(self, count: int) -> None:
        self.stop_animation()
        self._editor.set_mode_count(count)

    def _move(self, mode: int, sigma: float) -> None:
        self.stop_animation()
        self._editor.set_weight(mode, sigma)

    def _reset(self, mode: int) -> None:
        self.stop_animation()
        self._editor.as_one_step(lambda: self._editor.set_weight(mode, 0.0))

    def _animate(self, mode: int, on: bool) -> None:
        if on:
            self.modes.stop_animations(but=mode)
            self._animation.start(mode, self._limit())
        else:
            self._animation.stop()
