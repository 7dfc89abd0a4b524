from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.anatomy import Subject
from FedSimCore.cohorts.phantom.labels import carved_on, label_array, scan_grid
from FedSimCore.cohorts.phantom.patient import draw_patient
from FedSimCore.cohorts.phantom.sites import site
from FedSimCore.volumes import Grid, Volume


@dataclass(frozen=True)
class LabelledHeart:
    """A label map along R, A and S, and who it belongs to."""

    subject: Subject
    label: Volume

    def world(self, key: str) -> NDArray[np.float64]:
        """Positions (n, 3) of a region's voxels, RAS mm."""
        return self.label.grid.to_world(np.argwhere(self.label.array == anatomy.region(key).label))

    def center(self, key: str) -> NDArray[np.float64]:
        return self.world(key).mean(0)

    def volume_ml(self, key: str) -> float:
        return len(self.world(key)) * self.label.grid.voxel_volume_mm3 / 1000

    def contact_mm2(self, a: str, b: str) -> float:
        """Area of voxel faces between two regions."""
        first, second = anatomy.region(a).label, anatomy.region(b).label
        area, array, spacing = 0.0, self.label.array, self.label.grid.spacing_mm
        for axis in range(3):
            x, y = np.moveaxis(array, axis, 0)[:-1], np.moveaxis(array, axis, 0)[1:]
            faces = ((x == first) & (y == second)) | ((x == second) & (y == first))
            area += faces.sum() * spacing.prod() / spacing[axis]
        return float(area)


def labelled_heart(site_name: str, seed: int, variant: str | None = None, spacing_mm: float = 1.5) -> LabelledHeart:
    patient = draw_patient(site(site_name), seed, variant)
    grid: Grid = scan_grid(patient, spacing_mm)
    return LabelledHeart(patient.subject, Volume(label_array(patient, grid, carved_on(patient, grid)), grid))


@pytest.fixture(scope="session")
def adults() -> list[LabelledHeart]:
    return [labelled_heart("adult", seed) for seed in range(20)]
