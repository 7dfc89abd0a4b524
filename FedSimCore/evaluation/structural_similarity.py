"""Multi-scale structural similarity of volumes (Wang, Simoncelli and Bovik 2003), for many pairs.

Between the hearts of one cohort it tells how varied they are (lower is more varied; Odena et al. 2017). What depends on
one volume alone is computed once, and the Gaussian window is applied axis by axis, so that the hundreds of pairs of two
cohorts take a minute. MONAI's ``MultiScaleSSIMMetric`` gives the same numbers (the tests compare them) with a window of
1331 weights and everything anew for every pair.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.errors import InputError

Image = NDArray[np.float32]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, the finest first, as the authors measured on people."""
SIGMA, RADIUS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2


class Scale(NamedTuple):
    """One scale of a volume: its values, and their local mean and variance where the window fits."""

    values: Image
    mean: Image
    variance: Image


def scale_weights(size: int) -> tuple[float, ...]:
    """Return the weights of the scales that a volume of ``size`` voxels along its shortest side has room for.

    At 128 voxels the fifth scale has 8, fewer than the window's 11: four are left, their weights scaled to sum to 1.

    Raises:
        InputError: the window doesn't fit the volume itself.
    """
    fitting = [weight for number, weight in enumerate(WEIGHTS) if size >> number > 2 * RADIUS]
    if not fitting:
        raise InputError(f"Volumes of {size} voxels are too small for structural similarity; give at least 11.")
    return tuple(weight / sum(fitting) for weight in fitting)


def scales_of(image: Image) -> list[Scale]:
    """Prepare a volume (X, Y, Z) with values from 0 to 1.

    Raises:
        InputError: it is too small.
    """
    scales: list[Scale] = []
    values = np.asarray(image, dtype=np.float32)
    for _ in scale_weights(min(values.shape)):
        mean = _window(values)
        scales.append(Scale(values, mean, _window(values * values) - mean * mean))
        values = _halved(values)
    return scales


def similarity(one: list[Scale], other: list[Scale]) -> float:
    """Return the similarity of two prepared volumes, 0 to 1; 1 where they are equal.

    Raises:
        InputError: their shapes differ.
    """
    if one[0].values.shape != other[0].values.shape:
        raise InputError(f"Volumes {one[0].values.shape} and {other[0].values.shape} cannot be compared.")
    weights = scale_weights(min(one[0].values.shape))
    result = 1.0
    for number, (a, b, weight) in enumerate(zip(one, other, weights, strict=True)):
        covariance = _window(a.values * b.values) - a.mean * b.mean
        quality = (2 * covariance + _C2) / (a.variance + b.variance + _C2)
        if number == len(weights) - 1:
            quality = quality * (2 * a.mean * b.mean + _C1) / (a.mean**2 + b.mean**2 + _C1)
        # A negative mean has no real power; such images have nothing in common.
        result *= max(float(quality.mean(dtype=np.float64)), 0.0) ** weight
    return result


def _window(values: Image) -> Image:
    """Return local means (Gaussian of 11 voxels) where the window lies within the volume."""
    smooth = ndimage.gaussian_filter(values, SIGMA, radius=RADIUS)
    inside = slice(RADIUS, -RADIUS)
    return smooth[inside, inside, inside]


def _halved(values: Image) -> Image:
    x, y, z = (side // 2 for side in values.shape)
    blocks = values[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return blocks.mean((1, 3, 5), dtype=np.float32)
