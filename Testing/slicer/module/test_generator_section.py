"""Hearts of a trained model in Explore, with the real worker and a model of a few thousand weights."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from Testing.core.generation.lively_model import write_lively_model

    path = tmp_path_factory.mktemp("model")
    write_lively_model(path)
    (path / "card.md").write_text("# Made of blobs\n")
    return path


@pytest.fixture
def generator(explore, folder, wait_for):
    """The section, with the model open."""
    explore.ui.generatorSection.collapsed = False
    section = explore.generator
    section.ui.modelEdit.currentPath = ""
    section.ui.modelEdit.currentPath = str(folder)
    section._asked = ""
    section.open()
    wait_for(lambda: section.model is not None)
    section.ui.sampleSeedBox.value = 3
    yield section
    section.ui.modelEdit.currentPath = ""
    explore.ui.generatorSection.collapsed = True


def sample(section, wait_for):
    before = section.shown
    section.ui.sampleButton.click()
    wait_for(lambda: section.shown is not before)
    return section.shown


def test_a_model_tells_what_it_is_when_it_is_opened(generator):
    assert generator.ui.modelControls.enabled
    assert generator.ui.modelLabel.text == "Pre-trained, from 4 training cases. Enhancers: a, b."
    assert "Made of blobs" in generator.ui.modelLabel.toolTip
    sites = [generator.ui.siteBox.itemText(row) for row in range(generator.ui.siteBox.count)]
    assert sites == ["Physics of the scan", "Enhancer of a", "Enhancer of b"]


def test_a_sample_is_the_heart_that_fedsim_generate_draws_and_undo_brings_the_old_one_back(
    generator, folder, session, wait_for
):
    from FedSimCore.generation.model_folder import GenerativeModel
    from FedSimCore.generation.sampling import draw

    before = session.editor.heart
    sample(generator, wait_for)
    drawn = draw(GenerativeModel.load(folder).generator, 3, 0)
    assert session.editor.heart.vector() == pytest.approx(drawn.heart.vector(), abs=1e-5)
    assert generator.ui.sampleSeedBox.value == 4
    session.editor.undo()
    assert session.editor.heart == before


def test_hearts_are_drawn_like_those_of_a_site(generator, folder, session, wait_for):
    from FedSimCore.generation.model_folder import GenerativeModel
    from FedSimCore.generation.sampling import draw
    from FedSimSlicerLib.checked_edit import choose

    box = generator.ui.populationBox
    told = [box.itemText(row) for row in range(box.count)]
    assert told == ["like all training hearts", "like those of a", "like those of b"]
    choose(box, "b")
    sample(generator, wait_for)
    drawn = draw(GenerativeModel.load(folder).generator, 3, 0, population="b")
    assert session.editor.heart.vector() == pytest.approx(drawn.heart.vector(), abs=1e-5)
    choose(box, "all")


def test_its_trust_is_told_with_the_nearest_training_case_which_can_be_shown(generator, session, wait_for):
    made = sample(generator, wait_for)
    text = generator.ui.trustLabel.text
    assert f"Nearest training case: {made.trust.nearest_shape.case}" in text
    assert "times what is usual" in text
    assert all(concern in text for concern in made.concerns)
    session.editor.set_weight(0, 1.0)
    assert "moved by hand" in generator.ui.trustLabel.text
    session.editor.undo()
    assert generator.ui.trustLabel.text == text
    generator.ui.nearestButton.click()
    wait_for(lambda: generator.shown is not made)
    assert session.editor.heart == generator.shown.parameters
    assert generator.ui.sampleSeedBox.value == 4, "only drawing counts up"


def test_the_slider_walks_from_a_to_b_and_measures_where_it_rests(generator, session, wait_for):
    first = sample(generator, wait_for)
    assert not generator.ui.walkSlider.enabled
    generator.ui.firstButton.click()
    assert generator.ui.walkLabel.text == "Not kept yet: B."
    second = sample(generator, wait_for)
    generator.ui.secondButton.click()
    assert generator.ui.walkSlider.enabled
    assert generator.ui.walkSlider.value == 100
    generator.ui.walkSlider.value = 40
    wait_for(lambda: generator.shown.trust is not None and generator.shown is not second)
    on_the_way = np.array(session.editor.heart.weights)
    ends = np.array(first.parameters.weights), np.array(second.parameters.weights)
    assert not np.allclose(on_the_way, ends[0], atol=1e-3)
    assert not np.allclose(on_the_way, ends[1], atol=1e-3)
    assert "Nearest training case" in generator.ui.trustLabel.text
    generator.ui.walkSlider.value = 0
    wait_for(lambda: session.editor.heart.weights == pytest.approx(first.parameters.weights, abs=1e-4))


def test_a_sites_enhancer_makes_the_quick_ct_that_follows_the_heart(generator, session, wait_for):
    from FedSimSlicerLib.scene_volumes import array_of

    sample(generator, wait_for)
    generator.choose_site("a")
    # The scan's preview may have been under way, and shows first.
    wait_for(lambda: session.state.preview is not None and array_of(session.state.preview).shape == (16, 16, 16))
    assert session.state.live_preview
    first = array_of(session.state.preview).copy()
    session.editor.set_weight(0, 1.4)
    wait_for(lambda: np.abs(array_of(session.state.preview) - first).max() > 10)
    generator.choose_site("")
    wait_for(lambda: array_of(session.state.preview).shape == (64, 64, 64))
    session.state.live_preview = False


def test_a_folder_that_holds_no_model_says_so_and_offers_nothing(generator, tmp_path, wait_for):
    generator.ui.modelEdit.currentPath = str(tmp_path)
    generator.open()
    wait_for(lambda: str(tmp_path) in generator.ui.modelLabel.text)
    assert not generator.ui.modelControls.enabled


def test_the_model_of_a_finished_run_comes_from_the_train_tab(generator, shared_module, tmp_path, wait_for):
    import shutil

    from FedSimCore.runs.events import Ended, EventLog
    from FedSimCore.runs.folder import RunFolder

    run = RunFolder(tmp_path / "run")
    run.make({"recipe": "generator", "steps": 1})
    log = EventLog(run.events_file)
    log.append(Ended(state="finished", step=1))
    log.close()
    shutil.copytree(generator.ui.modelEdit.currentPath, run.path / "model")
    train = next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "TrainPanel")
    shared_module.panel.show_tab("TrainPanel")
    train.ui.folderEdit.currentPath = str(tmp_path)
    wait_for(lambda: train.ui.exploreButton.enabled)
    train.ui.exploreButton.click()
    assert shared_module.panel.ui.tabs.currentWidget() is shared_module.panel.panels[0].widget
    assert generator.ui.modelEdit.currentPath == str(run.path)
    wait_for(lambda: generator.model is not None)


def test_a_closed_scene_ends_the_enhanced_preview_and_the_model_stays_open(generator, session, wait_for):
    import slicer

    sample(generator, wait_for)
    generator.choose_site("a")
    wait_for(lambda: session.state.preview is not None)
    slicer.mrmlScene.Clear(False)
    assert generator.ui.siteBox.currentIndex == 0
    assert not session.state.live_preview
    sample(generator, wait_for)


def test_it_fits_into_400_pixels_with_letters_half_as_large_again(generator, application, wait_for):
    import qt

    sample(generator, wait_for)
    widget = generator.widget
    font = qt.QFont(widget.font)
    try:
        larger = qt.QFont(font)
        larger.setPointSizeF(font.pointSizeF() * 1.5)
        widget.setFont(larger)
        application.process_events()
        assert widget.minimumSizeHint.width() <= 380
    finally:
        widget.setFont(font)
