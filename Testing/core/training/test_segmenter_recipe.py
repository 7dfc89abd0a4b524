"""A segmenter learns from a cohort, from chests made at random, or from both, and goes on from another one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from FedSimCore.errors import CancelledError, InputError
from FedSimCore.progress import silent
from FedSimCore.runs.events import Evaluated
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.training.recipes import checked_config, read_recipe
from FedSimCore.training.segmenter import build
from FedSimCore.training.segmenter_config import SegmenterConfig
from FedSimCore.training.session import begin, resume
from FedSimCore.volumes.io import read_label_map
from Testing.core.training.small_runs import QUICK, assert_same_bits, events_of, stop_after, weights_of

TINY: dict[str, Any] = {
    "recipe": "segmenter",
    "spacing_mm": 8.0,
    "patch": 16,
    "channels": [8, 16],
    "windows_hu": [-600.0, 600.0],
    "steps": 6,
    "batch_size": 2,
    "warm_up": 2,
    "precision": "32-true",
}


def config_of(cohort: Path | None, **changes: Any) -> SegmenterConfig:
    """Return a config that takes a second or two."""
    fields = {**TINY, **QUICK, **({"cohort": str(cohort)} if cohort else {}), **changes}
    config = checked_config(fields, "the test")
    assert isinstance(config, SegmenterConfig)
    return config


@pytest.fixture(scope="module")
def split_cohort(ct_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort with two validation cases."""
    folder = tmp_path_factory.mktemp("split") / "cohort"
    shutil.copytree(ct_cohort, folder)
    head, *rows = (folder / "cohort.csv").read_text().split("\n")
    roles = ["train"] * 4 + ["val"] * 2
    lines = [f"{row},{role}" for row, role in zip(rows, roles, strict=True)]
    (folder / "cohort.csv").write_text("\n".join([f"{head},split", *lines]))
    return folder


