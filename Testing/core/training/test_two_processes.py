"""Two processes share each step: Fabric's DDP over gloo, started by the command line as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.config import TrainingConfig
from Testing.core.training.small_runs import enhancer_config, events_of, small_config, weights_of, write_cohort

pytestmark = pytest.mark.slow

TIMEOUT_S = 600


def train(config: TrainingConfig, run: Path) -> subprocess.CompletedProcess[str]:
    """Train what a config says, in processes of its own."""
    recipe = run.with_suffix(".json")
    recipe.write_text(json.dumps({"schema": "fedsim/recipe/1", **config.model_dump(mode="json")}))
    command = [sys.executable, "-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
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
