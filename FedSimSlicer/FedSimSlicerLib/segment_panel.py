"""The panel "Segment": scans and a segmenter in; segmentations, volumes and doubts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from FedSimSlicerLib.checked_edit import fill_combo_box, make_quiet
from FedSimSlicerLib.dependencies import SEGMENTING_REQUIREMENTS
from FedSimSlicerLib.installer import PackageInstaller
from FedSimSlicerLib.segment_files import NIFTI, NRRD, SaveChoice
from FedSimSlicerLib.segment_result_section import SegmentResultSection, result_text
from FedSimSlicerLib.segment_results import SegmentedScan, results
from FedSimSlicerLib.segment_scans import scan_in_views, scans
from FedSimSlicerLib.segment_table import ScanRow, ScanTable
from FedSimSlicerLib.segmenter_choice import SegmenterChoice
from FedSimSlicerLib.segmenting import Job, SegmentChoice, Segmenting
from FedSimSlicerLib.setup_panel import SetupPanel
from FedSimSlicerLib.training_table import duration_text
from FedSimSlicerLib.view_centers import bring_3d_views_to
from FedSimSlicerLib.widget_values import WheelGuard, silenced

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

FOLDER_SETTING = "FedSim/SegmentationsFolder"


class SegmentPanel(VTKObservationMixin):
    """Chooses scans and a segmenter, runs it in the background, and shows what was found.

    Attributes:
        widget: the panel's qMRMLWidget.
        ui: its widgets by name.
        segmenting: what runs.
        segmenter: what is chosen to run.
        result: the section about one result.
        libraries: seen while a package is missing that segmenting needs.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        VTKObservationMixin.__init__(self)
        self._session = session
        self._settings = slicer.app.userSettings()
        self._state: ModuleState | None = None
        self._ticked_by_user = False
        self.segmenting = Segmenting(session)
        self.widget = slicer.util.loadUI(resource_path("UI/SegmentPanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.table = ScanTable(self.ui.scanTable, self._on_ticked, self._on_chosen)
        self.segmenter = SegmenterChoice(session, self.ui)
        self.result = SegmentResultSection(session, self.ui)
        make_quiet(self.ui.saveFormatBox)
        fill_combo_box(self.ui.saveFormatBox, [("NIfTI (.nii.gz)", NIFTI), ("NRRD (.nrrd)", NRRD)])
        self.ui.saveFolderEdit.currentPath = str(self._settings.value(FOLDER_SETTING) or "")
        self.libraries = SetupPanel(PackageInstaller(SEGMENTING_REQUIREMENTS), self.segmenter.open)
        self.libraries.ui.titleLabel.text = _("<b>Segmenting needs one more Python package:</b>")
        self.widget.layout().insertWidget(0, self.libraries.widget)
        self._guard = WheelGuard()
        self._guard.protect(self.ui.scanTable)
        # Nodes come and go in bunches; the list is made once for each.
        self._listing = qt.QTimer()
        self._listing.setSingleShot(True)
        self._listing.setInterval(0)
        self._listing.connect("timeout()", self.refresh)
        self._connect()
        self._on_state(session.state)

    def close(self) -> None:
        """End what runs."""
        self._listing.stop()
        self.removeObservers()
        self.segmenting.close()
        self.result.close()

    def _connect(self) -> None:
        ui, scene = self.ui, slicer.mrmlScene
        ui.segmentButton.connect("clicked()", self._start_or_cancel)
        ui.uncertaintyBox.connect("toggled(bool)", lambda on: self._set("segment_uncertainty", on))
        ui.flipsBox.connect("toggled(bool)", lambda on: self._set("segment_flips", on))
        ui.saveBox.connect("toggled(bool)", lambda _on: self._refresh_controls())
        ui.saveFolderEdit.connect("currentPathChanged(QString)", self._on_folder)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndCloseEvent):
            self.addObserver(scene, event, lambda *_: self._listing.start())
        self._session.state_changed.connect(self._on_state)
        self._session.segmenter_wanted.connect(self._segment_with)
        self.segmenter.changed.connect(self._refresh_controls)
        self.segmenting.changed.connect(self._on_job)
        self.segmenting.progressed.connect(lambda _job: self._show_progress())

    def _segment_with(self, file: str) -> None:
        self._session.tab_wanted.emit(type(self).__name__)
        self.segmenter.use(file)

    def follow(self) -> None:
        """Look anew at what there is; to be called when the panel may have come into sight."""
        self._listing.start()

    def refresh(self) -> None:
        """List the scans that there are, with what is known of each."""
        state = self._session.state
        if state is None:
            return
        nodes = self._show_rows(state)
        if not self._ticked_by_user and not self.table.ticked:
            self._tick_scan_in_views(nodes)
        self._show_result()
        self._refresh_controls()
        if self.widget.isVisible() and self.libraries.refresh():
            self.segmenter.open()

    def _show_rows(self, state: ModuleState) -> list[Any]:
        """Show every scan's row and return their nodes."""
        jobs = {job.scan_id: job for job in self.segmenting.jobs}
        newest = {each.scan.GetID(): each for each in results() if each.scan is not None}
        nodes = scans(state.preview)
        self.table.show([_row(node, jobs.get(node.GetID()), newest.get(node.GetID())) for node in nodes])
        self.ui.noScansLabel.visible = not nodes
        return nodes

    def _tick_scan_in_views(self, nodes: list[Any]) -> None:
        seen = scan_in_views()
        if seen in nodes:
            with silenced(self.ui.scanTable):
                self.table.tick([seen.GetID()])
            self._ticked_by_user = False

    # ---- what the user does

    def _start_or_cancel(self) -> None:
        if self.segmenting.running:
            self.segmenting.cancel()
            return
        nodes = [node for each in self.table.ticked if (node := slicer.mrmlScene.GetNodeByID(each)) is not None]
        self._session.message.emit("")
        self.segmenting.start(nodes, self._choice())

    def _choice(self) -> SegmentChoice:
        ui, model = self.ui, self.segmenter.model
        folder = str(ui.saveFolderEdit.currentPath).strip()
        save = SaveChoice(Path(folder).expanduser(), ui.saveFormatBox.currentData) if self._saves and folder else None
        if save is not None:
            ui.saveFolderEdit.addCurrentPathToHistory()
        return SegmentChoice(
            segmenter=self.segmenter.file,
            flips=bool(ui.flipsBox.checked) and model is not None and model.flips,
            uncertainty=bool(ui.uncertaintyBox.checked),
            save=save,
        )

    @property
    def _saves(self) -> bool:
        return bool(self.ui.saveBox.checked)

    def _set(self, name: str, value: bool) -> None:
        if self._session.state is not None:
            setattr(self._session.state, name, value)

    def _on_folder(self, path: str) -> None:
        self._settings.setValue(FOLDER_SETTING, path.strip())
        self._refresh_controls()

    def _on_ticked(self) -> None:
        self._ticked_by_user = True
        self._refresh_controls()

    def _on_chosen(self) -> None:
        self._show_result()

    # ---- what happens

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        if state is not self._state:
            self._state = state
            if state is None:
                self._ticked_by_user = False
                self.result.scene_is_going()
        if state is None:
            return
        for box, wanted in (
            (self.ui.uncertaintyBox, state.segment_uncertainty),
            (self.ui.flipsBox, state.segment_flips),
        ):
            with silenced(box):
                box.checked = wanted
        self.segmenter.show_state(state)
        self.result.show_state(state)
        self._listing.start()

    def _on_job(self, job: Job) -> None:
        """Show another state; the first result, or the first failure, of a batch is chosen by itself."""
        self.refresh()
        chosen = next((each for each in self.segmenting.jobs if each.scan_id == self.table.chosen), None)
        if job.ended and job.state != "cancelled" and (chosen is None or not chosen.ended):
            self.table.choose(job.scan_id)
            if job.middle_mm is not None:
                bring_3d_views_to(job.middle_mm)
        self._show_progress()

    def _show_result(self) -> None:
        """Show what is known of the chosen scan; nothing is worked out anew while it is the same."""
        scan_id = self.table.chosen
        job = next((each for each in self.segmenting.jobs if each.scan_id == scan_id), None)
        found = [each for each in results() if each.scan is not None and each.scan.GetID() == scan_id]
        segmented = found[-1] if found else None
        sentence = _sentence(job, segmented)
        if job is not None and (job.state == "failed" or (job.result is not None and not job.result.found)):
            segmented = None  # an older result is not what is told
        shown = self.result.shown
        if segmented is not None and shown is not None and segmented.node is shown.node:
            self.ui.resultLabel.text = sentence
            return
        if segmented is not None or shown is not None or self.ui.resultLabel.text != sentence:
            self.result.show(segmented, sentence)

    def _show_progress(self) -> None:
        if self._session.state is not None:
            self._show_rows(self._session.state)
        ui, jobs = self.ui, self.segmenting.jobs
        ui.segmentProgressBar.value = round(1000 * self.segmenting.fraction)
        running = next((job for job in jobs if job.state == "running"), None)
        if running is None:
            return
        text = running.stage[:1].upper() + running.stage[1:]
        if len(jobs) > 1:
            number = jobs.index(running) + 1
            told = _("{scan} ({number} of {count}): {stage}")
            text = told.format(scan=running.name, number=number, count=len(jobs), stage=running.stage)
        left = self.segmenting.remaining_s
        if left is not None:
            text = _("{stage}, about {time} left").format(stage=text, time=duration_text(left))
        ui.segmentStageLabel.text = text

    def _refresh_controls(self) -> None:
        """Show what can be done now."""
        ui, running, model = self.ui, self.segmenting.running, self.segmenter.model
        count = len(self.table.ticked)
        ui.segmentButton.text = _("Cancel") if running else _("Segment")
        if not running and count > 1:
            ui.segmentButton.text = _("Segment {count} scans").format(count=count)
        why = self._why_not(count)
        ui.segmentButton.enabled = running or not why
        ui.segmentButton.toolTip = why or _("Find the heart in the ticked scans, in the background.")
        for widget in (ui.segmenterBox, ui.segmenterEdit, ui.uncertaintyBox, ui.flipsBox, ui.saveBox):
            widget.enabled = not running
        ui.flipsBox.visible = model is not None and model.flips
        ui.saveFolderEdit.visible = ui.saveFormatBox.visible = self._saves
        ui.saveFolderEdit.enabled = ui.saveFormatBox.enabled = not running
        ui.segmentProgressBar.visible = ui.segmentStageLabel.visible = running
        if not running:
            ui.segmentProgressBar.value, ui.segmentStageLabel.text = 0, ""

    def _why_not(self, count: int) -> str:
        if not count:
            return _("Tick a scan.")
        if self.segmenter.model is None:
            return _("Choose a segmenter that can be used.")
        if self._saves and not self.ui.saveFolderEdit.currentPath.strip():
            return _("Choose a folder to save to.")
        return ""


def _row(node: Any, job: Job | None, segmented: SegmentedScan | None) -> ScanRow:
    """Return a scan's row: of the last batch if it was in it, else what the scene knows."""
    scan_id, name = node.GetID(), node.GetName()
    if job is not None and not (job.state == "cancelled" and segmented is not None):
        result, state = job.result, _state_text(job)
    elif segmented is not None:
        result, state = segmented.result, _("done")
    else:
        return ScanRow(scan_id, name)
    volume = ""
    if result is not None and result.found:
        volume = _("{volume:.0f} ml").format(volume=sum(region.volume_ml for region in result.regions))
    return ScanRow(scan_id, name, state, volume, "" if job is None else job.reason)


def _state_text(job: Job) -> str:
    if job.state == "running":
        return _("{percent:.0f} %").format(percent=100 * job.fraction)
    if job.state == "done" and job.result is not None and not job.result.found:
        return _("no heart")
    if job.state == "done" and job.reason:
        return _("not saved")
    return {
        "waiting": _("waiting"),
        "saving": _("saving"),
        "done": _("done"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
    }[job.state]


def _sentence(job: Job | None, segmented: SegmentedScan | None) -> str:
    """Return what is known of a scan, in words."""
    if job is not None and job.state == "failed":
        return job.reason
    if job is not None and job.result is not None:
        lines = [result_text(job.name, job.result)]
        if job.reason:
            lines.append(f"⚠ {job.reason}")
        if job.files:
            lines.append(_("Saved: {files}").format(files=", ".join(job.files)))
        return "\n".join(lines)
    if segmented is not None and segmented.scan is not None:
        return result_text(segmented.scan.GetName(), segmented.result)
    return _("Choose a scan in the list to see what was found in it.")
