"""The tasks ``labels``, ``preview`` and ``render``."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.ct.body import Body
from FedSimCore.ct.materials import Tissue, tissue, tissues
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.scanners import scanner as named_scanner
from FedSimCore.ct.schema import checked
from FedSimCore.ct.simulator import CTSimulator, Scene
from FedSimCore.worker.engine import Answer, Engine, body_key
from FedSimCore.worker.protocol import (
    GridSpec,
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
    report(1, 3, "scanning")
    by_label = _tissues(task, body, scanner)
    scene_key = (body_key(task, task.grid), scanner.model_dump_json(exclude=_PROTOCOL))
    scene = engine.scenes.get(scene_key)
    reused: Literal["nothing", "body", "scene"] = "scene" if scene is not None else "body" if body_known else "nothing"
    if scene is None and body_known:
        scene = engine.scenes.put(scene_key, _simulator(engine, scanner, body, task.grid).prepare(body))
    report(2, 3, "scanning")
    if scene is not None:
        hounsfield = _render(scene, by_label, scanner, task.noise_seed)
    else:
        hounsfield = _simulate(_simulator(engine, scanner, body, task.grid), body, by_label, task.noise_seed)
    arrays = {"hu": hounsfield, "labels": engine.labels(task.parameters, task.grid).array}
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
    # The generator that gives the parts comes first: `zip` must not take a scanner and find no part for it.
    for number, (progress, scanner) in enumerate(zip(parts, scanners, strict=False)):
        began = time.perf_counter()
        progress(0, 1, f"scanning with {scanner.key}")
        simulator = _simulator(engine, scanner, body, task.grid)
        name = f"hu_{number}"
        arrays[name] = _simulate(simulator, body, _tissues(task, body, scanner), task.noise_seed)
        rows.append(ScanRow(scanner=scanner.key, name=scanner.name, array=name, seconds=time.perf_counter() - began))
    return Answer(RenderResult(grid=task.grid, scans=tuple(rows)), arrays)


def _scanner(choice: ScannerChoice, **changes: Any) -> Scanner:
    return named_scanner(choice.key).with_changes(**{**choice.changes, **changes})


def _simulator(engine: Engine, scanner: Scanner, body: Body, grid: GridSpec) -> CTSimulator:
    whole = body.outer is not None

    def make() -> CTSimulator:
        return CTSimulator(scanner, grid.grid(), whole_field=whole, device=engine.device)

    return engine.simulators.get_or_make((scanner, grid, whole), make)


def _tissues(settings: ScanSettings, body: Body, scanner: Scanner) -> dict[int, Tissue]:
    """Return the tissue of every label: the body's own, or what the user made of it."""
    phase = settings.phase or scanner.phase
    result = body.tissues(tissues(phase))
    for label, material in settings.materials.items():
        made = tissue(material.base, phase)
        given = material.model_dump(exclude={"base"}, exclude_none=True)
        result[label] = checked(Tissue, {**made.model_dump(), **given}, f"The material of label {label}")
    return result


def _simulate(simulator: CTSimulator, body: Body, by_label: dict[int, Tissue], seed: int | None) -> NDArray[np.float32]:
    keys = {label: f"label {label}" for label in by_label}
    known = {keys[label]: made for label, made in by_label.items()}
    with torch.no_grad():
        return _voxels(simulator.simulate(Body(body.inner, keys, body.outer), known, seed=seed))


def _render(scene: Scene, by_label: dict[int, Tissue], scanner: Scanner, seed: int | None) -> NDArray[np.float32]:
    with torch.no_grad():
        return _voxels(scene.render(by_label, scanner, seed))


def _voxels(hounsfield: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = hounsfield[0, 0].float().cpu().numpy()
    return array
