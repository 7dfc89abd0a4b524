"""From probabilities on the working grid to labels on the scan's grid, slab by slab."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.segmentation.working import sub_grid
from FedSimCore.volumes import Grid

_SLAB_VOXELS = 2**21
_MARGIN = 2
"""Working voxels round the heart in which its surface can end up."""


def labels_on_scan(
    found: NDArray[np.float16], heart: NDArray[np.bool_], working: Grid, scan: Grid
) -> NDArray[np.uint8]:
    """Return the label of every voxel of a scan: that of the largest interpolated probability.

    Args:
        found: (classes, X, Y, Z) on the working grid.
        heart: (X, Y, Z), where there is any region; other places are left out.
        working: their grid.
        scan: the scan's.
    """
    labels = np.zeros(scan.shape, np.uint8)
    bounds = [np.flatnonzero(heart.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    box = tuple(
        slice(max(0, int(side[0]) - _MARGIN), min(n, int(side[-1]) + 1 + _MARGIN))
        for side, n in zip(bounds, heart.shape, strict=True)
    )
    part, classes = sub_grid(working, box), found[(slice(None), *box)].astype(np.float32)
    for block in _blocks(part, scan):
        best = _sampled(classes[0], part, sub_grid(scan, block))
        chosen = np.zeros(best.shape, np.uint8)
        for value in range(1, len(classes)):
            share = _sampled(classes[value], part, sub_grid(scan, block), outside=0.0)
            wins = share > best
            chosen[wins] = value
            np.maximum(best, share, out=best)
        labels[block] = chosen
    return labels


def entropy_on_scan(entropy: NDArray[np.float16], working: Grid, scan: Grid) -> NDArray[np.float16]:
    """Interpolate (X, Y, Z) from the working grid onto the scan's."""
    result = np.zeros(scan.shape, np.float16)
    wide = entropy.astype(np.float32)
    for block in _blocks(working, scan):
        result[block] = _sampled(wide, working, sub_grid(scan, block), outside=0.0)
    return result


def _sampled(values: NDArray[np.float32], grid: Grid, target: Grid, outside: float = 1.0) -> NDArray[np.float32]:
    to_old = np.linalg.inv(grid.affine) @ target.affine
    sampled: NDArray[np.float32] = ndimage.affine_transform(
        values,
        to_old[:3, :3],
        to_old[:3, 3],
        target.shape,
        output=np.float32,
        order=1,
        mode="constant",
        cval=outside,
        prefilter=False,
    )
    return sampled


def _blocks(part: Grid, scan: Grid) -> Iterator[tuple[slice, slice, slice]]:
    """Yield blocks of a scan's voxels that together hold all that lie in a part of the world, none too large."""
    corners = np.stack(np.meshgrid(*[(-1.0, float(n)) for n in part.shape], indexing="ij"), -1).reshape(-1, 3)
    index = scan.to_index(part.to_world(corners))
    low = np.clip(np.floor(index.min(0)), 0, scan.shape).astype(int)
    high = np.clip(np.ceil(index.max(0)) + 1, 0, scan.shape).astype(int)
    if (high <= low).any():
        return
    rows = max(1, _SLAB_VOXELS // max(1, int((high - low)[:2].prod())))
    for start in range(int(low[2]), int(high[2]), rows):
        stop = min(start + rows, int(high[2]))
        yield slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(start, stop)
