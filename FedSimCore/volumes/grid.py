"""A voxel grid's place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from FedSimCore.errors import InputError


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and affine of a volume.

    Attributes:
        shape: number of voxels along the array axes (i, j, k).
        affine: 4 x 4, takes homogeneous voxel indices (i, j, k, 1) to RAS millimetres; index 0 is the
            *centre* of the first voxel, as in NIfTI and ITK.

    Raises:
        InputError: the affine is not finite or cannot be inverted, or a size is not positive.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"A volume needs three positive sizes, not {shape}.")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError("The affine is not a finite 4 x 4 matrix; repair the image's header.")
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if min(spacing) == 0 or abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-6:
            raise InputError(
                f"The affine {affine[:3].round(4).tolist()} cannot be inverted; repair the image's header."
            )
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def centered(
        cls,
        shape: int | Sequence[int] = 128,
        spacing_mm: float | Sequence[float] = 1.25,
        center_mm: ArrayLike = (0, 0, 0),
    ) -> Grid:
        """Return a grid along the R, A and S axes whose middle is at ``center_mm`` (RAS)."""
        sizes = np.broadcast_to(np.asarray(shape, dtype=int), 3)
        affine = np.diag([*np.broadcast_to(np.asarray(spacing_mm, dtype=float), 3), 1.0])
        affine[:3, 3] = np.asarray(center_mm, dtype=float) - affine[:3, :3] @ ((sizes - 1) / 2)
        return cls((int(sizes[0]), int(sizes[1]), int(sizes[2])), affine)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between neighbouring voxel centres along i, j, k (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def center_mm(self) -> NDArray[np.float64]:
        """RAS position of the middle of the grid (3,)."""
        return self.to_world((np.array(self.shape) - 1) / 2)

    def to_world(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """Take voxel indices (..., 3), fractions allowed, to RAS millimetres (..., 3)."""
        return np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Take RAS millimetres (..., 3) to fractional voxel indices (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(xyz_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def same_as(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether two grids have the same shape and put every corner within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), -1).reshape(-1, 3)
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() <= tolerance_mm)
