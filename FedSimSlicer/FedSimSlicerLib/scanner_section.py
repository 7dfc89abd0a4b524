"""The scanner: a preset, its settings, what was changed in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from FedSimCore.ct.scanners import Scanner, scanners
from FedSimSlicerLib.checked_edit import CheckedEdit, choose, fill_combo_box, quiet_combo_box
from FedSimSlicerLib.scanner_fields import Accept, ScannerField, changed_scanner, machine_fields, protocol_fields

OWN = ""
"""Stands for the scanner that was read from a file, as in ``ModuleState.scanner``."""


class NumberField:
    """A setting to type.

    Args:
        field: the setting.
        accept: see :data:`Accept`.
    """

    def __init__(self, field: ScannerField, accept: Accept) -> None:
        self.field = field
        self._accept = accept
        self.cell = CheckedEdit(self._accept_text, field.tip, may_be_empty=field.optional)
        self.widget = self.cell.edit

    def show(self, value: Any, preset: Any) -> None:
        """Show the value, marked where it is not the preset's."""
        self.cell.show(self.field.format(value), value != preset)
        before = _("Preset: {value} {unit}").format(value=self.field.format(preset) or "-", unit=self.field.unit)
        self.cell.set_tip(f"{self.field.tip}\n{before}")

    def revert(self) -> None:
        """Forget what was typed and refused."""
        self.cell.revert()

    def _accept_text(self, text: str) -> None:
        self._accept(self.field.name, self.field.parse(text))


class ChoiceField:
    """A setting to choose; a value that is none of the choices is one more of them.

    Args:
        field: the setting.
        accept: see :data:`Accept`.
    """

    def __init__(self, field: ScannerField, accept: Accept) -> None:
        self.field = field
        self.widget = quiet_combo_box(list(field.items))
        self.widget.connect("activated(int)", lambda _index: accept(field.name, self.widget.currentData))

    def show(self, value: Any, preset: Any) -> None:
        """Show the value, marked where it is not the preset's."""
        if self.widget.findData(value) < 0:
            fill_combo_box(self.widget, [*self.field.items, (self.field.format(value), value)])
        choose(self.widget, value, value != preset)
        self.widget.toolTip = self.field.tip

    def revert(self) -> None:
        """There is nothing to forget."""


class ScannerSection:
    """The widgets of a scanner.

    Attributes:
        presets: qt combo box of the presets by key.
        rows: of the settings, by the name of the field.

    Args:
        presets: combo box to fill.
        protocol: qt.QGridLayout for what changes from scan to scan.
        machine: qt.QGridLayout for what the scanner is built like.
        on_preset: called with the key of the preset that was chosen.
        on_changes: called with the settings that differ from the preset's.
    """

    def __init__(
        self,
        presets: Any,
        protocol: Any,
        machine: Any,
        on_preset: Callable[[str], None],
        on_changes: Callable[[dict[str, Any]], None],
    ) -> None:
        self.presets = presets
        self._on_changes = on_changes
        self._preset = next(iter(scanners().values()))
        self._changes: dict[str, Any] = {}
        self._fields = (*protocol_fields(), *machine_fields())
        self.rows: dict[str, NumberField | ChoiceField] = {}
        for grid, fields in ((protocol, protocol_fields()), (machine, machine_fields())):
            for number, field in enumerate(fields):
                self._add(grid, 2 * number, field)
            grid.setColumnStretch(1, 1)
        presets.connect("activated(int)", lambda _index: on_preset(presets.currentData))

    def show(self, key: str, preset: Scanner, changes: dict[str, Any]) -> None:
        """Show a scanner.

        Args:
            key: of the preset in the list; :data:`OWN` for one that was read from a file.
            preset: that scanner.
            changes: settings that differ from it.
        """
        self._preset, self._changes = preset, changes
        items = [(each.name or each.key, each.key) for each in scanners().values()]
        if key == OWN:
            items.append((_("From a file: {name}").format(name=preset.name or preset.key), OWN))
        fill_combo_box(self.presets, items)
        choose(self.presets, key, bool(changes))
        scanner = preset.with_changes(**changes)
        for name, row in self.rows.items():
            row.show(getattr(scanner, name), getattr(preset, name))
        self.rows["kvp"].widget.enabled = scanner.monochromatic_kev is None

    def revert(self) -> None:
        """Forget what was typed and refused."""
        for row in self.rows.values():
            row.revert()

    def _accept(self, name: str, value: Any) -> None:
        wanted = {**self._changes, name: value}
        scanner = changed_scanner(self._preset, wanted, self._fields)
        self._on_changes({k: getattr(scanner, k) for k in wanted if getattr(scanner, k) != getattr(self._preset, k)})

    def _add(self, grid: Any, line: int, field: ScannerField) -> None:
        row = ChoiceField(field, self._accept) if field.items else NumberField(field, self._accept)
        row.widget.objectName = f"{field.name}Field"
        label = qt.QLabel(field.label)
        label.toolTip = field.tip
        label.setBuddy(row.widget)
        grid.addWidget(label, line, 0)
        grid.addWidget(row.widget, line, 1)
        grid.addWidget(qt.QLabel(field.unit), line, 2)
        if isinstance(row, NumberField):
            grid.addWidget(row.cell.reason, line + 1, 0, 1, 3)
        self.rows[field.name] = row
