"""The Reconstruction Toolkit (itk-rtk) doing the same jobs on the same scan.

RTK's world has the rotation axis along y: its (x, y, z) are our (R, S, A) relative to the isocentre.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.benchmarks.harness import peer
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.errors import MissingDependencyError
from FedSimCore.volumes import Grid

Float32 = NDArray[np.float32]


class RtkScan:
    """A circular scan of an axis-aligned volume in RTK.

    Args:
        geometry: the scan.
        grid: the volume's grid, along R, A and S without flips.

    Raises:
        MissingDependencyError: itk-rtk is not installed.
    """

    def __init__(self, geometry: ConeBeamGeometry, grid: Grid) -> None:
        self._itk = peer("itk")
        if not hasattr(self._itk, "RTK"):
            raise MissingDependencyError(
                'This benchmark compares with RTK, but only ITK is installed; run: pip install "fedsim[bench]"'
            )
        self._rtk = self._itk.RTK
        self._image = self._itk.Image[self._itk.F, 3]
        self._grid = grid
        self._detector = geometry
        isocenter = grid.center_mm if geometry.isocenter_mm is None else np.array(geometry.isocenter_mm)
        self._origin = grid.to_world((0, 0, 0)) - isocenter
        self._geometry = self._rtk.ThreeDCircularProjectionGeometry.New()
        for angle in np.rad2deg(geometry.angles_rad):
            self._geometry.AddProjection(
                geometry.source_isocenter_mm, geometry.source_detector_mm, float(np.mod(angle, 360.0))
            )

    def volume(self, voxels: Float32 | None = None) -> Any:
        """Make RTK's image of a volume (x, y, z); zeros if left out."""
        array = np.zeros(self._grid.shape, np.float32) if voxels is None else voxels
        image = self._itk.image_from_array(np.ascontiguousarray(array.transpose(1, 2, 0)))
        spacing = self._grid.spacing_mm
        image.SetSpacing([float(spacing[axis]) for axis in (0, 2, 1)])
        image.SetOrigin([float(self._origin[axis]) for axis in (0, 2, 1)])
        return image

    def projections(self, sinogram: Float32 | None = None) -> Any:
        """Make RTK's stack of projections from a sinogram (views, columns, rows); zeros if left out."""
        detector = self._detector
        shape = (detector.views, detector.columns, detector.rows)
        array = np.zeros(shape, np.float32) if sinogram is None else sinogram
        image = self._itk.image_from_array(np.ascontiguousarray(array.transpose(0, 2, 1)))
        image.SetSpacing([*map(float, detector.pixel_mm), 1.0])
        image.SetOrigin([float(detector.u_mm[0]), float(detector.v_mm[0]), 0.0])
        return image

    def as_volume(self, image: Any) -> Float32:
        """Return RTK's volume as (x, y, z)."""
        array: Float32 = self._itk.array_from_image(image).transpose(2, 0, 1)
        return array

    def as_sinogram(self, image: Any) -> Float32:
        """Return RTK's projections as (views, columns, rows)."""
        array: Float32 = self._itk.array_from_image(image).transpose(0, 2, 1)
        return array

    def project(self, volume: Any) -> Any:
        """Project with Joseph's method (the default of RTK's applications)."""
        joseph = self._rtk.JosephForwardProjectionImageFilter[self._image, self._image].New()
        joseph.SetGeometry(self._geometry)
        joseph.SetInput(0, self.projections())
        joseph.SetInput(1, volume)
        joseph.Update()
        return joseph.GetOutput()

    def backproject(self, projections: Any) -> Any:
        """Apply the transpose of Joseph's method."""
        joseph = self._rtk.JosephBackProjectionImageFilter[self._image, self._image].New()
        joseph.SetGeometry(self._geometry)
        joseph.SetInput(0, self.volume())
        joseph.SetInput(1, projections)
        joseph.Update()
        return joseph.GetOutput()

    def reconstruct(self, projections: Any, subset: int = 16) -> Any:
        """Reconstruct by FDK with the plain ramp, ``subset`` projections at a time; short scans by Parker."""
        if not self._detector.is_full_scan:
            parker = self._rtk.ParkerShortScanImageFilter[self._image].New()
            parker.SetInput(projections)
            parker.SetGeometry(self._geometry)
            parker.InPlaceOff()
            projections = parker.GetOutput()
        fdk = self._rtk.FDKConeBeamReconstructionFilter[self._image].New()
        fdk.SetInput(0, self.volume())
        fdk.SetInput(1, projections)
        fdk.SetGeometry(self._geometry)
        fdk.SetProjectionSubsetSize(subset)
        fdk.GetRampFilter().SetTruncationCorrection(0.0)
        fdk.GetRampFilter().SetHannCutFrequency(0.0)
        fdk.Update()
        return fdk.GetOutput()
