"""The panel "Materials": what the heart is made of, and how it is scanned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.ct.scanners import SCHEMA, scanner
from FedSimCore.errors import FedSimError
from FedSimCore.files import write_json
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.material_set import read_material_set, without_iodine, write_material_set
from FedSimSlicerLib.person_section import Person, PersonSection
from FedSimSlicerLib.scan_setup import (
    DEFAULT_SCANNER,
    effective_phase,
    effective_scanner,
    read_materials,
    read_preset,
    read_scanner_changes,
    write_materials,
    write_own_scanner,
    write_scanner_changes,
)
from FedSimSlicerLib.scanner_section import ScannerSection
from FedSimSlicerLib.tissue_table import TissueTable, phase_items

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.worker.protocol import Material
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

TISSUES_FILTER = "FedSim tissues (*.json)"
SCANNER_FILTER = "FedSim scanner (*.json)"


class MaterialsPanel:
    """Tissues of the seven regions, scanner, person and noise.

    Everything is kept in the scene's state, and shown from there: a field writes the state, the state's signal
    refreshes the fields and lets the quick CT follow (:meth:`LiveHeart.follow_settings`).

    Attributes:
        widget: the panel's qt.QWidget.
        tissues, scanner, person: its sections.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._shown: tuple[Any, ...] | None = None
        self.widget = slicer.util.loadUI(resource_path("UI/MaterialsPanel.ui"))
        self.ui = ui = slicer.util.childWidgetVariables(self.widget)
        for box in (ui.phaseBox, ui.presetBox, ui.surroundingsBox):
            make_quiet(box)
        self.tissues = TissueTable(ui.tissueGrid, self._set_material)
        self.scanner = ScannerSection(
            ui.presetBox, ui.protocolGrid, ui.machineGrid, self._set_preset, self._set_scanner_changes
        )
        self.person = PersonSection(ui.surroundingsBox, ui.noiseBox, ui.personGrid, self._set_person)
        self._connect()
        session.state_changed.connect(self._on_state)

    def close(self) -> None:
        """Nothing here goes on by itself."""

    def _connect(self) -> None:
        ui = self.ui
        ui.phaseBox.connect("activated(int)", lambda _index: self._set_phase(ui.phaseBox.currentData))
        ui.resetTissuesButton.connect("clicked()", self._reset_tissues)
        ui.saveTissuesButton.connect("clicked()", self._save_tissues)
        ui.loadTissuesButton.connect("clicked()", self._load_tissues)
        ui.resetScannerButton.connect("clicked()", self._reset_scanner)
        ui.saveScannerButton.connect("clicked()", self._save_scanner)
        ui.loadScannerButton.connect("clicked()", self._load_scanner)

    # From the state to the widgets

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        if state is None:
            self._shown = None
            self._revert()
            return
        settings = _settings(state)
        if settings == self._shown:  # the heart has moved, or another panel's value
            return
        self._shown = settings
        try:
            self._show(state)
        except FedSimError as error:  # a scene of another version, or mended by hand
            _set_defaults(state)
            self._session.message.emit(_("{error} Tissues and scanner are the defaults again.").format(error=error))

    def _show(self, state: ModuleState) -> None:
        ui = self.ui
        materials, changes = read_materials(state), read_scanner_changes(state)
        preset, used = read_preset(state), effective_scanner(state)
        spectrum = used.spectrum()
        fill_combo_box(ui.phaseBox, phase_items(used.phase))
        choose(ui.phaseBox, state.phase, bool(state.phase))
        self.tissues.show(materials, effective_phase(state), spectrum)
        ui.beamLabel.text = _("HU at {beam} behind 20 cm of water. Bold italics: changed.").format(beam=spectrum.name)
        ui.resetTissuesButton.enabled = bool(materials or state.phase)
        self.scanner.show(state.scanner, preset, changes)
        ui.resetScannerButton.enabled = bool(changes)
        self.person.show(Person(state.surroundings, state.body_seed, state.noise, state.noise_seed))

    def _revert(self) -> None:
        self.tissues.revert()
        self.scanner.revert()
        self.person.revert()

    # From the user to the state

    def _change(self, write: Callable[[ModuleState], None]) -> None:
        """Write the state and tell it once."""
        state = self._session.state
        if state is None:
            return
        with slicer.util.NodeModify(state.parameterNode):
            write(state)

    def _set_material(self, label: int, material: Material | None) -> None:
        def write(state: ModuleState) -> None:
            materials = read_materials(state)
            materials.pop(label, None)
            if material is not None:
                materials[label] = material
            write_materials(state, materials)

        self._change(write)

    def _set_phase(self, phase: str) -> None:
        def write(state: ModuleState) -> None:
            write_materials(state, without_iodine(read_materials(state)))
            state.phase = phase

        self.tissues.revert()
        self._change(write)

    def _reset_tissues(self) -> None:
        def write(state: ModuleState) -> None:
            write_materials(state, {})
            state.phase = ""

        self.tissues.revert()
        self._change(write)

    def _set_preset(self, key: str) -> None:
        def write(state: ModuleState) -> None:
            write_scanner_changes(state, {})
            state.scanner = key

        self.scanner.revert()
        self._change(write)

    def _set_scanner_changes(self, changes: dict[str, Any]) -> None:
        self._change(lambda state: write_scanner_changes(state, changes))

    def _reset_scanner(self) -> None:
        self.scanner.revert()
        self._set_scanner_changes({})

    def _set_person(self, field: str, value: Any) -> None:
        self._change(lambda state: setattr(state, field, value))

    # Files

    def _save_tissues(self) -> None:
        def write(path: Path, state: ModuleState) -> None:
            write_material_set(path, read_materials(state), effective_phase(state))

        self._save(_("Save the tissues"), "tissues.json", TISSUES_FILTER, write)

    def _load_tissues(self) -> None:
        def read(path: Path) -> None:
            materials = read_material_set(path)

            def write(state: ModuleState) -> None:
                write_materials(state, materials.by_label())
                state.phase = materials.phase

            self.tissues.revert()
            self._change(write)

        self._load(_("Load tissues"), TISSUES_FILTER, read)

    def _save_scanner(self) -> None:
        def write(path: Path, state: ModuleState) -> None:
            named = effective_scanner(state).with_changes(key=path.stem)
            write_json(path, {"schema": SCHEMA, "scanners": [named.model_dump(mode="json")]})

        self._save(_("Save the scanner"), "scanner.json", SCANNER_FILTER, write)

    def _load_scanner(self) -> None:
        def read(path: Path) -> None:
            own = scanner(path)
            self.scanner.revert()
            self._change(lambda state: write_own_scanner(state, own))

        self._load(_("Load a scanner"), SCANNER_FILTER, read)

    def _save(self, title: str, name: str, kind: str, write: Callable[[Path, ModuleState], None]) -> None:
        path, state = qt.QFileDialog.getSaveFileName(self.widget, title, name, kind), self._session.state
        if path and state is not None:
            chosen = Path(path)
            target = chosen if chosen.suffix.lower() == ".json" else chosen.with_name(f"{chosen.name}.json")
            self._tell_errors(lambda: write(target, state))

    def _load(self, title: str, kind: str, read: Callable[[Path], None]) -> None:
        path = qt.QFileDialog.getOpenFileName(self.widget, title, "", kind)
        if path:
            self._tell_errors(lambda: read(Path(path)))

    def _tell_errors(self, action: Callable[[], None]) -> None:
        try:
            action()
        except FedSimError as error:
            self._session.message.emit(str(error))
        else:
            self._session.message.emit("")


def _settings(state: ModuleState) -> tuple[Any, ...]:
    """Return everything of the state that this panel shows."""
    return (
        state.materials,
        state.phase,
        state.scanner,
        state.own_scanner,
        state.scanner_changes,
        state.surroundings,
        state.body_seed,
        state.noise,
        state.noise_seed,
    )


def _set_defaults(state: ModuleState) -> None:
    with slicer.util.NodeModify(state.parameterNode):
        state.materials = state.own_scanner = state.scanner_changes = "{}"
        state.phase, state.scanner = "", DEFAULT_SCANNER
