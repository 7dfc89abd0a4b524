"""Who trains where, and what a run's events say of it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from FedSimCore.errors import InputError
from FedSimCore.runs.comparison import compare_runs
from FedSimCore.runs.control import request_stop, start_in_background, wait_until_ended
from FedSimCore.runs.events import Ended, Evaluated, EventLog, Noted, Progressed, Saved, Started
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimCore.runs.history import RunHistory, status
from FedSimCore.runs.lock import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import locked
with locked(RunFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.make({"recipe": "r", "steps": 10})
    return run


@pytest.fixture
def holder(run):
    """Another process that trains in the run."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def tell(run, *events):
    log = EventLog(run.events_file)
    for event in events:
        log.append(event)
    log.close()


def begun(step=0, session=1):
    return Started(session=session, step=step, total=10, recipe="r", pid=1, host="h", device="cpu")


def test_two_processes_cannot_train_in_one_folder_and_the_second_is_told(run, holder):
    assert is_locked(run)
    with pytest.raises(InputError, match=r"Another process trains in .*run"), locked(run):
        pass


def test_kill_dash_nine_leaves_no_lock_behind(run, holder):
    holder.kill()
    holder.wait()
    assert not is_locked(run)
    with locked(run):
        assert is_locked(run)
    assert not is_locked(run)


def test_a_look_at_the_lock_does_not_keep_a_run_from_starting(run):
    looks = f"""
import time
from pathlib import Path
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import is_locked
print("looks", flush=True)
while True:
    is_locked(RunFolder(Path({str(run.path)!r})))
"""
    with locked(run):
        pass
    watcher = subprocess.Popen([sys.executable, "-c", looks], stdout=subprocess.PIPE)
    assert watcher.stdout is not None
    watcher.stdout.readline()
    try:
        for _ in range(5):
            with locked(run):
                time.sleep(0.01)
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()


def test_a_new_run_is_new_then_running_then_interrupted_if_it_ends_without_a_word(run, holder):
    tell(run, begun(), Progressed(stage="training", step=4, total=10, seconds_left=6.0, metrics={"loss": 0.5}))
    state = status(run)
    assert (state.state, state.step, state.total, state.seconds_left) == ("running", 4, 10, 6.0)
    request_stop(run)
    assert status(run).state == "stopping"
    assert not wait_until_ended(run, 0.2)
    holder.kill()
    holder.wait()
    assert wait_until_ended(run, 5)
    state = status(run)
    assert (state.state, state.seconds_left) == ("interrupted", None)


def test_a_status_has_the_newest_of_everything(run):
    tell(
        run,
        begun(),
        Progressed(stage="training", step=4, total=10, metrics={"loss": 0.5}),
        Evaluated(step=4, metrics={"iou": 0.8}),
        Saved(step=4, file="c"),
        Noted(level="warning", text="Mind the gap."),
        Progressed(stage="refining", step=8, total=10, metrics={"loss": 0.25}),
        Ended(state="failed", step=8, reason="The loss became NaN."),
    )
    state = status(run)
    assert state.metrics == {"loss": 0.25, "iou": 0.8}
    assert (state.state, state.stage, state.step, state.checkpoint_step) == ("failed", "refining", 8, 4)
    assert state.warnings == ("Mind the gap.",)
    assert state.reason == "The loss became NaN."


def test_a_history_grows_with_the_events_and_forgets_steps_that_are_repeated(run):
    tell(run, begun(), *[Progressed(stage="t", step=s, total=10, metrics={"loss": s}) for s in (1, 2, 3)])
    history = RunHistory(run)
    assert history.curve("loss") == ([1, 2, 3], [1.0, 2.0, 3.0])
    tell(run, begun(step=2, session=2), Progressed(stage="t", step=3, total=10, metrics={"loss": 30}))
    assert len(history.update()) == 2
    assert history.curve("loss") == ([1, 2, 3], [1.0, 2.0, 30.0])
    assert history.status().session == 2


def test_a_run_that_does_not_run_cannot_be_stopped(run):
    with pytest.raises(InputError, match="not running"):
        request_stop(run)
    with pytest.raises(InputError, match="holds no run"):
        request_stop(RunFolder(run.path / "nowhere"))


def test_a_folder_with_a_run_or_with_other_files_takes_no_new_run(run, tmp_path):
    with pytest.raises(InputError, match="holds a run already"):
        run.make({})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"not empty \(it holds thesis.txt\)"):
        RunFolder(tmp_path / "mine").make({})
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "mine" / "thesis.txt").make({})


def test_runs_are_found_in_subfolders_and_compared_by_what_differs(tmp_path):
    runs = []
    for name, rate, loss in (("a", 0.1, 0.5), ("b", 0.2, 0.25)):
        run = RunFolder(tmp_path / "study" / name)
        run.make({"recipe": "r", "steps": 10, "rate": rate})
        tell(run, begun(), Progressed(stage="t", step=1, total=10, metrics={"loss": loss}))
        runs.append(run)
    assert [run.path for run in runs_below(tmp_path)] == [run.path for run in runs]
    compared = compare_runs(runs)
    assert compared.config == {"rate": (0.1, 0.2)}
    assert compared.metrics == {"loss": (0.5, 0.25)}
    with pytest.raises(InputError, match="two runs or more"):
        compare_runs(runs[:1])


def test_a_background_process_outlives_its_starter_and_writes_into_the_log(tmp_path):
    run = RunFolder(tmp_path / "run")
    process = start_in_background(run, ["--version"])
    assert process.wait(60) == 0
    assert run.log_file.read_text().startswith("fedsim ")
    with pytest.raises(InputError, match="cannot be started"):
        start_in_background(run, [], python=tmp_path / "no-python")


def test_reading_runs_imports_neither_torch_nor_numpy():
    code = (
        "import sys\n"
        "import FedSimCore.runs.history, FedSimCore.runs.control, FedSimCore.runs.checkpoints\n"
        "import FedSimCore.runs.comparison, FedSimCore.training.recipes\n"
        "FedSimCore.training.recipes.form('shape-generator')\n"
        "assert not {'torch', 'numpy', 'lightning_fabric', 'tensorboard'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
