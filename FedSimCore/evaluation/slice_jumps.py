"""Whether the slices of a volume fit together.

A generator of slices draws each one by itself, and what it invents, texture and brightness, may jump from one to the
next. Looked at slice by slice nothing is wrong; on sagittal and coronal reformats it shows as stripes.

How much neighbouring slices may differ depends on anatomy, noise and the scanner's slice thickness, so a generated
volume is held against real ones of the same site, and against itself across and within its slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.errors import InputError
from FedSimCore.volumes import Volume

BLOCK_VOXELS = 8
"""Edge of the squares of a slice over which :attr:`SliceJumps.banding_hu` takes the mean; 10 mm on the working grid."""


@dataclass(frozen=True)
class SliceJumps:
    """How one volume changes from slice to slice, within a region.

    Attributes:
        through_hu: mean over voxels of the absolute difference from one axial slice to the next, where both are in the
            region.
        within_hu: the same between neighbours along the two axes within slices.
        banding_hu: mean absolute second difference along k of S, the mean over 8 x 8 voxels of a slice's part of the
            region: brightness that jumps forth and back, as a whole or in patches. Noise and texture average out of
            the mean, and what changes steadily, as anatomy mostly does, out of the second difference.
    """

    through_hu: float
    within_hu: float
    banding_hu: float

    @property
    def ratio(self) -> float:
        """Change across slices relative to that within them; about 1 with cubic voxels and equal sharpness."""
        return self.through_hu / self.within_hu


@dataclass(frozen=True)
class HeartJumps:
    """The jumps of one volume inside and outside its heart."""

    inside: SliceJumps
    outside: SliceJumps


@dataclass(frozen=True)
class Comparison:
    """A measure's mean over generated and over real volumes.

    Attributes:
        generated: mean over the generated volumes.
        real: mean over the real volumes.
        ratio: generated / real; above 1 slices fit together worse than real ones.
        low: of the ratio's 95 % interval, by bootstrap over volumes.
        high: of the same.
    """

    generated: float
    real: float
    ratio: float
    low: float
    high: float


def slice_jumps(image: Volume, region: NDArray[np.bool_] | None = None) -> SliceJumps:
    """Measure how a volume changes from slice to slice.

    Args:
        image: HU; slices lie along the third axis, as on the working grid.
        region: voxels that count, of the image's shape; all by default.

    Raises:
        InputError: the region's shape differs, or it doesn't reach through three neighbouring slices.
    """
    array = np.asarray(image.array, dtype=np.float32)
    inside = np.ones(array.shape, dtype=bool) if region is None else np.asarray(region, dtype=bool)
    if inside.shape != array.shape:
        raise InputError(f"The region is {inside.shape} but its image is {array.shape}.")
    through, *within = (_change(array, inside, axis) for axis in (2, 0, 1))
    three = inside[..., :-2] & inside[..., 1:-1] & inside[..., 2:]
    if not three.any() or not any(map(len, within)):
        raise InputError("The region is too small to tell whether its slices fit together; it needs three slices.")
    return SliceJumps(
        through_hu=float(through.mean(dtype=np.float64)),
        within_hu=float(np.concatenate(within).mean(dtype=np.float64)),
        banding_hu=_banding(array, inside, three),
    )


def heart_jumps(image: Volume, label: Volume) -> HeartJumps:
    """Measure a volume inside its heart (any label but 0) and outside.

    Raises:
        InputError: image and label map are on different grids, or there is too little heart or too little else.
    """
    if not image.grid.same_as(label.grid):
        raise InputError("The image and its label map are on different grids; resample one of them.")
    heart = label.array != 0
    return HeartJumps(slice_jumps(image, heart), slice_jumps(image, ~heart))


def compare_jumps(
    generated: Sequence[HeartJumps], real: Sequence[HeartJumps], seed: int = 0, draws: int = 1000
) -> dict[str, Comparison]:
    """Compare generated with real volumes, preferably of one site.

    Args:
        generated: of at least one volume.
        real: of at least one volume.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Returns:
        A comparison for each of ``inside.through_hu``, ``inside.within_hu``, ``inside.banding_hu``, and ``outside``.

    Raises:
        InputError: there are no volumes on one side.
    """
    if not generated or not real:
        raise InputError("Slice jumps need at least one generated and one real volume to be compared.")
    rng = np.random.default_rng(seed)
    made, true = _table(generated), _table(real)
    names = list(made)
    ours, theirs = (np.array([table[name] for name in names]) for table in (made, true))
    picks = [rng.integers(0, side.shape[1], (draws, side.shape[1])) for side in (ours, theirs)]
    ratios = ours[:, picks[0]].mean(-1) / theirs[:, picks[1]].mean(-1)
    low, high = np.percentile(ratios, (2.5, 97.5), axis=1)
    means = zip(names, ours.mean(1), theirs.mean(1), low, high, strict=True)
    return {name: Comparison(*map(float, (a, b, a / b, lower, upper))) for name, a, b, lower, upper in means}


def _change(array: NDArray[np.float32], inside: NDArray[np.bool_], axis: int) -> NDArray[np.float32]:
    """Return how much neighbours along an axis differ, wherever both are inside."""
    array, inside = np.moveaxis(array, axis, -1), np.moveaxis(inside, axis, -1)
    both = inside[..., :-1] & inside[..., 1:]
    return np.abs(np.diff(array, axis=-1)[both])


def _banding(array: NDArray[np.float32], inside: NDArray[np.bool_], three: NDArray[np.bool_]) -> float:
    """Return :attr:`SliceJumps.banding_hu` over the voxels that have both neighbours inside."""
    block = (BLOCK_VOXELS, BLOCK_VOXELS, 1)
    share = ndimage.uniform_filter(inside.astype(np.float32), block, mode="constant")
    total = ndimage.uniform_filter(np.where(inside, array, 0), block, mode="constant")
    mean = np.divide(total, share, out=np.zeros_like(total), where=inside)
    return float(np.abs(np.diff(mean, n=2, axis=-1)[three]).mean(dtype=np.float64))


def _table(volumes: Sequence[HeartJumps]) -> dict[str, list[float]]:
    rows = [asdict(jumps) for jumps in volumes]
    return {f"{part}.{name}": [row[part][name] for row in rows] for part in rows[0] for name in rows[0][part]}
