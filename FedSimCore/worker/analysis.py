"""The tasks ``measure``, ``fit``, ``mode_table`` and ``describe``."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from FedSimCore import __version__, anatomy
from FedSimCore.ct.region_histogram import region_histograms
from FedSimCore.errors import InputError
from FedSimCore.shape.fit import POSE_STAGES, STAGES
from FedSimCore.shape.fit import fit as fit_model
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.measurements import Measurements, measure_mesh, signed_distance_mm
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.mode_descriptions import describe_modes
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.norms import Sex, compare
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Grid, Volume
from FedSimCore.worker.device import device_report
from FedSimCore.worker.engine import Answer, Arrays, Engine, check_proportions
from FedSimCore.worker.protocol import (
    DescribeResult,
    DescribeTask,
    FitResult,
    FitTask,
    MeasurementRow,
    MeasureResult,
    MeasureTask,
    ModeRow,
    ModeTableResult,
    ModeTableTask,
    RegionHistogramResult,
    RegionHistogramRow,
    RegionHistogramTask,
)
from FedSimCore.worker.reporting import Reporter

_LIBRARIES = ("torch", "numpy", "scipy", "vtk", "SimpleITK", "nibabel", "trimesh", "pydantic")


def measure(engine: Engine, task: MeasureTask, report: Reporter) -> Answer:
    """Measure a heart beside the norms."""
    report.check()
    check_proportions(task.parameters)
    measured = measure_mesh(engine.model(len(task.parameters.weights)).mesh(task.parameters))
    return Answer(MeasureResult(rows=measurement_rows(measured, task.sex, task.bsa_m2)), {})


def measurement_rows(measured: Measurements, sex: Sex | None, bsa_m2: float | None) -> tuple[MeasurementRow, ...]:
    """Return measurements beside their norms; those that are not finite are left out."""
    return tuple(
        MeasurementRow(
            key=compared.measurement.key,
            name=compared.measurement.name,
            value=compared.value,
            unit=compared.unit,
            low=compared.low,
            high=compared.high,
            verdict=compared.verdict,
            citation=compared.citation,
        )
        for compared in compare(measured, sex, bsa_m2)
        if math.isfinite(compared.value)
    )


def fit(engine: Engine, task: FitTask, arrays: Arrays, report: Reporter) -> Answer:
    """Fit the model to a label map."""
    report(0, 1, "reading the label map")
    model, start = _where_to_begin(engine, task)
    heart = LabelledHeart.from_volume(task.name, volume_in(arrays, "labels", task.affine, "The fit needs a label map"))
    stages = POSE_STAGES if task.pose_only else STAGES
    with report.part(0.02, 0.95) as progress:
        found = fit_model(model, heart, task.limit_sigma, stages, progress, start)
    with report.part(0.95, 1.0) as progress:
        progress(0, 1, "measuring the residual")
        residual = residual_distance_mm(model.mesh(found.parameters), heart)
    result = FitResult(
        parameters=found.parameters,
        dice=found.dice,
        distance_mm=found.distance_mm,
        mean_dice=found.mean_dice,
        initial_dice=found.initial_dice,
        missing_regions=tuple(region.key for region in anatomy.regions() if region.label not in heart.present),
    )
    return Answer(result, {"residual_mm": residual})


def volume_in(arrays: Arrays, name: str, affine: Sequence[Sequence[float]], needs: str) -> Volume:
    """Return an array that came with a request, on its grid.

    Raises:
        InputError: there is none, or it is not of three dimensions.
    """
    array = arrays.get(name)
    if array is None or array.ndim != 3:
        given = "none" if array is None else f"one of {array.ndim} dimensions"
        raise InputError(f"{needs} of three dimensions, not {given}; choose another volume.")
    return Volume(array, Grid((array.shape[0], array.shape[1], array.shape[2]), np.array(affine)))


def _where_to_begin(engine: Engine, task: FitTask) -> tuple[ShapeModel, HeartParameters | None]:
    """Return the model with as many modes as asked for, and the start with as many weights."""
    start = task.start
    if task.pose_only and start is None:
        raise InputError("To register a heart without changing its shape the task needs that heart; give 'start'.")
    if start is None:
        return engine.model(task.modes), None
    check_proportions(start)
    model = engine.model(len(start.weights) if task.pose_only else task.modes)
    missing = model.mode_count - len(start.weights)
    if missing < 0:
        raise InputError(
            f"The heart to start from has {len(start.weights)} weights, but the fit is to use {model.mode_count} "
            f"modes; use at least {len(start.weights)}."
        )
    return model, start.model_copy(update={"weights": (*start.weights, *[0.0] * missing)})


def residual_distance_mm(mesh: HeartMesh, heart: LabelledHeart) -> NDArray[np.float32]:
    """Return the signed distance (V,) of each vertex to its region's surface in a label map.

    Positive where the mesh lies outside the label map's region, NaN where the map lacks the region.
    """
    residual = np.full(mesh.topology.vertex_count, np.nan, dtype=np.float32)
    for label in heart.present:
        own = mesh.topology.vertex_region == label
        residual[own] = signed_distance_mm(mesh.surface(label), heart.surface(label))
    return residual


def region_histogram(
    engine: Engine,  # noqa: ARG001 (as all tasks)
    task: RegionHistogramTask,
    arrays: Arrays,
    report: Reporter,
) -> Answer:
    """Count the HU of each region of a scan."""
    report.check()
    scan = volume_in(arrays, "hu", task.scan_affine, "A histogram needs a scan")
    labels = volume_in(arrays, "labels", task.labels_affine, "A histogram needs a label map")
    try:
        found = region_histograms(scan, labels, np.array(task.edges_hu))
    except InputError as error:
        raise InputError(f"{task.name}: {error}") from error
    names = {region.label: region for region in anatomy.regions()}
    rows = tuple(
        RegionHistogramRow(
            region=names[each.label].key,
            name=names[each.label].name,
            **{**dataclasses.asdict(each), "counts": tuple(each.counts.tolist())},
        )
        for each in found
    )
    return Answer(RegionHistogramResult(edges_hu=task.edges_hu, regions=rows), {})


def mode_table(engine: Engine, task: ModeTableTask, report: Reporter) -> Answer:
    """Describe every mode in words."""
    described = describe_modes(engine.model(task.modes), task.sigma, report)
    cumulative = np.cumsum([mode.explained for mode in described])
    rows = tuple(
        ModeRow(
            mode=number,
            explained=mode.explained,
            cumulative=min(float(total), 1.0),
            description=mode.text,
            changes=dict(mode.changes),
        )
        for number, (mode, total) in enumerate(zip(described, cumulative, strict=True), start=1)
    )
    return Answer(ModeTableResult(sigma=task.sigma, modes=rows), {})


def describe(engine: Engine, task: DescribeTask, report: Reporter) -> Answer:  # noqa: ARG001 (as all tasks)
    """Tell versions, device and the model's card."""
    versions = {"fedsim": __version__, "python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in _LIBRARIES}
    model = engine.model()
    card = {
        "sha256": model.checksum,
        "modes": model.mode_count,
        "modes_in_file": engine.modes_in_file(),
        "vertices": model.topology.vertex_count,
        "faces": len(model.topology.faces),
        "eigenvalues_mm2": model.eigenvalues.tolist(),
        **model.header.model_dump(mode="json"),
    }
    device = device_report(engine.device, engine.preference)
    return Answer(DescribeResult(versions=versions, device=device, model=card), {})
