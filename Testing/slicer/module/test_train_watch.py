"""What a look at the runs gives, and what it costs to draw it."""

from __future__ import annotations

import numpy as np
import pytest

from FedSimCore.runs.events import EventLog, Progressed, Started
from FedSimCore.runs.folder import RunFolder

pytest.importorskip("slicer")
pytest.importorskip("PySide6")


@pytest.fixture
def make_run(tmp_path):
    def make(name, began, losses=(0.5, 0.4), **config):
        run = RunFolder(tmp_path / name)
        run.make({"recipe": "shape-generator", "steps": 10, **config})
        log = EventLog(run.events_file)
        total = len(losses)
        log.append(
            Started(time=began, session=1, step=0, total=total, recipe="shape-generator", pid=1, host="x", device="cpu")
        )
        for step, loss in enumerate(losses, start=1):
            log.append(Progressed(time=began + step, stage="training", step=step, total=total, metrics={"loss": loss}))
        log.close()
        return run.path

    return make


@pytest.fixture
def eyes(application):
    from FedSimSlicerLib.training_watch import _Eyes

    return _Eyes()


def test_a_thinned_curve_keeps_its_extremes_and_its_ends(application):
    from FedSimSlicerLib.training_watch import thinned

    rng = np.random.default_rng(0)
    steps, values = np.arange(50_000), rng.normal(size=50_000)
    values[[17, 31_234]] = 40.0, -40.0
    at, told = thinned(steps, values, most=200)
    assert len(at) <= 200
    assert at[-1] == 49_999
    assert (told.max(), told.min()) == (40.0, -40.0)
    assert np.all(np.diff(at) > 0)
    assert np.array_equal(values[at.astype(int)], told)
    short = thinned([1, 2, 3], [0.3, 0.2, 0.1], most=200)
    assert list(short[1]) == [0.3, 0.2, 0.1]


def test_the_newest_run_comes_first_whichever_told_something_last(eyes, make_run, tmp_path):
    older, newer = make_run("a-older", 100.0, losses=[0.5] * 500), make_run("b-newer", 200.0)
    seen = eyes.look(tmp_path, (older, newer), ())
    assert [row.name for row in seen.rows] == ["b-newer", "a-older"]
    assert [row.state for row in seen.rows] == ["interrupted", "interrupted"]
    assert [(curve.run, len(curve.steps)) for curve in seen.curves] == [("a-older", 500), ("b-newer", 2)]
    assert seen.comparison.steps == (500, 2)


def test_what_has_not_changed_is_not_worked_out_again(eyes, make_run, tmp_path):
    path = make_run("one", 100.0)
    first, second = (eyes.look(tmp_path, (path,), ()) for _ in range(2))
    assert first.curves[0] is second.curves[0]
    assert first.rows[0] is second.rows[0]
    log = EventLog(RunFolder(path).events_file)
    log.append(Progressed(stage="training", step=3, total=10, metrics={"loss": 0.1}))
    log.close()
    third = eyes.look(tmp_path, (path,), ())
    assert third.rows[0].step == 3
    assert list(third.curves[0].values) == [0.5, 0.4, 0.1]


def test_a_run_that_is_being_removed_or_damaged_does_not_hide_the_others(eyes, make_run, tmp_path):
    good, bad = make_run("good", 100.0), make_run("bad", 200.0)
    (bad / "config.json").write_text("no JSON")
    (bad / "events.jsonl").write_text("")
    seen = eyes.look(tmp_path, (bad, good), ())
    assert [row.name for row in seen.rows] == ["good"]
    assert seen.problem == ""
    assert seen.details.path == good


def test_a_folder_that_is_not_there_has_no_runs(eyes, tmp_path):
    seen = eyes.look(tmp_path / "nowhere", (), ())
    assert (seen.rows, seen.problem) == ((), "")
