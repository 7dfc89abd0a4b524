"""The heart that is being edited: the one place where its parameters change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import qt

from FedSimCore.shape.parameters import HeartParameters, Pose
from FedSimSlicerLib.history import History
from FedSimSlicerLib.signal import Signal

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_surface import HeartSurface
    from FedSimSlicerLib.state import ModuleState

IDLE_MS = 400
"""Moves that follow each other more quickly are one step of undo."""

WIDE_SIGMA = 3.0


class HeartEditor:
    """Parameters of the heart, kept in the scene's state, with undo and redo.

    Attributes:
        changed: emitted after every change with the new parameters.
        history_changed: emitted when what can be undone or redone may be other.

    Args:
        surface: the shape model.
    """

    def __init__(self, surface: HeartSurface) -> None:
        self._surface = surface
        self._heart = surface.mean_heart()
        self._history: History[HeartParameters] = History(self._heart)
        self._state: ModuleState | None = None
        self.changed: Signal[[HeartParameters]] = Signal()
        self.history_changed: Signal[[]] = Signal()
        self._idle = qt.QTimer()
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.connect("timeout()", self.commit)

    @property
    def heart(self) -> HeartParameters:
        """The parameters now."""
        return self._heart

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self._history.can_undo or self._idle.isActive()

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return self._history.can_redo and not self._idle.isActive()

    def bind(self, state: ModuleState | None) -> None:
        """Take the heart of a scene's state, with an empty history; without a state, the mean heart."""
        self._idle.stop()
        self._state = state
        self._heart = self._surface.mean_heart() if state is None else read_heart(state, self._surface)
        self._history = History(self._heart)
        self.changed.emit(self._heart)
        self.history_changed.emit()

    def set(self, heart: HeartParameters) -> None:
        """Change the heart; what follows within :data:`IDLE_MS` becomes one step of undo."""
        if heart == self._heart:
            return
        self._show(heart)
        self._idle.start()
        self.history_changed.emit()

    def as_one_step(self, change: Callable[[], None]) -> None:
        """Make a change that is a step of undo by itself, not part of the moves before or after it."""
        self.commit()
        change()
        self.commit()

    def set_weight(self, mode: int, sigma: float) -> None:
        """Change one mode's weight; ``mode`` counts from 0."""
        weights = list(self._heart.weights)
        weights[mode] = float(sigma)
        self.set(self._heart.model_copy(update={"weights": tuple(weights)}))

    def set_pose(self, pose: Pose) -> None:
        """Change the pose."""
        self.set(self._heart.model_copy(update={"pose": pose}))

    def set_mode_count(self, count: int) -> None:
        """Use more or fewer modes; weights of modes that go are lost, new ones are 0."""
        weights = (self._heart.weights + (0.0,) * count)[:count]
        self.set(self._heart.model_copy(update={"weights": weights}))

    def set_mean(self) -> None:
        """Set all weights to 0, the pose as it is."""
        self.set(self._heart.model_copy(update={"weights": (0.0,) * len(self._heart.weights)}))

    def reset(self) -> None:
        """Go back to the mean heart where the model has it: all weights 0, no pose."""
        self.set(HeartParameters(weights=(0.0,) * len(self._heart.weights)))

    def set_random(self, seed: int, limit_sigma: float) -> None:
        """Draw the weights: standard normal, truncated at the limit; the same seed gives the same heart."""
        from scipy.stats import truncnorm

        rng = np.random.default_rng(seed)
        drawn = truncnorm.rvs(-limit_sigma, limit_sigma, size=len(self._heart.weights), random_state=rng)
        self.set(self._heart.model_copy(update={"weights": tuple(drawn.tolist())}))

    def commit(self) -> None:
        """Make what was changed so far a step of undo."""
        self._idle.stop()
        self._history.record(self._heart)
        self.history_changed.emit()

    def undo(self) -> None:
        """Go one step back, if there is one."""
        self.commit()
        if self._history.can_undo:
            self._show(self._history.undo())
            self.history_changed.emit()

    def redo(self) -> None:
        """Go one step forth, if there is one."""
        self.commit()
        if self._history.can_redo:
            self._show(self._history.redo())
            self.history_changed.emit()

    def _show(self, heart: HeartParameters) -> None:
        self._heart = heart
        if self._state is not None:
            write_heart(self._state, heart)
        self.changed.emit(heart)


def read_heart(state: ModuleState, surface: HeartSurface) -> HeartParameters:
    """Return the heart that a scene keeps; the mean one if it keeps none or one of another model."""
    weights = tuple(float(weight) for weight in state.weights)
    if not 0 < len(weights) <= surface.mode_count:
        return surface.mean_heart()
    pose = Pose(rotation_rad=state.rotation_rad, translation_mm=state.translation_mm, scale=state.scale)
    return HeartParameters(weights=weights, pose=pose)


def write_heart(state: Any, heart: HeartParameters) -> None:
    """Keep a heart in the scene; observers of the parameter node are told once."""
    node = state.parameterNode
    was_modifying = node.StartModify()
    try:
        state.weights = list(heart.weights)
        state.rotation_rad = heart.pose.rotation_rad
        state.translation_mm = heart.pose.translation_mm
        state.scale = heart.pose.scale
    finally:
        node.EndModify(was_modifying)
