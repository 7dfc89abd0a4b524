"""fedsim train and fedsim runs, as people and programs call them."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.cli.training_display import time_left
from FedSimCore.errors import InputError
from FedSimCore.runs.control import wait_until_ended
from FedSimCore.runs.folder import RunFolder
from Testing.core.training.small_runs import assert_same_bits, small_config, weights_of, write_cohort


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe file of a training that takes two seconds."""
    folder = tmp_path_factory.mktemp("recipe")
    config = small_config(write_cohort(folder), steps=8)
    (folder / "small.json").write_text(
        json.dumps({"schema": "fedsim/recipe/1", **config.model_dump(mode="json", exclude={"cohort"})})
    )
    return folder / "small.json"


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "first"
    made = json.loads(call("train", recipe, "-o", run, "--set", f"cohort={recipe.parent / 'cohort'}", "--json"))
    assert made["state"] == "finished"
    assert made["files"] == [str(run / "shape_generator.safetensors")]
    return run


def test_a_training_is_listed_shown_and_compared_with_another(recipe, trained):
    cohort = recipe.parent / "cohort"
    other = trained.parent / "second"
    call("train", recipe, "-o", other, "--set", f"cohort={cohort}", "--set", "seed=1", "--set", "steps=4")
    listed = json.loads(call("runs", "list", trained.parent, "--json"))["runs"]
    assert [(run["name"], run["state"], run["step"]) for run in listed] == [
        ("first", "finished", 8),
        ("second", "finished", 4),
    ]
    shown = json.loads(call("runs", "show", trained, "--json"))
    assert shown["config"]["seed"] == 0
    assert shown["summary"]["sessions"][0]["commit"]
    assert shown["status"]["metrics"]["train/iou"] > 0
    compared = json.loads(call("runs", "compare", trained, other, "--json"))
    assert compared["config"] == {"seed": [0, 1], "steps": [8, 4]}
    assert len(compared["metrics"]["train/iou"]) == 2
    for table in (call("runs", "show", trained), call("runs", "compare", trained, other), call("runs", "list", other)):
        assert "finished" in table


def test_a_run_in_the_background_goes_on_without_its_starter_until_it_is_stopped(recipe, trained):
    run = trained.parent / "background"
    settings = ["--set", f"cohort={recipe.parent / 'cohort'}"]
    command = [sys.executable, "-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(run), *settings]
    command += ["--set", "steps=100000", "--background", "--json"]
    started = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(started.stdout)["run"] == str(run)
    deadline = time.monotonic() + 300
    while not (run / "checkpoints").exists():
        assert time.monotonic() < deadline, (run / "log.txt").read_text()
        time.sleep(0.1)
    stopped = json.loads(call("runs", "stop", run, "--json"))
    assert stopped["state"] == "stopped"
    assert stopped["checkpoint_step"] == stopped["step"] > 0
    assert "go on with" in stopped["reason"]
    assert wait_until_ended(RunFolder(run), 60)
    with pytest.raises(InputError, match="not running"):
        call("runs", "stop", run)


@pytest.mark.slow
def test_a_training_on_two_processes_makes_the_steps_of_one(recipe, trained):
    """Fabric starts the second process; both share each step's four hearts, and exchange gradients."""
    runs = {}
    for devices in (1, 2):
        runs[devices] = trained.parent / f"on{devices}"
        settings = [f"cohort={recipe.parent / 'cohort'}", "batch_size=4", "micro_batch=1", f"devices={devices}"]
        command = [sys.executable, "-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(runs[devices])]
        changes = [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run([*command, *changes], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    one, two = (weights_of(run) for run in runs.values())
    for name in one:
        if name.startswith("modules"):
            assert torch.allclose(one[name], two[name], atol=2e-3), name


def test_resuming_a_finished_run_changes_nothing(trained):
    before = weights_of(trained)
    call("runs", "resume", trained)
    assert_same_bits(weights_of(trained), before)


def test_the_command_line_stays_light():
    code = (
        "import sys; import FedSimCore.cli.main; "
        "assert not {'torch', 'numpy', 'pydantic', 'rich.progress', 'filelock'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_durations_are_told_no_more_exactly_than_they_are_known():
    assert [time_left(s) for s in (None, 5.2, 600, 10_000)] == [
        "time left unknown",
        "5 s left",
        "10 min left",
        "2.8 h left",
    ]
