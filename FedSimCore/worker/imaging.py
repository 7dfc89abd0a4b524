"""The tasks ``labels``, ``preview`` and ``render``."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.ct.body import Body
from FedSimCore.ct.materials import Tissue, changed_tissue, tissues
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.scanners import scanner as named_scanner
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.progress import Progress
from FedSimCore.worker.engine import Answer, Engine, body_key
from FedSimCore.worker.protocol import (
    LabelsResult,
    LabelsTask,
    PreviewResult,
    PreviewTask,
    RenderResult,
    RenderTask,
    ScannerChoice,
    ScanRow,
    ScanSettings,
)
from FedSimCore.worker.reporting import Reporter

# What may change without projecting the body anew.
_PROTOCOL = {"key", "name", "kvp", "monochromatic_kev", "mas", "phase", "kernel", "slice_thickness_mm"}
_PROTOCOL |= {"detective_efficiency", "electronic_noise_kev"}
# How long putting the heart into its surroundings takes, in views of a scan.
_BODY_WEIGHT = {"thorax": 90, "fat": 15, "none": 1}


def labels(engine: Engine, task: LabelsTask, report: Reporter) -> Answer:
    """Voxelize a heart."""
    report.check()
    return Answer(LabelsResult(grid=task.grid), {"labels": engine.labels(task.parameters, task.grid).array})


def preview(engine: Engine, task: PreviewTask, report: Reporter) -> Answer:
    """Scan a heart coarsely, with as little work as what is remembered allows.

    A new shape is scanned at once through basis materials. When the same shape is asked for again, its labels are
    projected one by one; from then on a change of materials, voltage, dose or kernel costs a reconstruction only.
    """
    scanner = _scanner(task.scanner, views=task.views)
    body_known = engine.bodies.get(body_key(task, task.grid)) is not None
    body = engine.body(task, task.grid)
    by_label = _tissues(task, body, scanner)
    scene_key = (body_key(task, task.grid), scanner.model_dump_json(exclude=_PROTOCOL))
    scene = engine.scenes.get(scene_key)
    reused: Literal["nothing", "body", "scene"] = "scene" if scene is not None else "body" if body_known else "nothing"
    with torch.no_grad():
        if scene is None and body_known:
            with report.part(0.0, 0.8) as progress:
                scene = engine.scenes.put(scene_key, _simulator(engine, scanner, body).prepare(body, progress=progress))
        if scene is not None:
            hounsfield = scene.render(by_label, scanner, task.noise_seed)
        else:
            hounsfield = _simulate(_simulator(engine, scanner, body), body, by_label, task.noise_seed, report)
    arrays = {"hu": _voxels(hounsfield), "labels": engine.labels(task.parameters, task.grid).array}
    return Answer(PreviewResult(grid=task.grid, scanner=scanner.key, reused=reused), arrays)


def render(engine: Engine, task: RenderTask, report: Reporter) -> Answer:
    """Scan a heart in full quality with every scanner of the task."""
    scanners = [_scanner(choice) for choice in task.scanners]
    parts = report.parts([_BODY_WEIGHT[task.surroundings], *(scanner.views for scanner in scanners)])
    progress = next(parts)
    progress(0, 1, "placing the heart in its surroundings")
    body = engine.body(task, task.grid)
    arrays: dict[str, NDArray[Any]] = {"labels": engine.labels(task.parameters, task.grid).array}
    rows = []
    for number, (scanner, progress) in enumerate(zip(scanners, parts, strict=True)):
        began = time.perf_counter()
        by_label, name = _tissues(task, body, scanner), f"hu_{number}"
        with torch.no_grad():
            hounsfield = _simulate(_simulator(engine, scanner, body), body, by_label, task.noise_seed, progress)
        arrays[name] = _voxels(hounsfield)
        rows.append(ScanRow(scanner=scanner.key, name=scanner.name, array=name, seconds=time.perf_counter() - began))
    return Answer(RenderResult(grid=task.grid, scans=tuple(rows)), arrays)


def _scanner(choice: ScannerChoice, **changes: Any) -> Scanner:
    return named_scanner(choice.key).with_changes(**{**choice.changes, **changes})


def _simulator(engine: Engine, scanner: Scanner, body: Body) -> CTSimulator:
    return CTSimulator(scanner, body.inner.grid, whole_field=body.outer is not None, device=engine.device)


def _tissues(settings: ScanSettings, body: Body, scanner: Scanner) -> dict[int, Tissue]:
    """Return the tissue of every label: the body's own, or what the user made of it."""
    phase = settings.phase or scanner.phase
    result = body.tissues(tissues(phase))
    for label, material in settings.materials.items():
        given = material.model_dump(exclude={"base"})
        result[label] = changed_tissue(material.base, phase, **given, what=f"label {label}")
    return result


def _simulate(
    simulator: CTSimulator, body: Body, by_label: dict[int, Tissue], seed: int | None, progress: Progress
) -> torch.Tensor:
    """Scan with a tissue of its own for every label, which the body's keys alone could not tell apart."""
    keys = {label: f"label {label}" for label in by_label}
    known = {keys[label]: made for label, made in by_label.items()}
    return simulator.simulate(Body(body.inner, keys, body.outer), known, seed=seed, progress=progress)


def _voxels(hounsfield: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = hounsfield[0, 0].float().cpu().numpy()
    return array
