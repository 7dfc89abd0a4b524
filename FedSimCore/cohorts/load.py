"""From a case to its image and its label map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from FedSimCore.cohorts.case import Case
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import read_label_map, read_volume


@dataclass(frozen=True)
class LoadedCase:
    """What a case's files hold.

    Attributes:
        case: where it came from.
        image: float32 (HU for CT), None if there is none.
        label: uint8 in FedSim's labels, None if there is none; its grid may differ from the image's.
    """

    case: Case
    image: Volume | None
    label: Volume | None


def load_case(case: Case) -> LoadedCase:
    """Read a case's image and label map.

    ``case.hu_offset`` is added to the image; ``case.spacing_mm`` replaces a spacing that the files lost.

    Raises:
        InputError: a file can't be used (see ``volumes.io``), image and label map don't overlap, or ``spacing_mm``
            contradicts a file's own spacing.

    Warns:
        VolumeWarning: a file's place in the world is ambiguous.
    """
    image = read_volume(case.image, case.series) if case.image is not None else None
    label = read_label_map(case.label, case.scheme) if case.label is not None else None
    if image is not None:
        array = image.array + np.float32(case.hu_offset) if case.hu_offset else image.array
        image = Volume(array, _respaced(image.grid, case, str(case.image)))
    if label is not None:
        label = Volume(label.array, _respaced(label.grid, case, str(case.label)))
    if image is not None and label is not None and share_inside(label, image.grid) == 0:
        raise InputError(
            f"{case.label} doesn't overlap with {case.image}: no labelled voxel lies in the image; "
            "check that both are of one patient and that their headers are intact."
        )
    return LoadedCase(case, image, label)


def _respaced(grid: Grid, case: Case, source: str) -> Grid:
    """Return the grid with the table's spacing where the header's is 1 x 1 x 1 mm, as of files that lost it."""
    if case.spacing_mm is None or np.allclose(grid.spacing_mm, case.spacing_mm, rtol=0.01):
        return grid
    if not np.allclose(grid.spacing_mm, 1.0):
        raise InputError(
            f"{source} has voxels of {grid.spacing_mm.round(4).tolist()} mm, but its table says "
            f"{list(case.spacing_mm)} mm; correct the table's spacing_mm or leave it out."
        )
    affine = grid.affine.copy()
    affine[:3, :3] *= case.spacing_mm
    return Grid(grid.shape, affine)


def share_inside(label: Volume, grid: Grid) -> float:
    """Return which share of a label map's marked voxels lies within a grid, 0 to 1."""
    marked = np.flatnonzero(label.array)
    if len(marked) == 0:
        return 0.0
    sample = np.column_stack(np.unravel_index(marked[:: max(1, len(marked) // 100_000)], label.grid.shape))
    index = grid.to_index(label.grid.to_world(sample))
    inside = ((index >= -0.5) & (index <= np.array(grid.shape) - 0.5)).all(axis=1)
    return float(inside.mean())
