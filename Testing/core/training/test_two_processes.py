"""Two processes share each step: Fabric's DDP over gloo, started by the command line as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from FedSimCore.errors import ExitCode
from FedSimCore.runs.control import request_stop
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.config import TrainingConfig
from Testing.core.training.small_runs import enhancer_config, events_of, small_config, weights_of, write_cohort

pytestmark = pytest.mark.slow

TIMEOUT_S = 600


def command_of(config: TrainingConfig, run: Path) -> list[str]:
    """Return the command that trains what a config says."""
    recipe = run.with_suffix(".json")
    recipe.write_text(json.dumps({"schema": "fedsim/recipe/1", **config.model_dump(mode="json")}))
    return [sys.executable, "-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(run)]


def train(config: TrainingConfig, run: Path) -> subprocess.CompletedProcess[str]:
    """Train what a config says, in processes of its own."""
    done = subprocess.run(command_of(config, run), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_make_the_weights_of_one(tmp_path):
    cohort = write_cohort(tmp_path)
    runs = [tmp_path / "one", tmp_path / "two"]
    for devices, run in enumerate(runs, start=1):
        train(small_config(cohort, devices=devices, batch_size=4, steps=8, learning_rate=1e-2), run)
    one, two = (weights_of(run) for run in runs)
    assert one.keys() == two.keys()
    learnt = [name for name in one if name.startswith("modules.")]
    assert len(learnt) == 5
    for name in learnt:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)
    curves = [[event for event in events_of(run) if event.kind == "progress" and event.step] for run in runs]
    assert [event.metrics["loss"] for event in curves[1]] == pytest.approx(
        [event.metrics["loss"] for event in curves[0]], abs=1e-5
    )


def test_adversaries_train_in_two_processes_too(ct_cohort, generator_run, tmp_path):
    run = tmp_path / "run"
    train(enhancer_config(ct_cohort, generator_run, devices=2, batch_size=6, steps=4), run)
    assert status(RunFolder(run)).state == "finished"
    assert (run / "model" / "enhancer-a.safetensors").is_file()


def test_a_stop_ends_both_processes_and_is_told_once(tmp_path):
    run = tmp_path / "run"
    config = small_config(write_cohort(tmp_path), devices=2, batch_size=4, steps=100_000)
    with subprocess.Popen(command_of(config, run), stderr=subprocess.PIPE, text=True) as training:
        deadline = time.monotonic() + TIMEOUT_S
        while not (run / "config.json").exists() or status(RunFolder(run)).step < 2:
            assert training.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        request_stop(RunFolder(run))
        _, told = training.communicate(timeout=TIMEOUT_S)
    assert training.returncode == ExitCode.CANCELLED
    assert told.count("Stopped after step") == 1
    assert status(RunFolder(run)).state == "stopped"
