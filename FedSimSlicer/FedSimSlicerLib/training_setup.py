"""The section "New training" of the panel "Train": recipe, settings, what they will cost, and the start."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.files import read_json
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.estimate import Estimate, estimate
from FedSimCore.training.recipes import KINDS, ConfigError, read_recipe, shipped_recipes
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.training_form import TrainingForm
from FedSimSlicerLib.training_table import duration_text

if TYPE_CHECKING:
    from FedSimCore.training.config import TrainingConfig
    from FedSimSlicerLib.background import Background

ESTIMATE_AFTER_MS = 300
FROM_FILE = ""
"""Stands for "a file" in the list of recipes."""
KEEP_SETTING = "FedSim/KeepTraining"

Begin = Callable[[str, str, Sequence[str], bool], None]
"""Takes recipe, name of the run, settings, and whether it goes on without Slicer."""


class TrainingSetup:
    """Chooses and changes a recipe.

    Attributes:
        form: its settings.

    Args:
        ui: the panel's widgets.
        settings: where choices are kept between sessions, e.g. ``slicer.app.userSettings()``.
        background: for what reads files.
        begin: called with a config that can be used.
        tell: called with a sentence for the user.
    """

    def __init__(
        self, ui: Any, settings: Any, background: Background, begin: Begin, tell: Callable[[str], None]
    ) -> None:
        self._ui, self._settings, self._background = ui, settings, background
        self._begin, self._tell = begin, tell
        self._recipe = ""
        self._files: list[str] = []
        self._taken: frozenset[str] = frozenset()
        self._earlier: tuple[tuple[Path, str], ...] = ()
        self._own_name = self._checking = False
        self.form = TrainingForm(ui.mainFieldsLayout, ui.moreFieldsLayout)
        make_quiet(ui.recipeBox)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(ESTIMATE_AFTER_MS)
        self._timer.connect("timeout()", self._estimate)
        ui.keepNewBox.checked = settings.value(KEEP_SETTING, "no") == "yes"
        ui.keepNewBox.connect("toggled(bool)", lambda on: settings.setValue(KEEP_SETTING, "yes" if on else "no"))
        ui.recipeBox.connect("activated(int)", lambda _index: self.choose(ui.recipeBox.currentData))
        ui.resetButton.connect("clicked()", self.form.reset)
        ui.startButton.connect("clicked()", self.start)
        ui.nameEdit.connect("textEdited(QString)", self._on_name)
        self.form.changed.connect(self._on_changed)
        self.choose(_shipped_in_order()[0])

    @property
    def name(self) -> str:
        """What the run will be called."""
        return str(self._ui.nameEdit.text)

    @name.setter
    def name(self, name: str) -> None:
        self._ui.nameEdit.text = name
        self._on_name(name)

    def show_runs(self, names: Sequence[str], runs: Sequence[tuple[Path, str]]) -> None:
        """Take note of the runs that there are: their names are taken, and their pace tells how long the next takes.

        Args:
            names: of all.
            runs: folder and state of those that have begun.
        """
        taken, earlier = frozenset(names), tuple(runs)
        if taken != self._taken:
            self._taken = taken
            self._suggest_name()
        if earlier != self._earlier:
            self._earlier = earlier
            self._timer.start()

    def start(self) -> None:
        """Check everything and start; what is wrong is told where it is."""
        self._tell("")
        try:
            config = self.form.config()
            name = _checked_name(self.name)
        except ConfigError as error:
            self._open_folded(error.fields)
            self._tell(_("Not started: {reasons}.").format(reasons=_in_words(self.form, error.fields)))
            return
        except InputError as error:
            self._ui.nameEdit.setFocus()
            self._tell(str(error))
            return
        recipe, settings, keep = self._recipe, self.form.settings(), bool(self._ui.keepNewBox.checked)
        self._checking = True
        self._refresh()

        def done(missing: dict[str, str]) -> None:
            self._checking = False
            self._refresh()
            if missing:
                self.form.tell(missing)
                self._open_folded(missing)
                self._tell(_("Not started: {reasons}.").format(reasons=_in_words(self.form, missing)))
                return
            self.form.remember()
            self._own_name = False
            self._begin(recipe, name, settings, keep)

        self._background.run(lambda: _missing_paths(config), done, lambda error: self._fail(error))

    def _fail(self, error: BaseException) -> None:
        self._checking = False
        self._refresh()
        self._tell(str(error))

    def choose(self, recipe: str) -> None:
        """Show a recipe: one that ships, a file, or a file that is asked for (:data:`FROM_FILE`)."""
        if recipe == FROM_FILE:
            name = qt.QFileDialog.getOpenFileName(self._ui.recipeBox, _("Recipe"), "", _("Recipes (*.json)"))
            name = name[0] if isinstance(name, list | tuple) else name
            if not name:
                self._list_recipes()
                return
            recipe = name
        try:
            fields, origin = read_recipe(recipe)
            self.form.show(fields, origin)
        except FedSimError as error:
            self._tell(str(error))
            self._list_recipes()
            return
        self._recipe = recipe
        if recipe not in shipped_recipes() and recipe not in self._files:
            self._files.append(recipe)
        self._list_recipes()
        summary = KINDS[self.form.kind].summary
        self._ui.recipeLabel.text = f"{summary[:1].upper()}{summary[1:]}."
        self._ui.recipeLabel.toolTip = _comment(recipe)
        self._suggest_name()

    def _list_recipes(self) -> None:
        items = [(name, name) for name in _shipped_in_order()]
        items += [(Path(file).stem, file) for file in self._files]
        fill_combo_box(self._ui.recipeBox, [*items, (_("From a file..."), FROM_FILE)])
        choose(self._ui.recipeBox, self._recipe)

    def _on_name(self, text: str) -> None:
        self._own_name = bool(text.strip())

    def _suggest_name(self) -> None:
        if self._own_name:
            return
        stem, number = Path(self._recipe).stem, 1
        while f"{stem}-{number}" in self._taken:
            number += 1
        self._ui.nameEdit.text = f"{stem}-{number}"

    def _on_changed(self) -> None:
        self._timer.start()
        self._refresh()

    def _refresh(self) -> None:
        count = len([name for name in self.form.changes if not self.form.rows[name].field.required])
        self._ui.changesLabel.text = (
            _("1 setting differs from the recipe.")
            if count == 1
            else _("{count} settings differ from the recipe.").format(count=count)
        )
        self._ui.changesLabel.visible = self._ui.resetButton.visible = count > 0
        self._ui.startButton.enabled = not self._checking
        self._ui.startButton.text = _("Checking...") if self._checking else _("Start training")

    def _open_folded(self, names: Any) -> None:
        rows = [self.form.rows[name.partition(".")[0]] for name in names if name.partition(".")[0] in self.form.rows]
        if any(not row.field.main for row in rows):
            self._ui.moreBox.collapsed = False

    def _estimate(self) -> None:
        """Work the costs out in the thread: the cohort is counted, and earlier runs are read."""
        try:
            config = self.form.peek()
        except ConfigError:
            self._show_estimate(None)
            return
        earlier = [RunFolder(path) for path, _state in self._earlier]
        self._background.run(
            lambda: estimate(config, earlier), self._show_estimate, lambda _error: self._show_estimate(None)
        )

    def _show_estimate(self, found: Estimate | None) -> None:
        self._ui.estimateLabel.text = "" if found is None else estimate_text(found)
        self._ui.estimateLabel.visible = found is not None


def _comment(recipe: str) -> str:
    """Return what the writer of a recipe's file says about it."""
    content = read_json(shipped_recipes().get(recipe, Path(recipe)))
    return str(content.get("comment", "")) if isinstance(content, dict) else ""


