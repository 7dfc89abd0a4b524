"""Estimates come near what trainings really take, say what they rest on, and need no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from FedSimCore.runs.events import EventLog, Progressed, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.training.estimate import cost_table, estimate, seconds_per_step, units_of_a_case
from Testing.core.training.small_runs import small_config, write_cohort

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("estimates"))


def earlier_run(folder, config, seconds_a_step, steps=40):
    run = RunFolder(folder)
    run.make(config.model_dump(mode="json"))
    log = EventLog(run.events_file)
    log.append(Started(time=0.0, session=1, step=0, total=steps, recipe=config.recipe, pid=1, host="x", device="cpu"))
    for step in (1, 20, steps):
        log.append(Progressed(time=100.0 + step * seconds_a_step, stage="training", step=step, total=steps))
    log.close()
    return run


# A process's peak counts the memory of the one that started it (Linux carries it over exec), and this one has run a
# suite: the training is started by a small one between.
PEAK_OF_A_CHILD = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def test_the_memory_is_near_the_measured_peak(cohort, tmp_path):
    pytest.importorskip("resource", reason="only POSIX tells the peak of a child")
    config = small_config(cohort, size=64, spacing_mm=3.2, steps=3, batch_size=4, modes=3)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"schema": "fedsim/recipe/1", **config.model_dump(mode="json")}))
    command = ["-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(tmp_path / "run")]
    between = [sys.executable, "-c", PEAK_OF_A_CHILD, sys.executable, *command]
    answer = subprocess.run(between, cwd=ROOT, check=True, capture_output=True, text=True)
    assert estimate(config).memory_mb == pytest.approx(int(answer.stdout) / 1000, rel=0.25)


def test_memory_grows_with_what_is_computed_at_once_and_not_with_the_batch_alone(cohort):
    costs = cost_table().recipes["shape-generator"]
    small = estimate(small_config(cohort, size=128, batch_size=8, micro_batch=1))
    large = estimate(small_config(cohort, size=128, batch_size=8))
    assert small.cases == 5
    assert large.memory_mb - small.memory_mb == pytest.approx(7 * costs.unit_bytes * 128**3 / 1e6, rel=0.01)


def test_time_comes_from_the_pace_of_an_earlier_run_scaled_by_the_work(cohort, tmp_path):
    run = earlier_run(tmp_path / "before", small_config(cohort, size=20, batch_size=2), seconds_a_step=0.5)
    found = estimate(small_config(cohort, size=40, batch_size=3, steps=100), [run])
    assert found.seconds == pytest.approx(100 * 0.5 * 8 * 1.5)
    assert found.seconds_from == "from the pace of the run before on this computer"


def test_without_an_earlier_run_it_says_where_the_time_was_measured(cohort):
    found = estimate(small_config(cohort, steps=100))
    assert found.seconds is not None
    assert "measured on one core of" in found.seconds_from
    assert estimate(small_config(cohort, device="cuda")).seconds is None


def test_a_pace_needs_some_steps_of_the_newest_session(cohort, tmp_path):
    run = earlier_run(tmp_path / "run", small_config(cohort), seconds_a_step=2.0)
    assert seconds_per_step(RunHistory(run)) == pytest.approx(2.0)
    log = EventLog(run.events_file)
    log.append(Started(session=2, step=40, total=80, recipe="shape-generator", pid=1, host="x", device="cpu"))
    log.append(Progressed(stage="training", step=41, total=80))
    log.close()
    assert seconds_per_step(RunHistory(run)) is None


def test_a_recipe_that_was_never_measured_promises_nothing(cohort, monkeypatch):
    monkeypatch.setattr("FedSimCore.training.estimate._UNITS", {})
    found = estimate(small_config(cohort))
    assert (found.memory_mb, found.seconds) == (None, None)
    assert "never measured" in found.seconds_from
    assert units_of_a_case(small_config(cohort)) is None


def test_a_cohort_that_is_not_there_is_no_reason_to_fail(tmp_path):
    assert estimate(small_config(tmp_path / "nowhere")).cases is None


def test_estimating_imports_no_torch(cohort):
    code = (
        "import sys; from pathlib import Path; from FedSimCore.training.recipes import checked_config;"
        "from FedSimCore.training.estimate import estimate;"
        f"estimate(checked_config({{'recipe': 'shape-generator', 'cohort': {str(cohort)!r}}}, 'x'));"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
