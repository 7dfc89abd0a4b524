"""Principal components of aligned shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrincipalModes:
    """Mean and modes of N shapes of V vertices.

    Attributes:
        mean: (V, 3) mm.
        modes: (K, V, 3) orthonormal: the dot product over all 3V coordinates is 1 with itself, 0 with another.
        eigenvalues: (K,) mm²: variance (divisor N - 1) of b_k, the dot product of a shape's deviation from
            the mean with mode k over all 3V coordinates. ``sqrt(eigenvalue / V)`` is the root-mean-square
            distance, in mm, that a vertex moves at one sigma.
        total_variance: mm², sum of all N - 1 eigenvalues, also of those not kept.
    """

    mean: Array
    modes: Array
    eigenvalues: Array
    total_variance: float


def principal_modes(shapes: Array, count: int | None = None) -> PrincipalModes:
    """Return the mean of aligned shapes and the orthonormal directions of their greatest variance.

    A mode's sign is arbitrary; here a positive weight moves the vertices away from the centroid on the
    whole (its projection on the mean shape is positive), so that the same data give the same model.

    Args:
        shapes: (N, V, 3) aligned shapes, mm, N at least 2.
        count: modes to keep, at most N - 1; all by default.
    """
    number, vertices = shapes.shape[:2]
    mean = shapes.mean(0)
    deviations = (shapes - mean).reshape(number, -1)
    _, singular, directions = np.linalg.svd(deviations, full_matrices=False)
    kept = min(number - 1, count if count is not None else number - 1)
    modes = directions[:kept]
    sign = np.where(modes @ (mean - mean.mean(0)).ravel() < 0, -1.0, 1.0)
    eigenvalues = singular**2 / (number - 1)
    return PrincipalModes(
        mean=mean,
        modes=(modes * sign[:, None]).reshape(kept, vertices, 3),
        eigenvalues=eigenvalues[:kept],
        total_variance=float(eigenvalues.sum()),
    )
