"""Non-rigid registration of label maps: SimpleITK's diffeomorphic demons on a coded image of all regions.

All seven regions are registered at once, so that what lies between two of them cannot be claimed by both.
Vercauteren et al., "Diffeomorphic demons: efficient non-parametric image registration", NeuroImage 2009.
The comparison with other libraries stands in Testing/results/correspondence.md (`fedsim bench correspondence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.anatomy import regions
from FedSimCore.shape.procrustes import Similarity
from FedSimCore.volumes import Grid, Volume

# Demons follow one scalar. These codes differ by at least 1 across every boundary that hearts have, normal
# or transposed, and from the background's 0; their size is arbitrary.
REGION_CODES = {"lv": 2.0, "myo": 1.0, "rv": -1.0, "la": 1.0, "ra": -2.0, "ao": 3.0, "pa": -3.0}


@dataclass(frozen=True)
class Level:
    """One resolution of the registration.

    Attributes:
        shrink: factor by which the images are coarser than the registration grid.
        iterations: of the demons.
        smoothing: standard deviation of the Gaussian on the displacement field, in voxels of this level.
    """

    shrink: int
    iterations: int
    smoothing: float = 1.5


COARSE_LEVELS = (Level(4, 60), Level(2, 30))
FINE_LEVELS = (Level(4, 60), Level(2, 40), Level(1, 8))


def coded_image(labels: Volume, pose: Similarity, grid: Grid, blur_mm: float = 1.0) -> NDArray[np.float32]:
    """Sample a case's regions, coded as intensities, in the frame of the template.

    Args:
        labels: label map of the case.
        pose: takes the template's frame (mm) to the case's world (RAS mm).
        grid: where to sample, in the template's frame.
        blur_mm: Gaussian that takes off the voxels' staircase, in mm of the case.

    Returns:
        float32 on ``grid``.
    """
    codes = np.zeros(256, dtype=np.float32)
    for region in regions():
        codes[region.label] = REGION_CODES[region.key]
    margin = int(np.ceil(4 * blur_mm / labels.grid.spacing_mm.min()))
    image = np.pad(codes[labels.array], margin)
    image = ndimage.gaussian_filter(image, blur_mm / labels.grid.spacing_mm)
    to_index = np.linalg.inv(labels.grid.affine) @ pose.matrix() @ grid.affine
    sampled: NDArray[np.float32] = ndimage.affine_transform(
        image, to_index[:3, :3], to_index[:3, 3] + margin, output_shape=grid.shape, order=1
    )
    return sampled


def register(
    template: NDArray[np.float32], case: NDArray[np.float32], grid: Grid, levels: Sequence[Level] = FINE_LEVELS
) -> NDArray[np.float64]:
    """Return the displacement that takes points of the template to the points of the case they belong to.

    Args:
        template: coded image of the template on ``grid``.
        case: coded image of the case on ``grid``.
        grid: centred grid along the axes of the template's frame, equal spacing.
        levels: from coarse to fine.

    Returns:
        (X, Y, Z, 3) displacement in mm along the axes of the grid.
    """
    import SimpleITK as sitk

    fixed, moving = (_image(array, grid) for array in (template, case))
    field: Any = None
    for level in levels:
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(level.iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(level.smoothing)
        coarse_fixed, coarse_moving = (sitk.BinShrink(image, [level.shrink] * 3) for image in (fixed, moving))
        if field is None:
            field = demons.Execute(coarse_fixed, coarse_moving)
        else:
            field = demons.Execute(coarse_fixed, coarse_moving, sitk.Resample(field, coarse_fixed))
    field = sitk.Resample(field, fixed)
    return np.asarray(sitk.GetArrayFromImage(field), dtype=np.float64).transpose(2, 1, 0, 3)


def displace(points: NDArray[np.float64], displacement: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Move points (n, 3) of the template's frame, mm, by a displacement field on ``grid``."""
    ijk = grid.to_index(points).T
    moved = [ndimage.map_coordinates(displacement[..., axis], ijk, order=1, mode="nearest") for axis in range(3)]
    return points + np.stack(moved, axis=1)


def _image(array: NDArray[np.float32], grid: Grid) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing([float(s) for s in grid.spacing_mm])
    image.SetOrigin([float(o) for o in grid.affine[:3, 3]])
    return image
