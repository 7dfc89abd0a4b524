"""A simulated volume with every other square cut out, so that the real scan shows through.

Slicer's slice views have no checkerboard. They do have a threshold below which a volume is transparent: where the
simulation is cut out it gets a value far below it. So nothing is resampled; both volumes are seen on their own voxels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid

CUT_OUT = -32000.0
"""HU of what is transparent."""
THRESHOLD = -2000.0
"""HU below which the volume is transparent."""


def cut_out_squares(hounsfield: NDArray[Any], grid: Grid, square_mm: float) -> NDArray[np.float32]:
    """Return a copy in which every other cube of a checkerboard is :data:`CUT_OUT`.

    The middle of the grid is the middle of a cube that stays; the board's axes are the grid's.

    Args:
        hounsfield: (i, j, k) on ``grid``.
        grid: RAS mm.
        square_mm: side of a square.

    Returns:
        (i, j, k) float32, in Fortran order as VTK wants it.
    """
    odd = np.zeros((1, 1, 1), dtype=bool)
    for axis, (size, spacing) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        distance = (np.arange(size) - (size - 1) / 2) * spacing
        along = (np.floor(distance / square_mm + 0.5).astype(int) % 2).astype(bool)
        odd = odd ^ along.reshape([-1 if axis == other else 1 for other in range(3)])
    result = np.asfortranarray(hounsfield, dtype=np.float32).copy(order="F")
    np.copyto(result, np.float32(CUT_OUT), where=odd)
    return result


def make_transparent(display: Any) -> None:
    """Let a vtkMRMLScalarVolumeDisplayNode show nothing where its volume is cut out.

    Between a voxel that is cut out and one that stays there is nothing to interpolate: a slice there would be empty.
    """
    display.SetInterpolate(False)
    display.SetAutoThreshold(False)
    display.SetThreshold(THRESHOLD, 1e5)
    display.SetApplyThreshold(True)
