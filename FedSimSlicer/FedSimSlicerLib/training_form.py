"""A recipe's config as a form: a row for each field, errors below their fields, what differs from the recipe marked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from FedSimCore.errors import InputError
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.recipes import ConfigError, checked_config
from FedSimSlicerLib.checked_edit import REASON_STYLE, REFUSED_STYLE, CheckedEdit, choose, mark, quiet_combo_box
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.training_fields import TrainingField, training_fields

HISTORY_SETTING = "FedSim/Training/{field}"
Accept = Callable[[str, Any], None]
"""Takes a field's name and value; raises :class:`InputError` to refuse it."""


class _Row:
    """The widgets of a field; subclasses bring the one that holds the value.

    Attributes:
        field: what it is for.
        widget: holds the value.
        reason: qt.QLabel below, hidden while there is nothing to tell.
        reset: qt.QToolButton that brings the recipe's value back, hidden while it is there.
    """

    widget: Any
    reason: Any

    def __init__(self, field: TrainingField, accept: Accept) -> None:
        self.field, self._accept = field, accept
        self.reset = qt.QToolButton()
        self.reset.text = "↺"
        self.reset.autoRaise = True
        self.reset.toolTip = _("Back to {value}").format(value=field.format(field.default) or _("nothing"))
        self.reset.accessibleName = _("Reset {field}").format(field=field.label)
        policy = self.reset.sizePolicy
        policy.setRetainSizeWhenHidden(True)
        self.reset.setSizePolicy(policy)
        self._tip = field.full_tip()

    def show(self, value: Any) -> None:
        """Show the value, marked where it is not the recipe's."""
        changed = value != self.field.default
        self._show(value, changed)
        self.reset.setVisible(changed and not self.field.required)

    def tell(self, reason: str) -> None:
        """Tell what is wrong with the value, or that nothing is."""
        self.reason.text = reason
        self.reason.setVisible(bool(reason))
        self.widget.toolTip = reason or self._tip

    def _show(self, value: Any, changed: bool) -> None:
        raise NotImplementedError


class _TextRow(_Row):
    """A number, a text or a list to type."""

    def __init__(self, field: TrainingField, accept: Accept) -> None:
        super().__init__(field, accept)
        may_be_empty = field.optional or field.kind in ("list", "text")
        self._cell = CheckedEdit(self._accept_text, self._tip, may_be_empty)
        self.widget, self.reason = self._cell.edit, self._cell.reason

    def tell(self, reason: str) -> None:
        if not reason:
            self._cell.revert()
        super().tell(reason)
        self.widget.styleSheet = REFUSED_STYLE if reason else ""

    def _show(self, value: Any, changed: bool) -> None:
        self._cell.show(self.field.format(value), changed)

    def _accept_text(self, text: str) -> None:
        self._accept(self.field.name, self.field.parse(text))


class _ChoiceRow(_Row):
    """One of several values."""

    def __init__(self, field: TrainingField, accept: Accept) -> None:
        super().__init__(field, accept)
        self.widget, self.reason = quiet_combo_box([(name, name) for name in field.choices]), _reason_label()
        self.widget.connect("activated(int)", lambda _index: accept(field.name, self.widget.currentData))

    def _show(self, value: Any, changed: bool) -> None:
        choose(self.widget, value, changed)
        self.widget.toolTip = self._tip


class _SwitchRow(_Row):
    """Yes or no."""

    def __init__(self, field: TrainingField, accept: Accept) -> None:
        super().__init__(field, accept)
        self.widget, self.reason = qt.QCheckBox(), _reason_label()
        self.widget.toolTip = self._tip
        self.widget.connect("clicked(bool)", lambda on: accept(field.name, on))

    def _show(self, value: Any, changed: bool) -> None:
        self.widget.checked = bool(value)
        mark(self.widget, changed)


