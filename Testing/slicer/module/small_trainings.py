"""Real trainings so small that one takes a second or two beside the start of its process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.core.training.small_runs import small_config, write_cohort

__all__ = ["runs_folder", "small_cohort", "small_recipe", "train"]


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: Any) -> Path:
    """A folder with five hearts."""
    return write_cohort(tmp_path_factory.mktemp("small"))


@pytest.fixture
def small_recipe(small_cohort: Path, tmp_path: Path) -> Any:
    """A function that writes a recipe's file: `small_recipe(steps=8)`."""

    def write(name: str = "small", **changes: Any) -> Path:
        fields = small_config(small_cohort, **changes).model_dump(mode="json")
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"schema": "fedsim/recipe/1", **fields}))
        return path

    return write


@pytest.fixture
def runs_folder(tmp_path: Path, small_cohort: Path) -> Any:
    """A folder with finished runs: `runs_folder("one", steps=4)` adds one."""
    folder = tmp_path / "runs"
    folder.mkdir()

    def add(name: str, **changes: Any) -> Path:
        from FedSimCore.runs.folder import RunFolder
        from FedSimCore.training.session import begin

        begin(small_config(small_cohort, **{"steps": 6, **changes}), RunFolder(folder / name))
        return folder / name

    add.folder = folder  # type: ignore[attr-defined]
    return add


@pytest.fixture
def train(shared_module: Any, session: Any, runs_folder: Any, wait_for: Any) -> Iterator[Any]:
    """The panel "Train" over an empty folder of runs; what it has started is ended."""
    import slicer

    from FedSimSlicerLib.train_panel import FOLDER_SETTING

    before = slicer.app.userSettings().value(FOLDER_SETTING)
    shared_module.panel.show_tab("TrainPanel")
    panel = next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "TrainPanel")
    panel.ui.folderEdit.currentPath = str(runs_folder.folder)
    panel.setup.form.reset()
    wait_for(lambda: panel.watch.folder == runs_folder.folder and panel.table.keys == ())
    yield panel
    panel.ui.chartButton.checked = False
    for row in panel._seen.rows:
        if row.state == "running":
            panel.runs.stop(Path(row.path))
    wait_for(lambda: all(row.state not in ("running", "stopping") for row in panel._seen.rows))
    slicer.app.userSettings().setValue(FOLDER_SETTING, before or "")
    panel.ui.keepNewBox.checked = False
