"""The numbers that move a heart: mode weights and pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Vector3 = tuple[float, float, float]


class Pose(BaseModel):
    """A similarity transform about the model's origin: ``x -> scale * R(rotation) x + translation``.

    Attributes:
        rotation_rad: rotation vector (axis times angle, radians, RAS axes).
        translation_mm: RAS millimetres, applied last.
        scale: unitless, positive; 1 is the mean size of the model's hearts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    rotation_rad: Vector3 = (0.0, 0.0, 0.0)
    translation_mm: Vector3 = (0.0, 0.0, 0.0)
    scale: float = Field(default=1.0, gt=0.0)


class HeartParameters(BaseModel):
    """The 14 + 7 parameters of the paper (section 2.1): SSM weights and a rigid pose with scale.

    Attributes:
        weights: mode weights in units of sigma, i.e. b_k / sqrt(eigenvalue_k).
        pose: the pose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    weights: tuple[float, ...]
    pose: Pose = Pose()

    def vector(self) -> NDArray[np.float64]:
        """Return (modes + 7,): weights in sigma, rotation (rad), translation (mm), scale."""
        pose = self.pose
        return np.array([*self.weights, *pose.rotation_rad, *pose.translation_mm, pose.scale])

    @classmethod
    def from_vector(cls, vector: NDArray[np.float64]) -> HeartParameters:
        """Rebuild the parameters from what :meth:`vector` gave."""
        values = [float(v) for v in vector]
        pose = Pose(
            rotation_rad=(values[-7], values[-6], values[-5]),
            translation_mm=(values[-4], values[-3], values[-2]),
            scale=values[-1],
        )
        return cls(weights=tuple(values[:-7]), pose=pose)
