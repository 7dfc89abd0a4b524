"""A training outlives a reload of the module, and still ends with Slicer if it is to."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.small_trainings import runs_folder, small_cohort, small_recipe  # noqa: F401
from Testing.slicer.module.test_module import own_imports  # noqa: F401


def train_panel(module, folder):
    module.panel.show_tab("TrainPanel")
    panel = next(panel for panel in module.panel.panels if type(panel).__name__ == "TrainPanel")
    panel.ui.folderEdit.currentPath = str(folder)
    return panel


def test_a_training_outlives_a_reload_and_is_saved_when_slicer_ends(
    own_imports,  # noqa: F811
    module,
    runs_folder,  # noqa: F811
    small_recipe,  # noqa: F811
    wait_for,
):
    import slicer

    path = runs_folder.folder / "run"
    panel = train_panel(module, runs_folder.folder)
    panel.setup.choose(str(small_recipe(steps=100_000)))
    panel.setup.name = "run"
    panel.ui.keepNewBox.checked = False
    panel.ui.startButton.click()
    wait_for(lambda: panel.state_of(path) == "running" and panel.status.step > 3)
    module.onReload()
    reloaded = slicer.modules.FedSimSlicerWidget
    assert reloaded is not module
    try:
        panel = train_panel(reloaded, runs_folder.folder)
        wait_for(lambda: panel.state_of(path) == "running")
        slicer.app.aboutToQuit.emit()
        wait_for(lambda: panel.state_of(path) == "stopped")
        assert panel.status.checkpoint_step == panel.status.step
    finally:
        reloaded.panel.session.worker.close(wait_s=10)
        slicer.app.userSettings().setValue("FedSim/RunsFolder", "")
