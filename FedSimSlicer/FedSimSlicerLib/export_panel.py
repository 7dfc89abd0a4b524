"""The panel from which a heart leaves the module: as files, or as nodes of the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.worker.protocol import GridSpec
from FedSimSlicerLib.export_files import VOLUME_SUFFIXES, ExportChoice, existing_names
from FedSimSlicerLib.exporter import Exported, Exporter
from FedSimSlicerLib.scene_volumes import grid_of
from FedSimSlicerLib.simulation_output import heart_of

if TYPE_CHECKING:
    from FedSimSlicerLib.export_source import ExportSource

POLL_MS = 100
_NAMES_SHOWN = 8


class ExportPanel:
    """Choices, a button that becomes Cancel, progress, and what came of it.

    Attributes:
        widget: the panel's qt.QWidget.
        ui: its widgets by name.

    Args:
        source: what is exported.
        exporter: exports it.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, source: ExportSource, exporter: Exporter, resource_path: Callable[[str], str]) -> None:
        self._source, self._exporter = source, exporter
        self.widget = slicer.util.loadUI(resource_path("UI/ExportPanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.volumeFormatBox.addItem("NRRD (.nrrd)", VOLUME_SUFFIXES[0])
        self.ui.volumeFormatBox.addItem("NIfTI (.nii.gz)", VOLUME_SUFFIXES[1])
        self.ui.nameEdit.text = _("heart")
        if not self.ui.folderEdit.currentPath:
            self.ui.folderEdit.currentPath = str(Path.home() / "FedSim")
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._show_step)
        self._connect()
        self.follow_scene()
        self._show_state()

    def close(self) -> None:
        """End the export under way."""
        self._exporter.cancel()
        self._timer.stop()

    def follow_scene(self) -> None:
        """Offer what there is to export now; to be called when the panel is shown and when the scene has changed."""
        self._offer_grids()
        self._tell_ct()
        reference = self._source.reference()
        beside = _("beside {name}").format(name=reference.GetName()) if reference is not None else _("at the top")
        self.ui.sceneHintLabel.text = _("A folder {beside} in the Data module.").format(beside=beside)
        self._enable()

    def scene_is_closing(self) -> None:
        """End an export into a scene that goes; files are written on."""
        if self._exporter.into_scene:
            self._exporter.cancel()
            self._tell(_("The scene was closed during the export, which was ended; export again."))

    def _connect(self) -> None:
        ui = self.ui
        for box in (ui.segmentationBox, ui.labelMapBox, ui.modelsBox, ui.vtpBox, ui.stlBox, ui.objBox, ui.ctBox):
            box.connect("toggled(bool)", self._enable)
        ui.parametersBox.connect("toggled(bool)", self._enable)
        ui.folderButton.connect("toggled(bool)", self._enable)
        ui.nameEdit.connect("textChanged(QString)", self._enable)
        ui.folderEdit.connect("currentPathChanged(QString)", self._enable)
        ui.exportButton.connect("clicked()", self._on_button)
        ui.resultLabel.connect("linkActivated(QString)", self._open)
        self._exporter.finished.connect(self._on_finished)
        self._exporter.failed.connect(self._tell)
        self._exporter.ended.connect(self._show_state)

    # ---- choices

    def choice(self) -> ExportChoice:
        """Return what is ticked."""
        ui, into_folder = self.ui, self._into_folder
        formats = ((".vtp", ui.vtpBox), (".stl", ui.stlBox), (".obj", ui.objBox))
        ticked = tuple(suffix for suffix, box in formats if box.checked) if into_folder else (".vtp",)
        return ExportChoice(
            name=ui.nameEdit.text,
            segmentation=ui.segmentationBox.checked,
            models=ticked if ui.modelsBox.checked else (),
            label_map=ui.labelMapBox.checked,
            ct=ui.ctBox.checked and ui.ctBox.enabled,
            parameters=ui.parametersBox.checked,
            volume_suffix=ui.volumeFormatBox.currentData,
        )

    @property
    def _into_folder(self) -> bool:
        return bool(self.ui.folderButton.checked)

    def _offer_grids(self) -> None:
        """Offer the grids that there are; what was chosen stays chosen where it still is."""
        box, chosen = self.ui.gridBox, self.ui.gridBox.currentData
        box.blockSignals(True)
        box.clear()
        box.addItem(_("a cube round the heart"), "heart")
        simulated, reference = self._source.simulated(), self._source.reference()
        if simulated:
            box.addItem(_("the voxels of {name}").format(name=simulated[0].GetName()), "ct")
        if reference is not None:
            box.addItem(_("the voxels of {name}").format(name=reference.GetName()), "reference")
        box.setCurrentIndex(max(0, box.findData(chosen)))
        box.blockSignals(False)

    def _grid(self) -> GridSpec:
        """Return the chosen grid.

        Raises:
            InputError: the node is not one scalar volume, or hangs under a bending transform.
        """
        chosen = self.ui.gridBox.currentData
        if chosen == "heart":
            return self._source.grid()
        node = self._source.reference() if chosen == "reference" else next(iter(self._source.simulated()), None)
        return GridSpec.of(grid_of(node))

    def _tell_ct(self) -> None:
        volumes = self._source.simulated()
        told = ", ".join(node.GetName() for node in volumes) or _("None yet: see the tab Simulate.")
        if volumes and heart_of(volumes[0]) != self._source.heart:
            told += " " + _("(of another heart than the one you see now)")
        self.ui.ctHintLabel.text = told

    def _enable(self, *_unused: Any) -> None:
        ui, files = self.ui, self._into_folder
        for box in (ui.vtpBox, ui.stlBox, ui.objBox):
            box.setVisible(files)
            box.setEnabled(ui.modelsBox.checked)
        ui.ctBox.setEnabled(files and bool(self._source.simulated()))
        ui.ctHintLabel.setEnabled(ui.ctBox.enabled)
        ui.folderEdit.setEnabled(files)
        ui.sceneHintLabel.setEnabled(not files)
        choice = self.choice()
        ui.gridBox.setEnabled(choice.needs_labels)
        ui.volumeFormatBox.setEnabled(files and (choice.label_map or choice.ct))
        why = self._why_not(choice)
        ui.exportButton.setEnabled(self._exporter.busy or not why)
        ui.exportButton.toolTip = why or _("Export what is ticked above.")

    def _why_not(self, choice: ExportChoice) -> str:
        """Return why there can be no export, in a sentence; nothing if there can."""
        if self._into_folder and not self.ui.folderEdit.currentPath.strip():
            return _("Choose a folder.")
        try:
            self._exporter.plan(choice)
        except FedSimError as error:
            return str(error)
        return ""

    # ---- the export

    def _on_button(self) -> None:
        if self._exporter.busy:
            self._exporter.cancel()
            self._tell(_("The export was cancelled."))
            return
        self.follow_scene()
        choice = self.choice()
        folder = Path(self.ui.folderEdit.currentPath.strip()).expanduser() if self._into_folder else None
        try:
            if folder is not None and not self._may_replace(choice, folder):
                return
            self._tell("")
            self._exporter.start(choice, self._grid(), folder)
        except FedSimError as error:
            self._tell(str(error))
            return
        if folder is not None:
            self.ui.folderEdit.addCurrentPathToHistory()
        self._show_state()

    def _may_replace(self, choice: ExportChoice, folder: Path) -> bool:
        """Ask before files are replaced; True if there are none."""
        names = existing_names(self._exporter.plan(choice), folder)
        if not names:
            return True
        listed = "\n".join(names[:_NAMES_SHOWN])
        if len(names) > _NAMES_SHOWN:
            listed += "\n" + _("and {count} more").format(count=len(names) - _NAMES_SHOWN)
        return bool(
            slicer.util.confirmYesNoDisplay(
                _("In {folder} there are already:\n{names}\n\nReplace them?").format(folder=folder, names=listed),
                windowTitle=_("Replace files?"),
                parent=self.widget.window(),
            )
        )

    def _on_finished(self, exported: Exported) -> None:
        if exported.folder is None:
            told = _("{count} nodes added to the folder “{folder}” of the Data module; they are hidden.")
            self._tell(told.format(count=len(exported.names), folder=exported.scene_folder))
            return
        url = qt.QUrl.fromLocalFile(str(exported.folder)).toString()
        link = f'<a href="{url}">{_escaped(str(exported.folder))}</a>'
        count = len(exported.names)
        told = _("1 file written to {folder}") if count == 1 else _("{count} files written to {folder}")
        self._tell(told.format(count=count, folder=link))
        self.ui.resultLabel.toolTip = "\n".join(exported.names)

    def _open(self, url: str) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl(url))

    # ---- what is shown

    def _show_state(self) -> None:
        busy = self._exporter.busy
        for section in (self.ui.whatSection, self.ui.whereSection):
            section.setEnabled(not busy)
        self.ui.exportButton.text = _("Cancel") if busy else _("Export")
        self.ui.progressBar.setVisible(busy)
        if busy:
            self._timer.start()
            self._show_step()
        else:
            self._timer.stop()
        self._enable()

    def _show_step(self) -> None:
        stage, fraction = self._exporter.step
        self.ui.progressBar.maximum = 0 if fraction is None else 1000  # 0 to 0 shows that something is going on
        if fraction is not None:
            self.ui.progressBar.value = round(1000 * fraction)
        self._tell(stage)

    def _tell(self, sentence: str) -> None:
        self.ui.resultLabel.text = sentence
        self.ui.resultLabel.toolTip = ""
        self.ui.resultLabel.setVisible(bool(sentence))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
