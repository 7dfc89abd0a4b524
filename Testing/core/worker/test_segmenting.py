"""Segmenters in the worker, asked through a real process."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.segmentation.predict import segment
from FedSimCore.volumes import Volume
from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_events import RequestFailed, RequestProgress
from Testing.core.segmentation.thresholds import heart_labels, painted, untrained
from Testing.core.worker.conversation import Conversation


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained().save(tmp_path_factory.mktemp("segmenter") / "small.safetensors")


@pytest.fixture(scope="module")
def scan() -> Volume:
    return painted(heart_labels(4.0))


def task_of(scan: Volume, file: Path, **changes: object) -> p.SegmentTask:
    return p.SegmentTask(file=str(file), affine=tuple(map(tuple, scan.grid.affine.tolist())), **changes)


def test_an_opened_segmenter_tells_its_regions_and_its_card(conversation: Conversation, file: Path):
    told = conversation.ask(p.OpenSegmenterTask(file=str(file))).result
    assert told.sha256 == Segmenter.load(file).checksum
    assert [(r.label, r.key) for r in told.regions][:2] == [(1, "lv"), (2, "myo")]
    assert "Not for clinical use" in told.card
    assert told.spacing_mm == 3.0


def test_a_scan_comes_back_as_labels_on_its_grid(conversation: Conversation, file: Path, scan: Volume):
    arrays = {"hu": scan.array.astype(np.int16)}
    done = conversation.ask(task_of(scan, file, uncertainty=True), arrays=arrays)
    expected = segment(scan, Segmenter.load(file), uncertainty=True)
    assert done.result.found == expected.found
    assert np.array_equal(done.arrays["labels"], expected.labels.array)
    assert done.arrays["labels"].dtype == np.uint8
    assert np.abs(done.arrays["uncertainty"] - 100 * expected.uncertainty.array.astype(np.float32)).max() <= 0.6
    assert {r.key: r.volume_ml for r in done.result.regions} == pytest.approx(expected.volumes_ml)
    assert done.result.warnings == expected.warnings


def test_progress_never_goes_back_and_ends_full(conversation: Conversation, file: Path, scan: Volume):
    done = conversation.ask(task_of(scan, file), arrays={"hu": scan.array})
    told = [e.fraction for e in conversation.told(RequestProgress) if e.request == done.request]
    assert told == sorted(told)
    assert told[-1] > 0.9


def test_a_scan_that_is_too_thin_is_refused_by_its_name(conversation: Conversation, file: Path, scan: Volume):
    failed = conversation.ask(task_of(scan, file, name="Thorax 3"), arrays={"hu": scan.array[:4]})
    assert isinstance(failed, RequestFailed)
    assert failed.cause == "input"
    assert failed.sentence.startswith("Thorax 3: The scan is 4 x ")


def test_without_a_scan_the_task_says_what_it_needs(conversation: Conversation, file: Path, scan: Volume):
    failed = conversation.ask(task_of(scan, file))
    assert "needs a scan of three dimensions, not none" in failed.sentence


def test_a_file_that_has_changed_is_read_again(conversation: Conversation, file: Path, tmp_path: Path):
    own = tmp_path / "own.safetensors"
    shutil.copy(file, own)
    before = conversation.ask(p.OpenSegmenterTask(file=str(own))).result.sha256
    untrained(channels=(8, 8)).save(own)
    assert conversation.ask(p.OpenSegmenterTask(file=str(own))).result.sha256 != before


def test_a_missing_file_gives_one_sentence(conversation: Conversation, tmp_path: Path):
    failed = conversation.ask(p.OpenSegmenterTask(file=str(tmp_path / "none.safetensors")))
    assert "does not exist" in failed.sentence