def _shipped_in_order() -> list[str]:
    """Return the names of the recipes that ship in the order in which one trains."""
    kinds = list(KINDS)
    return sorted(shipped_recipes(), key=lambda name: (kinds.index(name) if name in kinds else len(kinds), name))


def estimate_text(found: Estimate) -> str:
    """Return an estimate in words, with what it rests on."""
    if found.memory_mb is None:
        memory = _("Memory: not measured for this recipe.")
    else:
        memory = _("Memory: about {gigabytes:.1f} GB.").format(gigabytes=found.memory_mb / 1000)
    if found.seconds is None:
        time = _("Time: told after the first steps ({why}).").format(why=found.seconds_from)
    else:
        time = _("Time: about {time} ({why}).").format(time=duration_text(found.seconds), why=found.seconds_from)
    return f"{memory}\n{time}"


def _missing_paths(config: TrainingConfig) -> dict[str, str]:
    """Return the fields whose path leads nowhere; the folder may be slow to reach."""
    paths = {name: getattr(config, name) for name in config.paths}
    return {
        name: _("does not exist: {path}").format(path=path)
        for name, path in paths.items()
        if path is not None and not Path(path).exists()
    }


def _in_words(form: TrainingForm, fields: Any) -> str:
    rows = [(form.rows.get(name.partition(".")[0]), reason) for name, reason in fields.items()]
    return "; ".join(reason if row is None else f"{row.field.label} {reason}" for row, reason in rows)


def _checked_name(text: str) -> str:
    """Return a run's name.

    Raises:
        InputError: it can't be that of a folder.
    """
    name = text.strip()
    if not name or name.startswith(".") or re.search(r'[\\/:*?"<>|]', name) or name.endswith("."):
        raise InputError(
            _("The name “{name}” cannot be that of a folder; use letters, digits and dashes.").format(name=name)
        )
    return name
