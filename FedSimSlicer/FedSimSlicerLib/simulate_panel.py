"""The panel "Simulate": a quick CT that follows the heart, full CT volumes, and one heart through every scanner."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimCore.ct.scanners import scanners
from FedSimCore.errors import FedSimError
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.compare_layout import ORIENTATIONS, View
from FedSimSlicerLib.linked_windows import LinkedWindows
from FedSimSlicerLib.scan_setup import effective_phase, effective_scanner, read_scanner_changes
from FedSimSlicerLib.simulation import Simulation
from FedSimSlicerLib.simulation_grids import GRIDS, USUAL, choice_of
from FedSimSlicerLib.simulation_output import SCANNER, SimulationOutput, heart_of, simulations
from FedSimSlicerLib.slice_layers import standard_composites

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.ct.scanners import Scanner
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import RequestProgress

MOST_COLUMNS = 3


class SimulatePanel:
    """Preview, full quality, and volumes side by side.

    Attributes:
        widget: the panel's qt.QWidget.
        simulation: makes the volumes.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self.simulation = Simulation(session)
        self._layout = session.layout
        self._windows = LinkedWindows()
        self.widget = slicer.util.loadUI(resource_path("UI/SimulatePanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        for box in (self.ui.gridBox, self.ui.runBox, self.ui.planeBox):
            make_quiet(box)
        fill_combo_box(self.ui.gridBox, [(_grid_text(choice.size), choice.size) for choice in GRIDS])
        choose(self.ui.gridBox, USUAL.size)
        fill_combo_box(self.ui.planeBox, [(_(name), name) for name in ORIENTATIONS])
        self._connect()
        session.state_changed.connect(self._on_state)
        self.simulation.changed.connect(self._refresh)
        self.simulation.progressed.connect(self._on_progress)
        self.simulation.arrived.connect(self._on_arrived)
        self._on_state(session.state)

    def close(self) -> None:
        """End what is being made."""
        self.simulation.close()
        self._windows.unlink()

    def _connect(self) -> None:
        ui = self.ui
        ui.previewBox.connect("toggled(bool)", self._set_preview)
        ui.gridBox.connect("currentIndexChanged(int)", lambda _index: self._refresh())
        ui.simulateButton.connect("clicked()", self._simulate_or_cancel)
        ui.allScannersButton.connect("clicked()", self._simulate_all)
        ui.showButton.connect("clicked()", self._show_side_by_side)
        ui.backButton.connect("clicked()", self._layout.back)

    def _set_preview(self, on: bool) -> None:
        if self._session.state is not None:
            self._session.state.live_preview = on

    def _simulate_or_cancel(self) -> None:
        if self.simulation.run is not None:
            self.simulation.cancel()
        else:
            self.simulation.start(self._size, self.ui.replaceBox.checked)

    def _simulate_all(self) -> None:
        self.simulation.start_all(self._size, self.ui.replaceBox.checked)

    @property
    def _size(self) -> int:
        return int(self.ui.gridBox.currentData)

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        if state is None:
            if slicer.mrmlScene.IsClosing():
                self._layout.back()
            return
        blocked = self.ui.previewBox.blockSignals(True)
        self.ui.previewBox.checked = state.live_preview
        self.ui.previewBox.blockSignals(blocked)
        try:
            used = effective_scanner(state)
            self.ui.scannerLabel.text = _describe(used, effective_phase(state), bool(read_scanner_changes(state)))
        except FedSimError as error:
            self.ui.scannerLabel.text = str(error)
        self._refresh()

    def _refresh(self) -> None:
        """Show what can be done now."""
        ui, running = self.ui, self.simulation.run is not None
        ui.simulateButton.text = _("Cancel") if running else _("Simulate")
        ui.allScannersButton.text = _("Through every site’s scanner ({count})").format(count=len(scanners()))
        for widget in (ui.allScannersButton, ui.gridBox, ui.replaceBox):
            widget.enabled = not running
        ui.progressBar.visible = ui.stageLabel.visible = running
        if running and not ui.stageLabel.text:
            ui.stageLabel.text = _("Waiting for the worker...")
        if not running:
            ui.progressBar.value, ui.stageLabel.text = 0, ""
        choice = choice_of(self._size)
        ui.costLabel.text = _cost_text(choice.size, choice.memory_mb, self.simulation.estimate_s(choice.size))
        self._refresh_runs()

    def _refresh_runs(self) -> None:
        chosen, known = self.ui.runBox.currentData, simulations()
        items = [(_run_text(number, volumes), number) for number, volumes in sorted(known.items(), reverse=True)]
        fill_combo_box(self.ui.runBox, items)
        if items:
            choose(self.ui.runBox, chosen if chosen in known else items[0][1])
        self.ui.runBox.enabled = self.ui.planeBox.enabled = self.ui.showButton.enabled = bool(items)
        self.ui.backButton.enabled = self._layout.active

    def _on_progress(self, event: RequestProgress) -> None:
        self.ui.progressBar.value = round(1000 * event.fraction)
        text, run = _progress_text(event.stage, event.remaining_s), self.simulation.run
        if run is not None and (count := len(run.task.scanners)) > 1:
            number = min(count - 1, 0 if run.output is None else len(run.output.volumes))
            numbered = _("{scanner} ({number} of {count}): {stage}")
            text = numbered.format(scanner=run.task.scanners[number].key, number=number + 1, count=count, stage=text)
        self.ui.stageLabel.text = text

    def _on_arrived(self, output: SimulationOutput) -> None:
        self._refresh()
        choose(self.ui.runBox, output.number)
        run = self.simulation.run
        if run is not None and len(run.task.scanners) > 1:
            self._show_side_by_side()
        elif not self._layout.active:
            for composite in standard_composites():
                composite.SetBackgroundVolumeID(output.volumes[0].GetID())

    def _show_side_by_side(self) -> None:
        volumes = simulations().get(self.ui.runBox.currentData, [])
        if not volumes:
            self._session.message.emit(_("There is no simulated volume any more; simulate first."))
            return
        views = [View(volume.GetAttribute(SCANNER), volume, self.ui.planeBox.currentData) for volume in volumes]
        rows = math.ceil(len(views) / MOST_COLUMNS)
        width = math.ceil(len(views) / rows)
        heart = heart_of(volumes[0]) or self._session.editor.heart
        vertices = self._session.surface.vertices(heart)
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        rows_of_views = [views[start : start + width] for start in range(0, len(views), width)]
        self._layout.show(rows_of_views, middle, self._on_views_left)
        self._windows.link(volumes)
        self._refresh_runs()

    def _on_views_left(self) -> None:
        self._windows.unlink()
        self._refresh_runs()


def _grid_text(size: int) -> str:
    spacing = f"{choice_of(size).spacing_mm:.2f}".rstrip("0").rstrip(".")
    text = _("{size}³ of {spacing} mm").format(size=size, spacing=spacing)
    return _("{choice} (usual)").format(choice=text) if size == USUAL.size else text


def _cost_text(size: int, memory_mb: int, seconds: float | None) -> str:
    memory = _("{gigabytes:.1f} GB of memory").format(gigabytes=memory_mb / 1000)
    if seconds is not None:
        return _("Takes about {time} a scanner and {memory}.").format(time=_time_text(seconds), memory=memory)
    if size == USUAL.size:
        return _("Takes about {memory}, and some ten seconds a scanner on a usual processor.").format(memory=memory)
    factor = f"{choice_of(size).relative_time:g}"
    told = _("Takes about {memory}, and {factor} times the time of the usual grid.")
    return told.format(memory=memory, factor=factor)


def _time_text(seconds: float) -> str:
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    return _("{minutes} min").format(minutes=round(seconds / 60))


def _progress_text(stage: str, remaining_s: float | None) -> str:
    stage = stage[:1].upper() + stage[1:]
    if remaining_s is None:
        return f"{stage}..."
    return _("{stage}... about {time} left").format(stage=stage, time=_time_text(remaining_s))


def _describe(scanner: Scanner, phase: str, changed: bool) -> str:
    beam = f"{scanner.kvp} kVp" if scanner.monochromatic_kev is None else f"{scanner.monochromatic_kev:g} keV"
    text = f"{scanner.key}: {beam}, {scanner.mas:g} mAs, {scanner.views} views, {scanner.kernel}, {phase}"
    return _("{scanner} (with your changes)").format(scanner=text) if changed else text


def _run_text(number: int, volumes: list[Any]) -> str:
    names = ", ".join(volume.GetAttribute(SCANNER) for volume in volumes)
    return _("Heart {number}: {scanners}").format(number=number, scanners=names)
