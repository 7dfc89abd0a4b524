"""How poses spread over a cohort; no torch, so that model files are read without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from FedSimCore.shape.parameters import Vector3

if TYPE_CHECKING:
    from FedSimCore.shape.procrustes import Similarity


class PoseStatistics(BaseModel):
    """Spread of the poses of a cohort's hearts about the model's frame.

    Translations are those of the model's origin relative to the case's centre (the middle of the bounding
    box of the heart's labels), so that they mean the same in every scanner's coordinates.

    Attributes:
        rotation_mean_rad, rotation_sd_rad: of the rotation vector, RAS axes.
        translation_mean_mm, translation_sd_mm: RAS.
        log_scale_mean, log_scale_sd: of the natural logarithm of the scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    rotation_mean_rad: Vector3
    rotation_sd_rad: Vector3
    translation_mean_mm: Vector3
    translation_sd_mm: Vector3
    log_scale_mean: float
    log_scale_sd: float

    def mean(self) -> NDArray[np.float64]:
        """Return (7,): means of rotation (rad), translation (mm) and log scale."""
        return np.array([*self.rotation_mean_rad, *self.translation_mean_mm, self.log_scale_mean])

    def sd(self) -> NDArray[np.float64]:
        """Return (7,): standard deviations of rotation (rad), translation (mm) and log scale."""
        return np.array([*self.rotation_sd_rad, *self.translation_sd_mm, self.log_scale_sd])


def pose_statistics(poses: Sequence[Similarity], centres_mm: Sequence[NDArray[np.float64]]) -> PoseStatistics:
    """Summarise poses relative to their cases' centres (divisor N - 1).

    Args:
        poses: N maps from the model's frame to each case's world.
        centres_mm: N case centres (3,), RAS.
    """
    from scipy.spatial.transform import Rotation

    rows = np.array(
        [
            [*Rotation.from_matrix(pose.rotation).as_rotvec(), *(pose.translation - centre), np.log(pose.scale)]
            for pose, centre in zip(poses, centres_mm, strict=True)
        ]
    )
    mean, sd = rows.mean(0), rows.std(0, ddof=1)
    return PoseStatistics(
        rotation_mean_rad=_vector3(mean[:3]),
        rotation_sd_rad=_vector3(sd[:3]),
        translation_mean_mm=_vector3(mean[3:6]),
        translation_sd_mm=_vector3(sd[3:6]),
        log_scale_mean=float(mean[6]),
        log_scale_sd=float(sd[6]),
    )


def _vector3(values: NDArray[np.float64]) -> Vector3:
    return float(values[0]), float(values[1]), float(values[2])
