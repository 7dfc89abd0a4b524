"""A made-up patient for the tests of cohorts: seven balls for regions in a soft-tissue block with air round it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from FedSimCore.cohorts import Case, Cohort, write_cohort
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map, write_volume

# Centre (RAS mm, the heart's own frame) and radius of each label's ball; the LV lies to the left of the RV.
BALLS = {
    2: ((-18, 0, -6), 19.0),
    1: ((-18, 0, -6), 13.0),
    3: ((14, 8, -6), 15.0),
    4: ((-10, -14, 22), 13.0),
    5: ((20, -10, 20), 13.0),
    6: ((2, 0, 34), 9.0),
    7: ((-8, 14, 34), 9.0),
}


def a_heart(grid: Grid, at_mm: tuple[float, float, float] = (0, 0, 0)) -> tuple[Volume, Volume]:
    """Return an image in HU and a label map of the balls on a grid."""
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)) - at_mm
    image = np.where(np.abs(world).max(-1) < 55, 40.0, -900.0)
    label = np.zeros(grid.shape, np.uint8)
    for value, (middle, radius) in BALLS.items():
        inside = np.linalg.norm(world - middle, axis=-1) < radius
        image[inside] = 100.0 if value == 2 else 300.0 + 10 * value
        label[inside] = value
    return Volume(image.astype(np.float32), grid), Volume(label, grid)


def a_scan_grid(at_mm: tuple[float, float, float] = (0, 0, 0)) -> Grid:
    """Return a flipped, anisotropic, slightly oblique grid of a scan round a heart."""
    turn = np.deg2rad(12)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-2.0, -2.0, 3.0])
    shape = (64, 62, 42)
    affine[:3, 3] = at_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def write_hearts(folder: Path, count: int = 2, unlabelled: int = 0) -> Cohort:
    """Write a cohort of hearts in different places and its table; the last ``unlabelled`` have no label map."""
    cases = []
    for number in range(count):
        at_mm = (10.0 * number, -20.0, 30.0)
        image, label = a_heart(a_scan_grid(at_mm), at_mm)
        case = Case(id=f"heart{number}", image=folder / f"{number}_ct.nii.gz", site="here")
        write_volume(image, folder / f"{number}_ct.nii.gz", "int16")
        if number < count - unlabelled:
            write_label_map(label, folder / f"{number}_regions.nrrd")
            case = case.model_copy(update={"label": folder / f"{number}_regions.nrrd"})
        cases.append(case)
    cohort = Cohort(name=folder.name, cases=tuple(cases))
    write_cohort(cohort, folder)
    return cohort
