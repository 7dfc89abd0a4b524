"""Scans for the panel "Segment" and a panel with a segmenter that finds what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FedSimCore.volumes import Grid
from Testing.slicer.module.small_segmenters import balls, scan_of, write_segmenter

__all__ = ["heart_segmenter_file", "messages", "panel", "segmenter_file"]

CENTRE = (12.0, 18.0, -28.0)
GRID = Grid((40, 44, 36), Grid.centered((40, 44, 36), 3.0, (10.0, 20.0, -30.0)).affine)
LIMIT_S = 240


@pytest.fixture(scope="session")
def segmenter_file(tmp_path_factory: Any) -> Path:
    """A segmenter of seven regions."""
    return write_segmenter(tmp_path_factory.mktemp("segmenter") / "seven.safetensors")


@pytest.fixture(scope="session")
def heart_segmenter_file(tmp_path_factory: Any) -> Path:
    """A segmenter that does not tell the regions apart."""
    return write_segmenter(tmp_path_factory.mktemp("segmenter") / "heart.safetensors", "heart")


@pytest.fixture
def panel(shared_module: Any, session: Any, segmenter_file: Path, wait_for: Callable[..., None]) -> Iterator[Any]:
    """The panel with the segmenter of seven regions, open."""
    shared_module.panel.show_tab("SegmentPanel")
    panel = next(panel for panel in shared_module.panel.panels if type(panel).__name__ == "SegmentPanel")
    use_segmenter(panel, segmenter_file, wait_for)
    yield panel
    panel.segmenting.cancel()
    panel.ui.saveBox.checked = False


@pytest.fixture
def messages(session: Any) -> list[str]:
    """What the user is told."""
    told: list[str] = []
    session.message.connect(told.append)
    return told


def use_segmenter(panel: Any, file: Path, wait_for: Callable[..., None]) -> None:
    """Choose a segmenter and wait until it is open."""
    panel.ui.segmenterBox.currentIndex = 1
    panel.ui.segmenterEdit.currentPath = str(file)
    wait_for(lambda: panel.segmenter.model is not None and panel.segmenter.model.file == str(file))


def put_scan(name: str = "Patient 3", shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> tuple[Any, Any]:
    """Put a scan into the scene and the slice views; returns its node and its true labels (i, j, k)."""
    import slicer

    from FedSimSlicerLib.scene_volumes import put_volume

    centre = tuple(np.add(CENTRE, shift))
    labels = balls(GRID, centre)  # type: ignore[arg-type]
    node = put_volume(scan_of(labels), GRID, name)
    slicer.util.setSliceViewerLayers(background=node)
    return node, labels


def segmentations() -> list[Any]:
    """The scene's segmentations."""
    import slicer

    return list(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))


def finish(panel: Any, wait_for: Callable[..., None]) -> None:
    """Wait until nothing is being segmented."""
    wait_for(lambda: not panel.segmenting.running, LIMIT_S)


def press(panel: Any, wait_for: Callable[..., None], *nodes: Any) -> None:
    """Tick scans, press the button, and wait until nothing is being segmented."""
    begin(panel, wait_for, *nodes)
    finish(panel, wait_for)


def begin(panel: Any, wait_for: Callable[..., None], *nodes: Any) -> None:
    """Tick scans and press the button."""
    ids = [node.GetID() for node in nodes]
    wait_for(lambda: panel.ui.scanTable.rowCount >= len(ids))
    panel.refresh()
    panel.table.tick(ids)
    panel.ui.segmentButton.click()


def states(panel: Any) -> dict[str, str]:
    """What the table says of each scan."""
    table = panel.ui.scanTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}
