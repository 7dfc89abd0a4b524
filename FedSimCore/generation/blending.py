"""The paper's ablations of the enhancer: its heart replaced by the simulator's, blended in by two classical means.

Li et al. 2020, table 2: "alpha blending the heart (foreground) from the CT_sim output with the background from the GAN
output, poisson blending in the same case". Blending is done in the volume, not slice by slice, so that it makes no
stripes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

from FedSimCore.errors import InputError

Blend = Literal["alpha", "poisson"]
Image = NDArray[np.float32]

EDGE_VOXELS = 3.0
"""Width over which the alpha channel falls from 1 to 0; ours, the paper does not tell."""
_TOLERANCE = 1e-8
_NEIGHBOURS = [(axis, step) for axis in range(3) for step in (-1, 1)]


def blended(how: Blend, heart: Image, background: Image, region: NDArray[np.bool_]) -> Image:
    """Put the heart of one image into another.

    Args:
        how: ``"alpha"`` or ``"poisson"``.
        heart: (X, Y, Z) HU, the simulator's.
        background: (X, Y, Z) HU, the enhancer's.
        region: (X, Y, Z), where the heart is.

    Raises:
        InputError: the shapes differ, or the region leaves no background.
    """
    if not heart.shape == background.shape == region.shape:
        raise InputError(f"Images {heart.shape} and {background.shape} and a heart {region.shape} cannot be blended.")
    if region.all():
        raise InputError("The heart fills the whole grid and leaves no background to blend it with.")
    return alpha_blend(heart, background, region) if how == "alpha" else poisson_blend(heart, background, region)


def alpha_blend(heart: Image, background: Image, region: NDArray[np.bool_]) -> Image:
    """Mix linearly, over :data:`EDGE_VOXELS` across the heart's border."""
    inward = ndimage.distance_transform_edt(region) - ndimage.distance_transform_edt(~region)
    # Distances are to voxel centres, half a voxel beyond the border between them.
    depth = inward - 0.5 * np.sign(inward)
    alpha = (0.5 + depth / EDGE_VOXELS).clip(0, 1)
    return (background + alpha * (heart - background)).astype(np.float32)


def poisson_blend(heart: Image, background: Image, region: NDArray[np.bool_]) -> Image:
    """Keep the heart's gradients and meet the background at its border (Pérez, Gangnet and Blake 2003, section 2).

    The image f within the region has the heart's Laplacian and the background's values round it. The difference to the
    heart's image is then harmonic: Laplace's equation with the images' difference at the border, on the six neighbours
    of each voxel, solved by conjugate gradients. At the grid's faces, where there is no background, no flux passes.
    """
    number = np.full(region.shape, -1, dtype=np.int64)
    count = int(region.sum())
    number[region] = np.arange(count)
    difference = (background - heart).astype(np.float64)
    diagonal, right = np.zeros(count), np.zeros(count)
    rows, columns = [], []
    for axis, step in _NEIGHBOURS:
        own, other = _pairs(region.shape, axis, step)
        here, there = number[own], number[other]
        at = here[here >= 0]
        np.add.at(diagonal, at, 1.0)
        neighbour, border = there[here >= 0], difference[other][here >= 0]
        inner = neighbour >= 0
        rows.append(at[inner])
        columns.append(neighbour[inner])
        right[at[~inner]] += border[~inner]
    row, column = np.concatenate(rows), np.concatenate(columns)
    laplacian = sparse.diags_array(diagonal) - sparse.coo_array((np.ones(len(row)), (row, column)), (count, count))
    inverse_diagonal = sparse.diags_array(1 / np.maximum(diagonal, 1))
    correction, _ = linalg.cg(laplacian.tocsr(), right, rtol=_TOLERANCE, M=inverse_diagonal)
    result = background.astype(np.float32, copy=True)
    result[region] = heart[region] + correction.astype(np.float32)
    return result


def _pairs(shape: tuple[int, ...], axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the voxels that have a neighbour along an axis, and these neighbours."""
    first, last = slice(None, -1), slice(1, None)
    own, other = (last, first) if step < 0 else (first, last)
    everything = (slice(None),) * len(shape)
    return (*everything[:axis], own, *everything[axis + 1 :]), (*everything[:axis], other, *everything[axis + 1 :])
