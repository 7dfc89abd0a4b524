"""The grid that segmenters work on: along R, A and S, on a lattice that is the same for every scan of a patient.

Grid points are whole multiples of the spacing in the world, so that a scan that is flipped, transposed or stored at
another resolution is looked at in the same places.
"""

from __future__ import annotations

import numpy as np

from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.resample import AIR_HU, resample

MOST_VOXELS = 2**27
"""Of a working grid: four metres cubed at 8 mm, or a whole adult at 3 mm ten times over."""
ONTO_WORKING = "bringing the scan onto the working grid"
"""Stage that is told meanwhile."""
_SLAB_VOXELS = 2**20


def lattice_grid(grid: Grid, spacing_mm: float) -> Grid:
    """Return the working grid that holds all voxel centres of a scan's.

    Raises:
        InputError: the scan is out of all proportion.
    """
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    world = grid.to_world(corners) / spacing_mm
    low, high = np.floor(world.min(0) + 1e-6), np.ceil(world.max(0) - 1e-6)
    shape = (high - low + 1).astype(np.int64)
    if shape.prod() > MOST_VOXELS:
        raise InputError(
            f"The scan is {' x '.join(f'{v * spacing_mm:.0f}' for v in shape)} mm large; check its spacing, or cut it."
        )
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low * spacing_mm
    i, j, k = (int(n) for n in shape)
    return Grid((i, j, k), affine)


def first_voxel(working: Grid) -> tuple[int, int, int]:
    """Return the place of a working grid's first voxel on the lattice."""
    i, j, k = (round(float(n)) for n in working.affine[:3, 3] / working.spacing_mm)
    return i, j, k


def to_working_grid(scan: Volume, spacing_mm: float, progress: Progress = silent) -> Volume:
    """Bring a scan (HU) onto its working grid, slab by slab, so that no copy of the whole scan is made.

    Args:
        scan: on any grid.
        spacing_mm: of the working grid.
        progress: told of every slab.

    Raises:
        InputError: the scan is out of all proportion.
    """
    grid = lattice_grid(scan.grid, spacing_mm)
    # Slabs lie across the working axis that runs most nearly along the scan's last, in which its slices are stored.
    axis = int(np.argmax(np.abs(scan.grid.affine[:3, 2]) / scan.grid.spacing_mm[2]))
    per_slab = max(1, _SLAB_VOXELS // max(1, int(np.prod(grid.shape)) // grid.shape[axis]), 8)
    result = np.empty(grid.shape, dtype=np.float32)
    for start in range(0, grid.shape[axis], per_slab):
        progress(start, grid.shape[axis], ONTO_WORKING)
        part = [slice(None)] * 3
        part[axis] = slice(start, min(start + per_slab, grid.shape[axis]))
        result[tuple(part)] = resample(scan, sub_grid(grid, part), "linear", AIR_HU).array
    progress(grid.shape[axis], grid.shape[axis], ONTO_WORKING)
    return Volume(result, grid)


def sub_grid(grid: Grid, part: list[slice] | tuple[slice, ...]) -> Grid:
    """Return the grid of a block of another's voxels, given by slices without steps."""
    bounds = [piece.indices(n) for piece, n in zip(part, grid.shape, strict=True)]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world([start for start, _, _ in bounds])
    i, j, k = (stop - start for start, stop, _ in bounds)
    return Grid((i, j, k), affine)
