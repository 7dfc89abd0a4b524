"""The section of the Explore panel with the heart's pose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from FedSimCore.shape.parameters import HeartParameters, Pose
from FedSimSlicerLib.view_centers import slices_cross_at
from FedSimSlicerLib.widget_values import WheelGuard, show_value

if TYPE_CHECKING:
    from FedSimSlicerLib.session import Session


class PoseSection:
    """Sliders of position, tilt and size.

    Args:
        session: what is behind the panel.
        ui: widgets of ExplorePanel.ui by name.
    """

    def __init__(self, session: Session, ui: Any) -> None:
        self._session, self._editor = session, session.editor
        self._sliders = (
            ui.rotationRightSlider,
            ui.rotationAnteriorSlider,
            ui.rotationSuperiorSlider,
            ui.rightSlider,
            ui.anteriorSlider,
            ui.superiorSlider,
            ui.scaleSlider,
        )
        self._ends = [(float(slider.minimum), float(slider.maximum)) for slider in self._sliders]
        self._shown = [math.nan] * len(self._sliders)
        self._guard = WheelGuard()
        for number, slider in enumerate(self._sliders):
            self._guard.protect(slider)
            slider.connect("valueChanged(double)", lambda value, number=number: self._on_moved(number, value))
        ui.resetPoseButton.connect("clicked()", lambda: self._set_as_one_step(Pose()))
        ui.centerButton.connect("clicked()", self._move_to_slices)

    def show_heart(self, heart: HeartParameters) -> None:
        """Show the heart's pose."""
        for number, (slider, value) in enumerate(zip(self._sliders, _numbers(heart.pose), strict=True)):
            if value != self._shown[number]:
                low, high = self._ends[number]
                # A patient may lie far away; the ends stay there, or they would move under the user's hand.
                self._shown[number], self._ends[number] = value, (min(low, value), max(high, value))
                show_value(slider, value, *self._ends[number])

    def _on_moved(self, number: int, value: float) -> None:
        """Change one number; the others keep the digits that their sliders do not show."""
        values = _numbers(self._editor.heart.pose)
        values[number] = float(value)
        self._editor.set_pose(_pose(values))

    def _move_to_slices(self) -> None:
        """Move the middle of the heart to where the slice views cross."""
        heart = self._editor.heart
        shift = slices_cross_at() - self._session.surface.middle(heart)
        moved = tuple((np.asarray(heart.pose.translation_mm) + shift).tolist())
        self._set_as_one_step(heart.pose.model_copy(update={"translation_mm": moved}))

    def _set_as_one_step(self, pose: Pose) -> None:
        self._editor.as_one_step(lambda: self._editor.set_pose(pose))


def _numbers(pose: Pose) -> list[float]:
    """Return rotation about R, A, S in degrees, translation along R, A, S in mm, and scale."""
    return [*map(math.degrees, pose.rotation_rad), *pose.translation_mm, pose.scale]


def _pose(numbers: list[float]) -> Pose:
    right, anterior, superior = (math.radians(angle) for angle in numbers[:3])
    return Pose(
        rotation_rad=(right, anterior, superior),
        translation_mm=(numbers[3], numbers[4], numbers[5]),
        scale=numbers[6],
    )
