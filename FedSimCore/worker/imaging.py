"""The tasks ``labels``, ``preview`` and ``render``."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.ct.body import Body
from FedSimCore.ct.materials import changed_tissue, label_in_words, tissues
from FedSimCore.ct.recipe import scan
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.scanners import scanner as named_scanner
from FedSimCore.ct.simulator import CTSimulator
from FedSimCore.worker.engine import Answer, Engine, body_key
from FedSimCore.worker.protocol import (
    LabelsResult,
    LabelsTask,
    PreviewResult,
    PreviewTask,
    RenderPart,
    RenderResult,
    RenderTask,
    ScannerChoice,
    ScanRow,
)
from FedSimCore.worker.recipes import recipe_of
from FedSimCore.worker.reporting import Reporter

# What may change without projecting the body anew.
_PROTOCOL = {"key", "name", "kvp", "monochromatic_kev", "mas", "phase", "kernel", "slice_thickness_mm"}
_PROTOCOL |= {"detective_efficiency", "electronic_noise_kev"}
# How long putting the heart into its surroundings takes, in views of a scan.
_BODY_WEIGHT = {"thorax": 65, "fat": 12, "none": 1}


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
    phase = task.phase or scanner.phase
    known = tissues(phase)
    changed = {
        label: changed_tissue(material.base, phase, **material.model_dump(exclude={"base"}), what=label_in_words(label))
        for label, material in task.materials.items()
    }
    scene_key = (body_key(task, task.grid), scanner.model_dump_json(exclude=_PROTOCOL))
    scene = engine.scenes.get(scene_key)
    reused: Literal["nothing", "body", "scene"] = "scene" if scene is not None else "body" if body_known else "nothing"
    with torch.no_grad():
        if scene is None and body_known:
            with report.part(0.0, 0.8) as progress:
                scene = engine.scenes.put(scene_key, _simulator(engine, scanner, body).prepare(body, progress=progress))
        if scene is not None:
            hounsfield = scene.render({**body.tissues(known), **changed}, scanner, task.noise_seed)
        else:
            simulator = _simulator(engine, scanner, body)
            hounsfield = simulator.simulate(body, known, apart=changed, seed=task.noise_seed, progress=report)
    arrays = {"hu": _voxels(hounsfield), "labels": engine.labels(task.parameters, task.grid).array}
    return Answer(PreviewResult(grid=task.grid, scanner=scanner.key, reused=reused), arrays)


def render(engine: Engine, task: RenderTask, report: Reporter) -> Answer:
    """Scan a heart in full quality with every scanner of the task; each image is handed over when it is done."""
    sha256 = engine.model_sha256()
    recipes = [recipe_of(task, number, sha256) for number in range(len(task.scanners))]
    parts = report.parts([_BODY_WEIGHT[task.surroundings], *(recipe.scanner.views for recipe in recipes)])
    progress = next(parts)
    progress(0, 1, "placing the heart in its surroundings")
    body = engine.body(task, task.grid)
    rows: list[ScanRow] = []
    for number, (recipe, progress) in enumerate(zip(recipes, parts, strict=True)):
        began, name = time.perf_counter(), f"hu_{number}"
        arrays = {name: scan(recipe, body, engine.device, progress).array}
        if number == 0:
            arrays["labels"] = engine.labels(task.parameters, task.grid).array
        row = ScanRow(
            scanner=recipe.scanner.key,
            name=recipe.scanner.name,
            array=name,
            seconds=time.perf_counter() - began,
            recipe=recipe.content(),
        )
        rows.append(row)
        report.hand_over(RenderPart(grid=task.grid, scan=row, number=number, count=len(recipes)), arrays)
    return Answer(RenderResult(grid=task.grid, scans=tuple(rows)), {})


def _scanner(choice: ScannerChoice, **changes: Any) -> Scanner:
    return named_scanner(choice.key).with_changes(**{**choice.changes, **changes})


def _simulator(engine: Engine, scanner: Scanner, body: Body) -> CTSimulator:
    return CTSimulator(scanner, body.inner.grid, whole_field=body.outer is not None, device=engine.device)


def _voxels(hounsfield: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = hounsfield[0, 0].float().cpu().numpy()
    return array
