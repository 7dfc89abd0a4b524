"""A volume's grid as the scanner sees it: relative to the isocentre, with the rotation axis along its last axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from FedSimCore.ct.geometry import Array, ConeBeamGeometry
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid


@dataclass(frozen=True, eq=False)
class Placement:
    """A grid whose third axis is parallel to S, placed about the isocentre of a scanner.

    A *column* is the set of voxels that share (i, j); it is numbered ``i * shape[1] + j``.

    Attributes:
        shape: voxels along i, j, k.
        to_index: (2, 2), takes in-plane millimetres from the axis to steps of (i, j).
        index_of_axis: (2,), fractional (i, j) of the rotation axis.
        k_per_mm: steps of k for one millimetre towards S; negative where k runs towards I.
        k_of_isocenter: fractional k of the isocentre.
    """

    shape: tuple[int, int, int]
    to_index: Array
    index_of_axis: Array
    k_per_mm: float
    k_of_isocenter: float

    @classmethod
    def of(cls, geometry: ConeBeamGeometry, grid: Grid) -> Placement:
        """Place ``grid`` in the scanner and check that the scan is possible.

        Raises:
            InputError: the grid's third axis is not parallel to S, the source or the detector would stand inside the
                volume, or no ray meets the volume.
        """
        directions = grid.affine[:3, :3] / grid.spacing_mm
        if np.abs(directions[2, :2]).max() > 1e-6 or np.abs(directions[:2, 2]).max() > 1e-6:
            raise InputError(
                "The volume is tilted against the scanner's rotation axis; resample it to a grid whose third axis runs "
                "along S, or use RayProjector."
            )
        isocenter = grid.center_mm if geometry.isocenter_mm is None else np.array(geometry.isocenter_mm)
        index = grid.to_index(isocenter)
        placement = cls(
            shape=grid.shape,
            to_index=np.linalg.inv(grid.affine[:2, :2]),
            index_of_axis=index[:2],
            k_per_mm=float(1 / grid.affine[2, 2]),
            k_of_isocenter=float(index[2]),
        )
        placement._check_clearance(geometry)
        placement._check_illumination(geometry)
        return placement

    @cached_property
    def columns_mm(self) -> Array:
        """In-plane position of every column relative to the axis (columns, 2)."""
        i, j = np.divmod(np.arange(self.shape[0] * self.shape[1]), self.shape[1])
        return (np.stack([i, j], axis=1) - self.index_of_axis) @ np.linalg.inv(self.to_index).T

    @cached_property
    def radius_mm(self) -> float:
        """Distance from the axis to the farthest corner of the outermost voxels."""
        corners = np.array([(i, j) for i in (-0.5, self.shape[0] - 0.5) for j in (-0.5, self.shape[1] - 0.5)])
        return float(np.linalg.norm((corners - self.index_of_axis) @ np.linalg.inv(self.to_index).T, axis=1).max())

    @cached_property
    def spacing_mm(self) -> Array:
        """Distance between voxels along i, j, k (3,)."""
        return np.array([*np.linalg.norm(np.linalg.inv(self.to_index), axis=0), abs(1 / self.k_per_mm)])

    @property
    def z_extent_mm(self) -> tuple[float, float]:
        """Lowest and highest z of the volume relative to the isocentre."""
        ends = [(k - self.k_of_isocenter) / self.k_per_mm for k in (-0.5, self.shape[2] - 0.5)]
        return min(ends), max(ends)

    def _check_clearance(self, geometry: ConeBeamGeometry) -> None:
        if self.radius_mm >= geometry.source_isocenter_mm:
            raise InputError(
                f"The source circles {geometry.source_isocenter_mm:g} mm from the axis, inside the volume, whose "
                f"corners are {self.radius_mm:.0f} mm away; use a smaller grid or a larger source_isocenter_mm."
            )
        behind = geometry.source_detector_mm - geometry.source_isocenter_mm
        if self.radius_mm > behind:
            raise InputError(
                f"The detector circles {behind:g} mm from the axis, inside the volume, whose corners are "
                f"{self.radius_mm:.0f} mm away; use a smaller grid or a larger source_detector_mm."
            )

    def _check_illumination(self, geometry: ConeBeamGeometry) -> None:
        low, high = self.z_extent_mm
        depths = geometry.source_isocenter_mm + np.array([-self.radius_mm, self.radius_mm])
        v = geometry.v_mm[[0, -1]] + np.array([-0.5, 0.5]) * geometry.pixel_mm[1]
        reach = np.outer(depths, v) / geometry.source_detector_mm
        if reach.min() > high or reach.max() < low:
            raise InputError(
                f"The rays pass from {reach.min():.0f} to {reach.max():.0f} mm along the axis, but the volume lies "
                f"from {low:.0f} to {high:.0f} mm of the isocentre; move the isocentre or the detector to the object."
            )