class _PathRow(_Row):
    """A file or folder. Whether it is there is looked up when the training is to start, not while it is typed."""

    def __init__(self, field: TrainingField, accept: Accept) -> None:
        super().__init__(field, accept)
        self.widget, self.reason = ctk.ctkPathLineEdit(), _reason_label()
        edit = self.widget
        edit.filters = ctk.ctkPathLineEdit.Dirs if "older" in field.tip else ctk.ctkPathLineEdit.Files
        edit.settingKey = HISTORY_SETTING.format(field=field.name)
        edit.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        edit.minimumContentsLength = 6
        edit.toolTip = self._tip
        edit.connect("currentPathChanged(QString)", lambda path: accept(field.name, path.strip() or None))

    def remember(self) -> None:
        """Offer the path again another time."""
        if self.widget.currentPath:
            self.widget.addCurrentPathToHistory()

    def _show(self, value: Any, changed: bool) -> None:
        text = self.field.format(value)
        if self.widget.currentPath.strip() != text:
            blocked = self.widget.blockSignals(True)
            self.widget.currentPath = text
            self.widget.blockSignals(blocked)
        mark(self.widget, changed and not self.field.required)


_ROWS: Mapping[str, type[_Row]] = {"choice": _ChoiceRow, "switch": _SwitchRow, "path": _PathRow}


