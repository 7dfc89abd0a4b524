"""A grid as numbers, for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, field_validator

from FedSimCore.volumes.grid import Grid

MOST_VOXELS = 512**3
Row = tuple[float, float, float, float]


class GridSpec(BaseModel):
    """A :class:`Grid` as numbers.

    Attributes:
        shape: voxels along i, j, k.
        affine: voxel index to RAS mm, 4 rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    shape: tuple[int, int, int]
    affine: tuple[Row, Row, Row, Row]

    @field_validator("shape")
    @classmethod
    def _fits(cls, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
            raise ValueError(f"{shape} is not three positive sizes with at most {MOST_VOXELS:,} voxels together")
        return shape

    @classmethod
    def of(cls, grid: Grid) -> GridSpec:
        """Return the numbers of a grid."""
        return cls.model_validate({"shape": grid.shape, "affine": grid.affine.tolist()})

    @classmethod
    def centered(cls, size: int = 128, spacing_mm: float = 1.25, center_mm: Sequence[float] = (0, 0, 0)) -> GridSpec:
        """Return a cubic grid along R, A, S whose middle is at ``center_mm``."""
        return cls.of(Grid.centered(size, spacing_mm, center_mm))

    def grid(self) -> Grid:
        """Return the grid.

        Raises:
            InputError: the affine cannot be inverted.
        """
        return Grid(self.shape, [list(row) for row in self.affine])  # type: ignore[arg-type]  # Grid makes an array
