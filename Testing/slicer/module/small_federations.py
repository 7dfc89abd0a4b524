"""Real studies so small that their rounds take a fraction of a second beside the start of the processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.core.federated.small_studies import shapes_study
from Testing.core.training.small_runs import write_ct_cohort

__all__ = ["ct_cohort", "federate", "finished_study", "studies_folder", "study_file"]


@pytest.fixture(scope="session")
def ct_cohort(tmp_path_factory: Any) -> Path:
    """A folder with six small hearts of the sites a and b."""
    return write_ct_cohort(tmp_path_factory.mktemp("ct-hearts"))


@pytest.fixture
def study_file(ct_cohort: Path, tmp_path: Path) -> Any:
    """A function that writes a study's file: `study_file(rounds=8)`."""

    def write(name: str = "small", **changes: Any) -> Path:
        study = shapes_study(ct_cohort, name=name, **changes)
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"schema": "fedsim/study/1", **study.model_dump(mode="json")}))
        return path

    return write


@pytest.fixture(scope="session")
def finished_study(ct_cohort: Path, tmp_path_factory: Any) -> Path:
    """The folder of a study that has ended, with noise; nobody may write into it."""
    import torch

    from FedSimCore.federated.in_process import run_in_process
    from FedSimCore.files import write_json

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp("finished") / "ended"
    study = shapes_study(ct_cohort, name="ended", rounds=5, privacy={"clip": 1.0, "noise": 2.0})
    write_json(folder / "study.json", {"schema": "fedsim/study/1", **study.model_dump(mode="json")})
    run_in_process(study, folder)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def studies_folder(tmp_path: Path) -> Path:
    """An empty folder for studies."""
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


@pytest.fixture
def federate(shared_module: Any, session: Any, studies_folder: Path, wait_for: Any) -> Iterator[Any]:
    """The panel "Federate" over an empty folder of studies; what it has started is ended."""
    import slicer

    from FedSimSlicerLib.federate_panel import FOLDER_SETTING, GOING

    settings = slicer.app.userSettings()
    before = settings.value(FOLDER_SETTING)
    shared_module.panel.show_tab("FederatePanel")
    panel = next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "FederatePanel")
    panel.ui.folderEdit.currentPath = str(studies_folder)
    wait_for(lambda: panel.watch.folder == studies_folder and panel.table.keys == ())
    yield panel
    panel.ui.chartButton.checked = False
    for row in panel._seen.rows:
        if row.state in GOING and row.kind == "study":
            panel.runs.stop_study(row.path)
    wait_for(lambda: all(row.state not in (*GOING, "stopping") for row in panel._seen.rows))
    settings.setValue(FOLDER_SETTING, before or "")
    panel.ui.keepNewBox.checked = False