@pytest.fixture(scope="module")
def learnt(split_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt what these hearts look like."""
    run = tmp_path_factory.mktemp("learnt") / "run"
    begin(
        config_of(
            split_cohort, steps=120, evaluate_every=20, picture_every=60, checkpoint_every=60, learning_rate=1e-2
        ),
        RunFolder(run),
    )
    return run


def test_the_recipe_that_ships_needs_data():
    known, origin = read_recipe("segmenter")
    with pytest.raises(InputError, match="nothing to learn from"):
        checked_config(known, origin)


def test_validation_dice_rises_while_it_learns(learnt: Path):
    dice = [e.metrics["held/dice"] for e in events_of(learnt) if isinstance(e, Evaluated) and "held/dice" in e.metrics]
    assert dice[-1] > dice[0] + 0.2
    assert max(dice) > 0.4


def test_the_best_model_by_validation_is_written(learnt: Path):
    told = [e for e in events_of(learnt) if isinstance(e, Evaluated) and "held/dice" in e.metrics]
    best = max(told, key=lambda event: event.metrics["held/dice"])
    written = Segmenter.load(learnt / "model" / "segmenter.safetensors").header
    assert written.metrics == pytest.approx({"held_dice": best.metrics["held/dice"], "step": best.step})


def test_the_file_tells_what_it_has_learnt_from_and_no_validation_case(learnt: Path):
    header = Segmenter.load(learnt / "model" / "segmenter.safetensors").header
    assert sorted(header.cases) == ["heart0", "heart1", "heart2", "heart3"]
    assert header.trained_on == ("4 labelled cases of a, b",)
    assert (header.spacing_mm, header.patch, header.channels) == (8.0, 16, (8, 16))
    assert "Not for clinical use" in (learnt / "model" / "card.md").read_text()


def test_pictures_show_a_validation_case(learnt: Path):
    assert list((learnt / "pictures").glob("*.png"))


def test_a_case_lies_on_the_working_lattice_with_its_labels(split_cohort: Path):
    task = build(config_of(split_cohort), silent)
    case = task.cases.cohort[0]
    label = read_label_map(split_cohort / "heart0_label.nii.gz")
    ml = np.count_nonzero(label.array) * label.grid.voxel_volume_mm3
    assert np.count_nonzero(case.label.numpy()) * 8.0**3 == pytest.approx(ml, rel=0.05)
    assert case.hounsfield.shape == case.label.shape


def test_a_sample_depends_on_seed_and_number_alone(split_cohort: Path):
    one, other = (build(config_of(split_cohort, augmentation="wide"), silent) for _ in range(2))
    phase = one.phases(3)[0]
    assert list(phase.samples) == [6, 7]
    inputs, label = phase.load([7])
    again, same = other.phases(0)[0].load([7])
    assert torch.equal(inputs, again)
    assert torch.equal(label, same)
    assert not torch.equal(inputs, other.phases(0)[0].load([8])[0])


def test_the_rate_rises_and_falls_to_nothing(split_cohort: Path):
    task = build(config_of(split_cohort, steps=100, warm_up=10, learning_rate=1.0), silent)
    rates = [task.learning_rates(step)["adam"][0] for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3


def test_a_training_that_was_interrupted_ends_with_the_bits_of_an_unbroken_one(split_cohort: Path, tmp_path: Path):
    config = config_of(split_cohort, report_every=1, evaluate_every=2, augmentation="wide", precision="bf16-mixed")
    begin(config, RunFolder(tmp_path / "whole"))
    half = RunFolder(tmp_path / "half")
    with pytest.raises(CancelledError):
        begin(config, half, stop_after(half, 3))
    resume(half)
    assert status(half).state == "finished"
    assert_same_bits(weights_of(tmp_path / "half"), weights_of(tmp_path / "whole"))


def test_fine_tuning_takes_sizes_and_weights_of_the_model_it_starts_from(split_cohort: Path, learnt: Path):
    config = config_of(split_cohort, init=str(learnt), spacing_mm=None, patch=None, channels=None, windows_hu=None)
    task = build(config, silent)
    start = Segmenter.load(learnt / "model" / "segmenter.safetensors")
    assert (task.header.spacing_mm, task.header.channels) == (8.0, (8, 16))
    assert task.header.windows_hu == ((-600.0, 600.0),)
    assert_same_bits(dict(task.modules["network"].state_dict()), dict(start.network.state_dict()))
    assert task.header.trained_on == ("4 labelled cases of a, b",) * 2


def test_fine_tuning_refuses_another_network(split_cohort: Path, learnt: Path):
    with pytest.raises(InputError, match="regions = seven, but the config heart"):
        build(config_of(split_cohort, init=str(learnt), regions="heart", channels=None), silent)


def test_a_model_that_has_learnt_from_a_validation_case_is_refused(split_cohort: Path, learnt: Path, tmp_path: Path):
    segmenter = Segmenter.load(learnt / "model" / "segmenter.safetensors")
    segmenter.header = segmenter.header.model_copy(update={"cases": ("heart4",)})
    file = segmenter.save(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="heart4, a validation case"):
        build(config_of(split_cohort, init=str(file)), silent)


def test_the_binary_case_learns_one_region(split_cohort: Path):
    task = build(config_of(split_cohort, regions="heart"), silent)
    _, label = task.phases(0)[0].load([0, 1])
    assert set(label.unique().tolist()) <= {0, 1}
    assert list(task.evaluate()) == ["held/dice", "held/best_dice", "held/dice_heart"]


def test_random_chests_are_learnt_from_beside_a_cohort(split_cohort: Path, tmp_path: Path):
    config = config_of(
        split_cohort, synthetic=2, synthetic_source="model", synthetic_share=0.5, anatomies=str(tmp_path)
    )
    task = build(config, silent)
    assert [case.structures is not None for case in task.cases.synthetic] == [True, True]
    assert len(list(tmp_path.glob("model-*.npz"))) == 2
    assert not task.cases.held_is_synthetic
    assert any("2 chests made at random" in sentence for sentence in task.header.trained_on)


def test_without_a_cohort_random_chests_are_held_out_too(tmp_path: Path):
    config = config_of(None, synthetic=1, synthetic_source="model", held_cases=1, anatomies=str(tmp_path))
    task = build(config, silent)
    assert task.cases.held_is_synthetic
    assert task.cases.held[0].name != task.cases.synthetic[0].name
    first = task.evaluate()["held/dice"]
    assert task.evaluate()["held/dice"] == first


def test_a_cohort_of_another_modality_is_refused(split_cohort: Path, tmp_path: Path):
    folder = tmp_path / "mr"
    shutil.copytree(split_cohort, folder)
    table = folder / "cohort.csv"
    head, *rows = table.read_text().split("\n")
    table.write_text("\n".join([f"{head},modality", *(f"{row},MR" for row in rows)]))
    with pytest.raises(InputError, match="heart0: it is MR"):
        build(config_of(folder), silent)
