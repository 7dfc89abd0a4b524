"""Hearts stored to and loaded from files; what the modes mean, kept between sessions."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403


def message(shared_module):
    label = shared_module.panel.ui.messageLabel
    return label.text if not label.isHidden() else ""


def test_a_stored_heart_comes_back_when_it_is_loaded(session, explore, dialogs, tmp_path, shared_module):
    explore.ui.randomButton.click()
    explore.ui.rightSlider.value = 12.5
    heart = session.editor.heart
    dialogs.answer(str(tmp_path / "mine"), str(tmp_path / "mine.json"))
    explore.ui.storeButton.click()
    explore.ui.resetButton.click()
    explore.ui.loadButton.click()
    assert session.editor.heart == heart
    assert message(shared_module) == ""
    explore.ui.undoButton.click()
    assert session.editor.heart == session.surface.mean_heart()


def test_a_stored_heart_is_one_the_command_line_reads(session, explore, dialogs, tmp_path):
    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.parameters import read_parameters

    explore.ui.randomButton.click()
    dialogs.answer(str(tmp_path / "heart.json"))
    explore.ui.storeButton.click()
    model = builtin_model()
    read = read_parameters(tmp_path / "heart.json", modes=model.mode_count, model_sha256=model.checksum)
    assert read == session.editor.heart


def test_a_dialog_that_is_closed_changes_nothing(session, explore, dialogs):
    explore.ui.randomButton.click()
    before = session.editor.heart
    dialogs.answer("", "")
    explore.ui.loadButton.click()
    explore.ui.storeButton.click()
    assert session.editor.heart == before


BAD = {
    "no JSON": ("{", "heart.json"),
    "another JSON": ('{"a": 1}', "holds no heart parameters"),
    "another model": ({"model_sha256": "0" * 64}, "another shape model"),
    "too many weights": ({"weights": [0.0] * 41}, "41 weights"),
    "no weights": ({"weights": []}, "0 weights"),
    "a weight that is no number": ({"weights": ["wide"] * 14}, "impossible parameters"),
    "a size of nothing": ({"pose": {"scale": 0}}, "impossible parameters"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_words_and_nothing_is_lost(
    session, explore, dialogs, tmp_path, shared_module, content, said
):
    explore.ui.randomButton.click()
    before = session.editor.heart
    path = tmp_path / "heart.json"
    if isinstance(content, dict):
        dialogs.answer(str(path))
        explore.ui.storeButton.click()
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_text(content)
    dialogs.answer(str(path))
    explore.ui.loadButton.click()
    assert said in message(shared_module)
    assert "--" not in message(shared_module), "no options of the command line in Slicer"
    assert session.editor.heart == before
    assert explore.ui.undoButton.enabled


def test_a_missing_file_and_a_folder_that_is_none_are_told(session, explore, dialogs, tmp_path, shared_module):
    dialogs.answer(str(tmp_path / "none.json"))
    explore.ui.loadButton.click()
    assert "none.json" in message(shared_module)
    dialogs.answer(str(tmp_path / "no folder" / "heart.json"))
    (tmp_path / "no folder").write_text("a file")
    explore.ui.storeButton.click()
    assert "heart.json" in message(shared_module) or "no folder" in message(shared_module)


class Recorder:
    """Stands for the worker: keeps what it is asked."""

    def __init__(self):
        self.asked = []

    def ask(self, channel, task, reply):
        self.asked.append((task, reply))


def answer(recorder, count):
    from FedSimCore.worker.protocol import ModeRow, ModeTableResult
    from FedSimSlicerLib.worker_events import RequestDone

    rows = tuple(
        ModeRow(mode=n, explained=0.1, cumulative=0.1, description=f"meaning {n}", changes={"lv": 1.0})
        for n in range(1, count + 1)
    )
    _task, reply = recorder.asked[-1]
    reply.done(RequestDone("modes", 1, ModeTableResult(sigma=1.5, modes=rows), {}, 0.1))


def test_meanings_are_asked_for_once_and_kept_for_the_next_start(session, tmp_path):
    from FedSimSlicerLib.mode_meanings import ModeMeanings

    taken, worker = [], Recorder()
    meanings = ModeMeanings(worker, session.surface, lambda rows, sigma: taken.append((len(rows), sigma)), tmp_path)
    meanings.want(14)
    meanings.want(10)
    assert [task.modes for task, _reply in worker.asked] == [14]
    answer(worker, 14)
    meanings.want(20)
    assert [task.modes for task, _reply in worker.asked] == [14, 40], "all the model has, when more are used"
    answer(worker, 40)
    again = ModeMeanings(
        worker, session.surface, lambda rows, sigma: taken.append((rows[39].description, sigma)), tmp_path
    )
    again.want(40)
    assert taken == [(14, 1.5), (40, 1.5), ("meaning 40", 1.5)]
    assert len(worker.asked) == 2


@pytest.mark.parametrize(("cause", "asked"), [("lost", 2), ("bug", 1)])
def test_meanings_that_were_lost_with_a_worker_are_asked_for_again(session, tmp_path, cause, asked):
    from FedSimSlicerLib.mode_meanings import ModeMeanings
    from FedSimSlicerLib.worker_events import RequestFailed

    worker = Recorder()
    meanings = ModeMeanings(worker, session.surface, lambda *_: None, tmp_path)
    meanings.want(14)
    worker.asked[-1][1].failed(RequestFailed("modes", 1, cause, "It is gone."))
    meanings.want(14)
    assert len(worker.asked) == asked


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"kind": "mode_table", "sigma": 1.5, "modes": []}'])
def test_damaged_meanings_are_asked_for_anew(session, tmp_path, damage):
    from FedSimSlicerLib.mode_meanings import ModeMeanings

    worker = Recorder()
    ModeMeanings(worker, session.surface, lambda *_: None, tmp_path).want(14)
    answer(worker, 14)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(damage)
    taken = []
    ModeMeanings(worker, session.surface, lambda *row: taken.append(row), tmp_path).want(14)
    assert len(worker.asked) == 2
    assert not taken


def test_meanings_that_cannot_be_kept_are_shown_all_the_same(session, tmp_path):
    from FedSimSlicerLib.mode_meanings import ModeMeanings

    (tmp_path / "file").write_text("")
    taken, worker = [], Recorder()
    ModeMeanings(worker, session.surface, lambda *row: taken.append(row), tmp_path / "file" / "below").want(14)
    answer(worker, 14)
    assert len(taken) == 1


def test_sliders_tell_what_their_modes_mean_by_the_models_own_measurements(session, explore, wait_for):
    from FedSimCore.shape.measurements import measure_mesh
    from FedSimCore.shape.mode_descriptions import changes_percent, phrases
    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.parameters import HeartParameters

    slider = explore.modes.sliders[0]
    wait_for(lambda: slider.meaning.enabled)
    model = builtin_model()
    low, mean, high = (
        measure_mesh(model.mesh(HeartParameters(weights=(weight, *[0.0] * 13)))) for weight in (-1.5, 0.0, 1.5)
    )
    changes = changes_percent(low, mean, high)
    assert slider.meaning.text == ", ".join(phrases(changes))
    wait_for(lambda: "lv_volume_ml" not in slider.meaning.toolTip)
    assert f"Left ventricle blood pool: {changes['lv_volume_ml']:+.0f} %" in slider.meaning.toolTip
