"""The panel "Train" with real trainings in real processes."""

from __future__ import annotations

import sys
import time

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403
from Testing.slicer.module.small_trainings import *  # noqa: F403


@pytest.fixture
def messages(session):
    told = []
    ends = session.message.connect(told.append)
    yield told
    ends()


@pytest.fixture
def begin(train, small_recipe, wait_for):
    """Start a training by the form and its button; returns its folder."""

    def start(name="run", keep=True, **changes):
        train.setup.choose(str(small_recipe(name, **changes)))
        train.setup.name = name
        train.ui.keepNewBox.checked = keep
        train.ui.startButton.click()
        wait_for(lambda: train.folder / name in train.table.keys)
        return train.folder / name

    return start


def cell(panel, path, column):
    return panel.ui.runTable.item(panel.table.keys.index(path), column).text()


def test_an_empty_folder_says_what_to_do(train):
    assert not train.ui.runTable.isVisible()
    assert "No run in this folder yet" in train.ui.emptyLabel.text
    assert not train.ui.stopButton.enabled
    assert "Choose a run" in train.ui.stateLabel.text


def test_nothing_starts_without_a_cohort_and_the_field_says_why(train, messages, wait_for, tmp_path):
    train.setup.choose("shape-generator")
    train.setup.form.rows["cohort"].widget.currentPath = ""
    train.ui.startButton.click()
    assert messages[-1] == "Not started: Cohort is missing."
    train.setup.form.rows["cohort"].widget.currentPath = str(tmp_path / "nowhere")
    train.ui.startButton.click()
    wait_for(lambda: "does not exist" in messages[-1])
    assert "does not exist" in train.setup.form.rows["cohort"].reason.text
    assert train.table.keys == ()


def test_a_training_is_started_watched_and_finished(train, begin, wait_for, application):
    path = begin(steps=24)
    assert train.table.all_chosen == (path,)
    assert cell(train, path, 1) == "starting"
    wait_for(lambda: train.state_of(path) == "finished")
    assert cell(train, path, 1) == "finished"
    assert cell(train, path, 2) == "24/24"
    assert float(cell(train, path, 4)) < 1.0
    wait_for(lambda: "step 24 of 24" in train.ui.stateLabel.text)
    assert train.ui.progressBar.value == 1000
    # Pictures came on the way, the newest is shown.
    assert train.ui.pictureSlider.maximum == 1
    assert "After step 24, picture 2 of 2" in train.ui.pictureLabel.text
    wait_for(lambda: train.progress.pictures.view.height > 20)
    train.ui.pictureSlider.value = 0
    assert "After step 12, picture 1 of 2" in train.ui.pictureLabel.text
    assert "finished after step 24" in train.ui.logEdit.plainText
    # The next one gets another name, and its time is estimated from this one's pace.
    assert train.ui.nameEdit.text == "run-1"
    wait_for(lambda: "pace of the run run on this computer" in train.ui.estimateLabel.text)


def test_a_run_is_stopped_with_a_checkpoint_and_resumed_to_its_end(train, begin, wait_for):
    path = begin(steps=100_000)
    wait_for(lambda: train.state_of(path) == "running" and train.status.step > 3)
    wait_for(lambda: "left" in train.ui.stateLabel.text)
    train.ui.stopButton.click()
    wait_for(lambda: train.state_of(path) == "stopped")
    done = train.status.step
    assert train.status.checkpoint_step == done
    assert train.ui.resumeButton.enabled
    train._start_again([f"steps={done + 5}"])
    wait_for(lambda: train.state_of(path) == "finished")
    assert train.status.step == done + 5


def test_the_segmenter_of_a_run_opens_in_the_panel_segment(train, runs_folder, shared_module, session, wait_for):
    from Testing.slicer.module.small_segmenters import write_segmenter

    generator, run = runs_folder("shapes"), runs_folder("segmenter")
    (run / "model").mkdir()
    write_segmenter(run / "model" / "segmenter.safetensors")
    wait_for(lambda: set(train.table.keys) == {generator, run})
    train.table.choose(generator)
    wait_for(lambda: train._seen.details is not None)
    assert train.ui.exploreButton.isVisible()
    assert not train.ui.segmentButton.isVisible()
    train.table.choose(run)
    wait_for(lambda: train.ui.segmentButton.isVisible())
    assert not train.ui.exploreButton.isVisible()
    train.ui.segmentButton.click()
    assert shared_module.panel.ui.tabs.currentWidget().objectName == "SegmentPanel"
    segment = next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "SegmentPanel")
    assert segment.segmenter.file == str(run)
    wait_for(lambda: segment.segmenter.model is not None)
    assert "balls in air" in segment.ui.segmenterLabel.text
    session.state.segmenter = ""


