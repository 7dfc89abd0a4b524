"""The grids that a full simulation may have, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from FedSimCore.worker.protocol import GridSpec
from FedSimSlicerLib.live_heart import SIDE_MM

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_surface import Points

MARGIN_MM = 5.0
USUAL_VIEWS = 360


@dataclass(frozen=True)
class GridChoice:
    """A cube of voxels round the heart.

    Attributes:
        size: voxels along each side.
        memory_mb: that the worker takes for a heart in a thorax with 360 views.
        relative_time: of that scan, in times that the usual grid takes.
    """

    size: int
    memory_mb: int
    relative_time: float

    @property
    def spacing_mm(self) -> float:
        """Side of a voxel, for a heart of usual size."""
        return SIDE_MM / self.size


# Peak memory and time on a CPU (one thread, 128 voxels: 10 s), the scanner "adult" and a thorax.
GRIDS = (
    GridChoice(64, 900, 0.5),
    GridChoice(96, 1300, 0.8),
    GridChoice(128, 1500, 1.0),
    GridChoice(192, 3400, 6.0),
    GridChoice(256, 3800, 10.0),
)
USUAL = GRIDS[2]


def choice_of(size: int) -> GridChoice:
    """Return the grid with so many voxels along each side; the usual one if there is none."""
    return next((choice for choice in GRIDS if choice.size == size), USUAL)


def grid_about(vertices: Points, size: int) -> GridSpec:
    """Return a cubic grid along R, A, S round a heart.

    Args:
        vertices: of the heart, RAS mm.
        size: voxels along each side.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    largest = float((high - low).max()) + 2 * MARGIN_MM
    side = max(SIDE_MM, 10 * math.ceil(largest / 10))
    return GridSpec.centered(size, side / size, ((low + high) / 2).round().tolist())
