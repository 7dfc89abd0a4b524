"""An array of voxels together with its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.volumes.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image (HU) or a label map.

    Attributes:
        array: voxels indexed [i, j, k]; a label map has an integer dtype.
        grid: the array's place in the world (RAS millimetres).

    Raises:
        InputError: the array's shape is not the grid's.
    """

    array: NDArray[Any]
    grid: Grid

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.shape != self.grid.shape:
            raise InputError(f"The voxel array is {array.shape} but its grid is {self.grid.shape}.")
        object.__setattr__(self, "array", array)