def test_runs_are_found_again_by_another_panel(train, begin, wait_for, session, shared_module):
    from FedSimSlicerLib.train_panel import TrainPanel

    path = begin(steps=100_000)
    wait_for(lambda: train.state_of(path) == "running" and train.status.step > 3)
    other = TrainPanel(session, shared_module.panel._resource_path)
    try:
        wait_for(lambda: other.table.keys == (path,))
        assert other.folder == train.folder, "the folder is remembered"
        wait_for(lambda: "running" in other.ui.stateLabel.text)
        other.ui.stopButton.click()
        wait_for(lambda: train.state_of(path) == "stopped")
    finally:
        other.close()


@pytest.mark.parametrize("keep", [True, False])
def test_when_slicer_ends_a_run_goes_on_or_is_saved_as_the_user_said(train, begin, wait_for, keep):
    path = begin(keep=keep, steps=100_000)
    wait_for(lambda: train.state_of(path) == "running" and train.status.step > 3)
    assert train.ui.keepBox.checked == keep
    train._on_quit()
    if keep:
        time.sleep(1.0)
        assert train.state_of(path) == "running"
        train.ui.keepBox.click()
        wait_for(lambda: not train.runs.keeps(path))
        train._on_quit()
    wait_for(lambda: train.state_of(path) == "stopped")
    assert train.status.checkpoint_step == train.status.step


