"""The HU of each region of a heart in a scan, whatever grids the two lie on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.resample import inside, resample

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionHistogram:
    """The HU of one region's voxels.

    Attributes:
        label: the region's label value.
        voxels: of the scan, with a finite value, within the region.
        outside_scan: share of the region's volume beyond the scan's grid, 0 to 1.
        mean_hu: None, as all that follow but the counts, where there is no voxel.
        sd_hu: standard deviation (divisor N).
        median_hu: the median.
        p05_hu: 5th percentile.
        p95_hu: 95th percentile.
        counts: (bins,) voxels in each bin; a bin holds its lower edge, the last one its upper edge too.
        below: voxels under the first edge.
        above: voxels over the last edge.
    """

    label: int
    voxels: int
    outside_scan: float
    mean_hu: float | None
    sd_hu: float | None
    median_hu: float | None
    p05_hu: float | None
    p95_hu: float | None
    counts: NDArray[np.int64]
    below: int
    above: int


def region_histograms(scan: Volume, labels: Volume, edges_hu: Array) -> tuple[RegionHistogram, ...]:
    """Count the HU of every region that a label map has.

    The label map is taken to the scan's grid by its nearest voxel, so each of the scan's values counts as it is.

    Args:
        scan: HU, any three-dimensional array of numbers.
        labels: label map in FedSim's values on a grid of its own; other values count as background.
        edges_hu: (bins + 1,) rising edges of the bins.

    Returns:
        One entry for each of the seven regions that the label map has, in the order of their labels.

    Raises:
        InputError: the label map has none of the regions, or none of it lies within the scan.
    """
    is_heart = np.isin(labels.array, region_labels())
    if not is_heart.any():
        raise InputError("The label map has no voxel of any of the seven regions; choose another one.")
    heart, box = _cropped(Volume(np.where(is_heart, labels.array, 0).astype(np.uint8), labels.grid))
    part = _part_about(scan, box)
    if part is None:
        raise InputError("Scan and label map do not overlap; move the heart into the scan, or choose another one.")
    on_scan = resample(heart, part.grid, "nearest").array
    sizes = np.bincount(heart.array.ravel(), minlength=256)
    covered = np.bincount(heart.array[inside(scan.grid, heart.grid)], minlength=256)
    found = [
        _histogram(label, part.array[on_scan == label], 1 - float(covered[label] / sizes[label]), edges_hu)
        for label in region_labels()
        if sizes[label]
    ]
    if not any(region.voxels for region in found):
        raise InputError("No voxel of the scan lies within the heart; move the heart into the scan.")
    return tuple(found)


def _histogram(label: int, values: NDArray[Any], outside: float, edges: Array) -> RegionHistogram:
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    p05, median, p95 = np.percentile(values, (5, 50, 95)).tolist() if len(values) else (None, None, None)
    return RegionHistogram(
        label=label,
        voxels=len(values),
        outside_scan=outside,
        mean_hu=float(values.mean()) if len(values) else None,
        sd_hu=float(values.std()) if len(values) else None,
        median_hu=median,
        p05_hu=p05,
        p95_hu=p95,
        counts=np.histogram(values, edges)[0].astype(np.int64),
        below=int((values < edges[0]).sum()),
        above=int((values > edges[-1]).sum()),
    )


def _cropped(heart: Volume) -> tuple[Volume, Array]:
    """Return the part with labels, and the corners (8, 3) of its voxels' outer faces in RAS mm."""
    present = np.nonzero(heart.array)
    low = np.array([axis.min() for axis in present])
    high = np.array([axis.max() for axis in present]) + 1
    array = heart.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    affine = heart.grid.affine.copy()
    affine[:3, 3] = heart.grid.to_world(low)
    faces = np.stack(np.meshgrid(*zip(low - 0.5, high - 0.5, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    return Volume(array, Grid(array.shape, affine)), heart.grid.to_world(faces)


def _part_about(scan: Volume, corners_mm: Array) -> Volume | None:
    """Return the part of the scan whose voxels' centres can lie between ``corners_mm``; None if there is none."""
    index = scan.grid.to_index(corners_mm)
    low = np.maximum(np.ceil(index.min(axis=0) - 1e-6), 0).astype(int)
    high = np.minimum(np.floor(index.max(axis=0) + 1e-6) + 1, scan.array.shape).astype(int)
    if (low >= high).any():
        return None
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world(low)
    part = scan.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return Volume(part, Grid(part.shape, affine))
