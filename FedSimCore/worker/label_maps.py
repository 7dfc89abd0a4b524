"""The tasks about label maps: ``surfaces``, ``measure_labels`` and ``compare_labels``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.evaluation.segmentation import WHOLE, Metric, compare, implementations
from FedSimCore.progress import Progress
from FedSimCore.shape.labelled_heart import FEWEST_VOXELS
from FedSimCore.shape.measurements import MYOCARDIUM_G_PER_ML, Measurements, measure_labels, signed_distance_mm
from FedSimCore.shape.surfaces import Surface, closed_surface
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import cut_to_content
from FedSimCore.worker.analysis import measurement_rows, volume_in
from FedSimCore.worker.engine import Answer, Arrays, Engine
from FedSimCore.worker.protocol import (
    CompareLabelsResult,
    CompareLabelsTask,
    MeasureLabelsTask,
    MeasureResult,
    ScoreRow,
    SurfacesResult,
    SurfacesTask,
)
from FedSimCore.worker.reporting import Reporter

FINEST_MM = 1.6
"""Label maps of half of this or less are thinned to about this before they get surfaces, which are smooth on that scale
anyway: with four times the triangles Slicer needs 60 ms to take them over."""
_NEEDS = "This needs a label map"
_METRICS: tuple[Metric, ...] = ("dice", "hd95_mm", "assd_mm")


def surfaces(
    engine: Engine,  # noqa: ARG001 (as all tasks)
    task: SurfacesTask,
    arrays: Arrays,
    report: Reporter,
) -> Answer:
    """Give each label a surface."""
    labels = volume_in(arrays, "labels", task.affine, _NEEDS)
    found = _surfaces(_masks(thinned(labels)), report)
    return Answer(SurfacesResult(labels=tuple(found)), _as_arrays(found))


def measure(
    engine: Engine,  # noqa: ARG001 (as all tasks)
    task: MeasureLabelsTask,
    arrays: Arrays,
    report: Reporter,
) -> Answer:
    """Measure a label map beside the norms."""
    report(0, 1, "measuring")
    labels = volume_in(arrays, "labels", task.affine, _NEEDS)
    clean = _without_specks(thinned(labels))
    if not clean.array.any():
        raise InputError(f"{task.name} has no region of {FEWEST_VOXELS} voxels or more; there is nothing to measure.")
    measured = _with_exact_volumes(measure_labels(clean), labels)
    return Answer(MeasureResult(rows=measurement_rows(measured, task.sex, task.bsa_m2)), {})


def compare_labels(
    engine: Engine,  # noqa: ARG001 (as all tasks)
    task: CompareLabelsTask,
    arrays: Arrays,
    report: Reporter,
) -> Answer:
    """Compare a label map with a reference, in numbers and as distances on its surfaces."""
    report(0, 1, "measuring the overlap")
    found = volume_in(arrays, "labels", task.affine, _NEEDS)
    reference = volume_in(arrays, "reference", task.reference_affine, "A comparison needs a reference")
    if not reference.array.any():
        raise InputError(f"The reference of {task.name} is empty; choose another one.")
    if task.regions == "heart":
        found, reference = _as_one(found), _as_one(reference)
    scores = compare(found, reference, task.name, task.regions, _METRICS)
    names = {WHOLE: "Heart", **{region.key: region.name for region in anatomy.regions()}}
    rows = tuple(ScoreRow(name=names[s.region], **s.model_dump(exclude={"bahd_mm"})) for s in scores.regions)
    mine, theirs = _masks(thinned(found)), _masks(thinned(reference))
    both = [label for label in mine if label in theirs]
    with report.part(0.5, 0.8) as progress:
        ours = _surfaces({label: mine[label] for label in both}, progress)
    answer = _as_arrays(ours)
    with report.part(0.8, 1.0) as progress:
        for number, (label, surface) in enumerate(ours.items()):
            progress(number, len(ours), "measuring distances")
            distance = signed_distance_mm(surface, closed_surface(*theirs[label]))
            answer[f"distance_{label}"] = distance.astype(np.float32)
    told = {str(metric): text for metric, text in implementations().items() if metric in _METRICS}
    return Answer(CompareLabelsResult(scores=rows, implementations=told, labels=tuple(ours)), answer)


def thinned(labels: Volume, finest_mm: float = FINEST_MM) -> Volume:
    """Return every second, third, ... voxel along axes finer than a half, a third, ... of ``finest_mm``."""
    steps = np.maximum(1, np.floor(finest_mm / labels.grid.spacing_mm + 1e-6)).astype(int)
    i, j, k = map(int, steps)
    array = labels.array[::i, ::j, ::k]
    shape = (array.shape[0], array.shape[1], array.shape[2])
    return Volume(array, Grid(shape, labels.grid.affine @ np.diag([i, j, k, 1])))


_Mask = tuple[NDArray[np.bool_], Grid]


def _masks(labels: Volume) -> dict[int, _Mask]:
    """Return each label's own voxels, cut down to them; labels of a few voxels are left out."""
    masks: dict[int, _Mask] = {}
    part = cut_to_content(labels)
    if part is None:
        return masks
    for label, count in enumerate(np.bincount(part.array.ravel())):
        if label and count >= FEWEST_VOXELS:
            masks[label] = part.array == label, part.grid
    return masks


def _surfaces(masks: Mapping[int, _Mask], progress: Progress) -> dict[int, Surface]:
    found: dict[int, Surface] = {}
    for number, (label, (mask, grid)) in enumerate(masks.items()):
        progress(number, len(masks), "making surfaces")
        found[label] = closed_surface(mask, grid)
    return found


def _as_arrays(found: Mapping[int, Surface]) -> dict[str, NDArray[np.generic]]:
    answer: dict[str, NDArray[np.generic]] = {}
    for label, (points, faces) in found.items():
        answer[f"points_{label}"] = points.astype(np.float32)
        answer[f"faces_{label}"] = faces.astype(np.int32)
    return answer


def _as_one(labels: Volume) -> Volume:
    return Volume((labels.array > 0).astype(np.uint8), labels.grid)


def _without_specks(labels: Volume) -> Volume:
    counts = np.bincount(labels.array.ravel(), minlength=256)
    keep = np.arange(256, dtype=np.uint8)
    keep[counts < FEWEST_VOXELS] = anatomy.BACKGROUND
    return Volume(keep[labels.array], labels.grid)


def _with_exact_volumes(measured: Measurements, labels: Volume) -> Measurements:
    """Count volumes on all voxels, not on the thinned ones that lengths are measured on."""
    counts = np.bincount(labels.array.ravel(), minlength=256)
    exact = {
        f"{region.key}_volume_ml": float(counts[region.label]) * labels.grid.voxel_volume_mm3 / 1000
        for region in anatomy.regions()
    }
    exact["lv_mass_g"] = exact["myo_volume_ml"] * MYOCARDIUM_G_PER_ML
    return {key: dataclasses.replace(m, value=exact.get(key, m.value)) for key, m in measured.items()}