def test_a_training_that_cannot_begin_says_why(train, small_recipe, wait_for, messages, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    recipe = small_recipe("bad")
    train.setup.choose(str(recipe))
    train.setup.form.rows["cohort"].widget.currentPath = str(empty)
    train.ui.startButton.click()
    wait_for(lambda: messages and "did not start" in messages[-1])
    assert "holds no cohort" in messages[-1]
    assert train.table.keys == ()


def test_curves_of_several_runs_are_drawn_in_one_chart_and_compared(train, runs_folder, wait_for):
    import slicer
    from slicer.util import arrayFromTableColumn

    one, other = runs_folder("one", steps=8, report_every=1), runs_folder("other", steps=12, learning_rate=0.01)
    wait_for(lambda: set(train.table.keys) == {one, other})
    assert "Choose two runs" in train.ui.compareLabel.text
    layout = slicer.app.layoutManager()
    before = layout.layout
    train.table.choose(one)
    wait_for(lambda: train.ui.chartButton.enabled)
    train.ui.chartButton.click()
    assert layout.layout != before
    chart = train.progress.chart.chart
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    assert list(arrayFromTableColumn(table, "Step")) == list(range(1, 9))
    losses = arrayFromTableColumn(table, "loss")
    assert losses[-1] == pytest.approx(train.status.metrics["loss"])
    train.table.choose(one, other)
    wait_for(lambda: chart.GetNumberOfPlotSeriesNodes() == 2)
    names = {chart.GetNthPlotSeriesNode(n).GetName() for n in range(2)}
    assert names == {"one: loss", "other: loss"}
    wait_for(lambda: train.ui.compareTable.isVisible())
    table = train.ui.compareTable
    shown = {
        table.item(row, 0).text(): [table.item(row, column).text() for column in (1, 2)]
        for row in range(table.rowCount)
    }
    assert shown["learning_rate"] == ["0.003", "0.01"]
    assert shown["steps"] == ["8", "12"]
    assert "gradient" not in shown
    train.ui.chartButton.click()
    assert layout.layout == before


def test_a_closed_scene_takes_the_chart_and_a_new_one_gets_it_again(train, runs_folder, wait_for):
    import slicer

    path = runs_folder("one", steps=8)
    wait_for(lambda: train.table.keys == (path,))
    wait_for(lambda: train.ui.chartButton.enabled)
    layout = slicer.app.layoutManager()
    before = layout.layout
    train.ui.chartButton.click()
    slicer.mrmlScene.Clear(False)
    assert layout.layout == before
    assert not train.ui.chartButton.checked
    train.ui.chartButton.click()
    assert train.progress.chart.chart.GetNumberOfPlotSeriesNodes() == 1
    assert slicer.mrmlScene.IsNodePresent(train.progress.chart.chart)
    assert train.widget.enabled


def test_the_chart_is_not_saved_with_the_scene(train, runs_folder, wait_for, tmp_path):
    import slicer

    path = runs_folder("one", steps=8)
    wait_for(lambda: train.table.keys == (path,) and train.ui.chartButton.enabled)
    train.ui.chartButton.click()
    scene = tmp_path / "scene.mrml"
    slicer.mrmlScene.SetURL(str(scene))
    slicer.mrmlScene.Commit()
    assert "PlotChart name" not in scene.read_text()
    assert "Training curve" not in scene.read_text()


def test_a_run_is_deleted_only_after_asking(train, runs_folder, wait_for, dialogs, monkeypatch):
    import slicer

    path = runs_folder("one")
    wait_for(lambda: train.table.all_chosen == (path,))
    asked = []

    def answer(yes):
        return lambda text, **_more: asked.append(text) or yes

    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", answer(False))
    train.ui.deleteButton.click()
    assert str(path) in asked[-1]
    assert path.exists()
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", answer(True))
    train.ui.deleteButton.click()
    wait_for(lambda: train.table.keys == ())
    assert not path.exists()


def test_training_asks_for_its_packages_and_starts_when_they_are_there(train, small_recipe, wait_for, monkeypatch):
    from FedSimSlicerLib.dependencies import Missing

    lacking = [Missing("lightning-fabric>=2.4", "lightning-fabric")]
    installer = train.libraries._installer
    monkeypatch.setattr(installer, "missing", lambda: list(lacking))
    monkeypatch.setattr(installer, "install", lambda: lacking.clear() or "")
    monkeypatch.setattr(train.libraries, "_complete", False)
    assert not train.libraries.widget.isVisible()
    train.setup.choose(str(small_recipe(steps=6)))
    train.ui.startButton.click()
    wait_for(lambda: train.libraries.widget.isVisible())
    assert "lightning-fabric 2.4 or later" in train.libraries.ui.missingLabel.text
    assert train.table.keys == ()
    train.libraries.ui.installButton.click()
    wait_for(lambda: len(train.table.keys) == 1)
    assert not train.libraries.widget.isVisible()
    wait_for(lambda: train.state_of(train.table.keys[0]) == "finished")


def test_a_name_that_is_taken_or_no_folder_is_refused(train, runs_folder, small_recipe, wait_for, messages):
    path = runs_folder("one")
    wait_for(lambda: train.table.keys == (path,))
    train.setup.choose(str(small_recipe()))
    train.ui.nameEdit.text = "one"
    train.ui.startButton.click()
    wait_for(lambda: "holds a run already" in messages[-1])
    train.ui.nameEdit.text = "a/b"
    train.ui.startButton.click()
    assert "cannot be that of a folder" in messages[-1]


def test_the_gui_is_not_held_while_a_long_run_is_watched(train, runs_folder, wait_for, application):
    """10,000 events at once: they are read in the thread, in portions, between which the GUI has its turn."""
    from FedSimCore.runs.events import EventLog, Progressed
    from FedSimCore.runs.folder import RunFolder

    path = runs_folder("one")
    wait_for(lambda: train.table.all_chosen == (path,) and train.ui.chartButton.enabled)
    train.ui.chartButton.click()
    for _ in range(20):  # the chart's view is made, which takes a while of its own
        application.process_events()
    log = EventLog(RunFolder(path).events_file)
    for step in range(7, 10_007):
        log.append(Progressed(stage="training", step=step, total=20_000, metrics={"loss": 1 / step, "train/a": 0.5}))
    log.close()
    longest, end = 0.0, time.monotonic() + 300.0
    while "10006" not in train.ui.stateLabel.text and time.monotonic() < end:
        began = time.thread_time()  # what this thread computes, whatever other programs do
        application.process_events()
        longest = max(longest, time.thread_time() - began)
    assert "10006" in train.ui.stateLabel.text
    assert longest < 0.2
    table = train.progress.chart.chart.GetNthPlotSeriesNode(0).GetTableNode()
    assert table.GetNumberOfRows() <= 1000


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_panel_fits_into_400_pixels_with_letters_half_as_large_again(
    train, runs_folder, wait_for, application, scale
):
    import qt

    paths = {runs_folder("one"), runs_folder("a-run-with-a-name-that-is-longer-than-the-others", steps=9)}
    wait_for(lambda: set(train.table.keys) == paths)
    train.table.choose(list(train.table.keys))
    train.ui.moreBox.collapsed = False
    train.ui.logSection.collapsed = False
    font = qt.QFont(train.widget.font)
    try:
        larger = qt.QFont(font)
        larger.setPointSizeF(font.pointSizeF() * scale)
        train.widget.setFont(larger)
        application.process_events()
        assert train.widget.minimumSizeHint.width() <= 400
    finally:
        train.widget.setFont(font)
        train.ui.moreBox.collapsed = True


def test_no_torch_comes_into_slicers_process():
    """In a process of its own: the tests beside this one train in theirs."""
    import subprocess

    code = (
        "import sys, FedSimCore.training.recipes, FedSimCore.training.estimate, FedSimCore.runs.comparison;"
        "from FedSimCore.training.config import TrainingConfig;"
        "FedSimCore.training.estimate.cost_table();"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
