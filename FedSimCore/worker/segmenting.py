"""The tasks of finding a heart in a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from FedSimCore.errors import InputError
from FedSimCore.progress import Progress
from FedSimCore.segmentation.card import card
from FedSimCore.segmentation.inference import WINDOWS
from FedSimCore.segmentation.looking import LOOKING
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file, shipped_segmenter
from FedSimCore.segmentation.predict import ONTO_SCAN
from FedSimCore.segmentation.predict import segment as find
from FedSimCore.segmentation.working import ONTO_WORKING
from FedSimCore.volumes import Grid, Volume
from FedSimCore.worker.engine import Answer, Arrays, Engine
from FedSimCore.worker.protocol import (
    OpenSegmenterResult,
    OpenSegmenterTask,
    SegmentedRegion,
    SegmenterRegion,
    SegmentResult,
    SegmentTask,
)
from FedSimCore.worker.reporting import Reporter


def open_segmenter(engine: Engine, task: OpenSegmenterTask, report: Reporter) -> Answer:
    """Tell what a segmenter is."""
    report(0, 1, "opening the segmenter")
    path = _file(task.file)
    segmenter = engine.segmenter(path)
    header = segmenter.header
    result = OpenSegmenterResult(
        file=str(path),
        sha256=segmenter.checksum,
        regions=tuple(SegmenterRegion(label=v, key=k, name=n) for v, (k, n) in header.region_names().items()),
        spacing_mm=header.spacing_mm,
        patch=header.patch,
        flips=header.flips,
        trained_on=header.trained_on,
        cases=header.cases,
        metrics=header.metrics,
        card=_card(path, segmenter),
    )
    return Answer(result, {})


def segment(engine: Engine, task: SegmentTask, arrays: Arrays, report: Reporter) -> Answer:
    """Find the heart in a scan."""
    report(0, 1, "opening the segmenter")
    array = arrays.get("hu")
    if array is None or array.ndim != 3:
        given = "none" if array is None else f"one of {array.ndim} dimensions"
        raise InputError(f"Segmenting needs a scan of three dimensions, not {given}; choose another volume.")
    scan = Volume(array, Grid((array.shape[0], array.shape[1], array.shape[2]), np.array(task.affine)))
    segmenter = engine.segmenter(_file(task.file))
    try:
        found = find(
            scan,
            segmenter,
            device=engine.device,
            flips=task.flips,
            uncertainty=task.uncertainty,
            progress=_as_one(report),
        )
    except InputError as error:
        raise InputError(f"{task.name}: {error}") from error
    result = SegmentResult(
        found=found.found,
        regions=tuple(
            SegmentedRegion(label=value, key=key, name=name, volume_ml=found.volumes_ml[key])
            for value, (key, name) in segmenter.header.region_names().items()
        ),
        confidence=found.confidence,
        warnings=found.warnings,
        segmenter_sha256=segmenter.checksum,
    )
    answer = {"labels": found.labels.array}
    if found.uncertainty is not None:
        percent = found.uncertainty.array
        percent *= np.float16(100)
        answer["uncertainty"] = np.rint(percent, out=percent).astype(np.uint8)
    return Answer(result, answer)


def _as_one(report: Reporter) -> Progress:
    """Return a progress whose stages follow each other as parts of one; windows take nearly all of the time."""
    bounds = {ONTO_WORKING: (0.0, 0.05), LOOKING: (0.05, 0.6), WINDOWS: (0.6, 0.92), ONTO_SCAN: (0.92, 1.0)}

    def progress(done: int, total: int, stage: str, /) -> None:
        first, last = bounds[stage]
        with report.part(first, last) as part:
            part(done, total, stage)

    return progress


def _file(name: str | None) -> Path:
    return shipped_segmenter() if name is None else segmenter_file(Path(name))


def _card(path: Path, segmenter: Segmenter) -> str:
    for beside in (path.with_suffix(".md"), path.with_name("card.md")):
        if beside.is_file():
            return beside.read_text(encoding="utf-8", errors="replace")
    return card(segmenter)
