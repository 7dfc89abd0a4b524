"""What is in a cohort, and what is wrong with it, case by case."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.case import Case
from FedSimCore.cohorts.load import LoadedCase, load_case, share_inside
from FedSimCore.errors import FedSimError
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import count_file_labels
from FedSimCore.volumes.reading import VolumeWarning
from FedSimCore.volumes.resample import orientation

# All seven regions together, from a newborn's heart to a grossly dilated one.
_HEART_ML = (5.0, 3000.0)
_AIR_HU = -500.0
_BELOW_AIR_HU = -1500.0
_APART = 0.005


@dataclass
class CaseReport:
    """What a case's files hold.

    Attributes:
        id: of the case.
        site: of the case.
        shape: voxels of the image (of the label map, where there is no image).
        spacing_mm: likewise.
        axes: anatomical directions of i, j, k, e.g. ``"LPS"``.
        range: 1st and 99th percentile of the image (HU for CT).
        regions_ml: volume of each region present, by key.
        problems: sentences on what keeps the case from being used, or from being trusted.
        notes: sentences on what was dealt with, or is merely unusual.
    """

    id: str
    site: str
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    axes: str = ""
    range: tuple[float, float] | None = None
    regions_ml: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as what JSON can hold."""
        return asdict(self)


def check_case(case: Case) -> CaseReport:
    """Read a case and report on it; whatever is wrong with its files becomes a problem, not an error."""
    report = CaseReport(case.id, case.site)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VolumeWarning)
        try:
            loaded = load_case(case)
        except FedSimError as error:
            report.problems.append(str(error))
            return report
    report.problems += [str(one.message) for one in caught if issubclass(one.category, VolumeWarning)]
    volume = loaded.image or loaded.label
    if volume is not None:
        report.shape = volume.grid.shape
        report.spacing_mm = tuple(round(float(value), 4) for value in volume.grid.spacing_mm)
        report.axes = orientation(volume.grid)
    if loaded.image is not None:
        _check_intensities(loaded.image, case, report)
    if loaded.label is not None:
        _check_regions(loaded, loaded.label, report)
    return report


def _check_intensities(image: Volume, case: Case, report: CaseReport) -> None:
    sample = image.array[::2, ::2, ::2]
    low, high = (float(value) for value in np.percentile(sample, (1, 99)))
    report.range = (round(low, 1), round(high, 1))
    lowest = float(image.array.min())
    if case.modality != "CT":
        return
    if lowest >= 0:
        report.problems.append(
            f"{case.image}: no CT number is below 0, so its rescale intercept is lost; give hu_offset (mostly -1024)."
        )
    elif low < _BELOW_AIR_HU and case.hu_offset < 0:
        report.problems.append(
            f"{case.image}: more than 1% of the voxels lie below {_BELOW_AIR_HU:.0f} HU; its hu_offset of "
            f"{case.hu_offset:g} seems to be one too many."
        )
    elif lowest > _AIR_HU:
        report.notes.append(f"no air: the lowest value is {lowest:.0f} HU")


def _check_regions(loaded: LoadedCase, label: Volume, report: CaseReport) -> None:
    counts = np.bincount(label.array.ravel(), minlength=256)
    ml = label.grid.voxel_volume_mm3 / 1000
    report.regions_ml = {
        region.key: round(float(counts[region.label] * ml), 2) for region in anatomy.regions() if counts[region.label]
    }
    path = loaded.case.label
    missing = [region.key for region in anatomy.regions() if region.key not in report.regions_ml]
    if missing:
        report.problems.append(f"{path} has no voxel of {', '.join(missing)}; complete it or leave the case out.")
    total = sum(report.regions_ml.values())
    if not _HEART_ML[0] <= total <= _HEART_ML[1]:
        report.problems.append(
            f"{path}: a heart of {total:.1f} ml is impossible; check the voxel spacing and its unit."
        )
    if loaded.image is not None:
        inside = share_inside(label, loaded.image.grid)
        if inside < 0.99:
            report.problems.append(f"{path}: {100 * (1 - inside):.0f}% of the heart lies outside {loaded.case.image}.")
    edges = [label.array.take(side, axis=axis) for axis in range(3) for side in (0, -1)]
    if any(edge.any() for edge in edges):
        report.notes.append("the heart reaches the edge of the label map and may be cut off")
    _check_pieces(label, report)
    _check_sides(label, report)
    _note_stray_values(loaded.case, report)


def _check_pieces(label: Volume, report: CaseReport) -> None:
    """A region in pieces is a slip of the pen, or speckle from an automatic segmentation."""
    for region, box in zip(anatomy.regions(), ndimage.find_objects(label.array, max_label=7), strict=True):
        if box is None:
            continue
        pieces = np.bincount(ndimage.label(label.array[box] == region.label)[0].ravel())[1:]
        apart = 1 - pieces.max() / pieces.sum()
        if apart > _APART:
            report.notes.append(f"{region.key} is in {len(pieces)} pieces, {apart:.1%} of it apart from the largest")


def _check_sides(label: Volume, report: CaseReport) -> None:
    """A left ventricle on the right is dextrocardia, or more often a volume that lost its left and right."""
    lv, rv = (_middle_mm(label, anatomy.region(key).label) for key in ("lv", "rv"))
    if lv is not None and rv is not None and lv[0] > rv[0]:
        report.notes.append("the left ventricle lies to the right of the right one: mirrored, or dextrocardia?")


def _middle_mm(label: Volume, value: int) -> NDArray[np.float64] | None:
    """Return the centre of mass of one label in RAS mm, None where it has no voxel."""
    marked = label.array == value
    profiles = [marked.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    if not profiles[0].any():
        return None
    return label.grid.to_world([np.average(np.arange(len(profile)), weights=profile) for profile in profiles])


def _note_stray_values(case: Case, report: CaseReport) -> None:
    if case.scheme != "mmwhs" or case.label is None:
        return
    strays = {value for region in anatomy.regions() for value in region.mmwhs[1:]}
    for value, count in count_file_labels(case.label).items():
        if value in strays:
            report.notes.append(f"stray label {value} ({count} voxels) was taken for its region")