class FieldForm:
    """The rows of one thing at a time that has fields; subclasses say which fields, and check their values.

    Attributes:
        rows: by the name of the field.
        changed: emitted when a value is another one.

    Args:
        main: qt.QVBoxLayout for what everybody looks at.
        more: the same for the rest.
    """

    def __init__(self, main: Any, more: Any) -> None:
        self._layouts = main, more
        self._pages: list[Any] = []
        self.rows: dict[str, _Row] = {}
        self.changed: Signal[[]] = Signal()
        self._kind, self._origin = "", ""
        self._values: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """The recipe's kind; empty before the first."""
        return self._kind

    @property
    def changes(self) -> dict[str, Any]:
        """Fields whose values are not the recipe's."""
        return {name: value for name, value in self._values.items() if value != self.rows[name].field.default}

    def show(self, recipe: Mapping[str, Any], origin: str) -> None:
        """Show a recipe, or what is like one; what was typed before is kept where this one says nothing.

        Args:
            recipe: fields as in its file.
            origin: where they are from.

        Raises:
            InputError: its kind is unknown.
        """
        kind = str(recipe.get("recipe"))
        fields = [replace(field, default=_plain(recipe.get(field.name, field.default))) for field in self._fields(kind)]
        required = {field.name for field in fields if field.required}
        kept = {
            name: value
            for name, value in self.changes.items()
            if name not in recipe and (kind == self._kind or name in required)
        }
        self._kind, self._origin = kind, origin
        self._values = {field.name: kept.get(field.name, field.default) for field in fields}
        self._build(fields)
        for name, row in self.rows.items():
            row.show(self._values[name])
        self.changed.emit()

    def set(self, name: str, value: Any) -> None:
        """Change a field.

        Raises:
            InputError: it has no such value.
        """
        value = _plain(value)
        # Another field's fault is told there, and is no reason to refuse this value.
        wrong = self._errors({**self._values, name: value})
        if name in wrong and not (value is None and self.rows[name].field.required):
            raise InputError(f"{self.rows[name].field.label} {wrong[name]}.")
        if "" in wrong and "" not in self._errors(self._values):
            raise InputError(f"{wrong['']}.")
        self._values[name] = value
        row = self.rows[name]
        row.show(value)
        if not isinstance(row, _TextRow):
            row.tell("")
        self.changed.emit()

    def reset(self) -> None:
        """Bring all of the recipe's values back, apart from what has to be given."""
        for name, row in self.rows.items():
            if not row.field.required:
                self._values[name] = row.field.default
                row.tell("")
                row.show(row.field.default)
        self.changed.emit()

    def settings(self) -> list[str]:
        """Return the changes as ``KEY=VALUE`` for ``fedsim train --set``."""
        return [f"{name}={json.dumps(value)}" for name, value in self.changes.items()]

    def tell(self, reasons: Mapping[str, str]) -> None:
        """Tell what is wrong with which fields; the first of them gets the focus."""
        first: Any = None
        for name, reason in reasons.items():
            row = self.rows.get(name.partition(".")[0])
            if row is not None:
                row.tell(f"{row.field.label} {reason}.")
                first = first or row.widget
        if first is not None:
            first.setFocus()

    def remember(self) -> None:
        """Offer the paths again another time."""
        for row in self.rows.values():
            if isinstance(row, _PathRow):
                row.remember()

    def _fields(self, kind: str) -> Sequence[TrainingField]:
        """Return the fields of a kind of thing."""
        raise NotImplementedError

    def _check(self, values: Mapping[str, Any]) -> Any:
        """Return what these values make.

        Raises:
            ConfigError: they can't be used.
        """
        raise NotImplementedError

    def _errors(self, values: Mapping[str, Any]) -> dict[str, str]:
        try:
            self._check(values)
        except ConfigError as error:
            return {name.partition(".")[0]: reason for name, reason in reversed(error.fields.items())}
        return {}

    def _accept(self, name: str, value: Any) -> None:
        """Take what was chosen; what was typed is refused by its own row, with the reason there."""
        if isinstance(self.rows[name], _TextRow):
            self.set(name, value)
            return
        try:
            self.set(name, value)
        except InputError as error:
            self.rows[name].tell(str(error))
            self.rows[name].show(self._values[name])

    def _reset_field(self, row: _Row) -> None:
        self._values[row.field.name] = row.field.default
        row.tell("")
        row.show(row.field.default)
        self.changed.emit()

    def _build(self, fields: list[TrainingField]) -> None:
        for layout, page in zip(self._layouts, self._pages, strict=False):
            layout.removeWidget(page)
            # A section that is opened shows all its children, until the event loop has deleted them.
            page.setParent(None)
            page.deleteLater()
        self.rows = {}
        self._pages = []
        for layout, main in zip(self._layouts, (True, False), strict=True):
            page = qt.QWidget()
            grid = qt.QGridLayout(page)
            grid.setContentsMargins(0, 0, 0, 0)
            grid.setColumnStretch(1, 1)
            for line, field in enumerate(field for field in fields if field.main == main):
                self._add(grid, 2 * line, field)
            layout.addWidget(page)
            self._pages.append(page)

    def _add(self, grid: Any, line: int, field: TrainingField) -> None:
        row = _ROWS.get(field.kind, _TextRow)(field, self._accept)
        row.widget.objectName = f"{field.name}Field"
        row.reset.connect("clicked()", lambda: self._reset_field(row))
        label = qt.QLabel(field.label)
        label.wordWrap = True
        label.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.MinimumExpanding)
        label.toolTip = field.full_tip()
        label.setBuddy(row.widget)
        grid.addWidget(label, line, 0)
        grid.addWidget(row.widget, line, 1)
        grid.addWidget(qt.QLabel(field.unit), line, 2)
        grid.addWidget(row.reset, line, 3)
        grid.addWidget(row.reason, line + 1, 0, 1, 4)
        self.rows[field.name] = row


class TrainingForm(FieldForm):
    """The rows of one recipe at a time."""

    def config(self) -> TrainingConfig:
        """Return the checked config, or tell at the fields what is wrong with them.

        Raises:
            ConfigError: something is.
        """
        try:
            return self.peek()
        except ConfigError as error:
            self.tell(error.fields)
            raise

    def peek(self) -> TrainingConfig:
        """Return the checked config, without a word at the fields.

        Raises:
            ConfigError: something is wrong with it.
        """
        return self._check(self._values)

    def _fields(self, kind: str) -> Sequence[TrainingField]:
        return training_fields(kind)

    def _check(self, values: Mapping[str, Any]) -> TrainingConfig:
        return checked_config(self._as_recipe(values), self._origin)

    def _as_recipe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {n: v for n, v in values.items() if v is not None or not self.rows[n].field.required}
        return {"recipe": self._kind, **given}


def _reason_label() -> Any:
    label = qt.QLabel()
    label.wordWrap = True
    label.styleSheet = REASON_STYLE
    label.hide()
    return label


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, so that a tuple and a list are the same."""
    return list(value) if isinstance(value, tuple) else value
