"""The section "New study": made in a form or read from a file, checked, and started or saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.federated.study import Study, read_study
from FedSimCore.files import write_json
from FedSimCore.training.recipes import KINDS, ConfigError, read_recipe
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.federation_form import NoiseForm, RecipeForm, StudyForm, study_content, whole_study
from FedSimSlicerLib.federation_plan import NoisePlan
from FedSimSlicerLib.federation_sites import SitesForm, missing_data

if TYPE_CHECKING:
    from FedSimCore.federated.policy import Privacy
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.federation_privacy import EpsilonPlans

KEEP_SETTING = "FedSim/KeepStudy"
RECIPES = ("generator", "segmenter")
"""That a form can make a study of; others need more of each site than its cases, and come from a file."""
NEW = "new"
FROM_FILE = ""
"""Stands for "a file" in the list of studies."""
Begin = Callable[[Study, bool], None]
"""Takes a study that can be used, and whether it goes on without Slicer."""


class FederationSetup:
    """Makes a study.

    Attributes:
        form: rounds, method and the like.
        recipe: what is learnt.
        sites: who takes part.
        noise: clip and noise.
        plan: tells what the noise promises.

    Args:
        ui: the panel's widgets.
        settings: where choices are kept between sessions, e.g. ``slicer.app.userSettings()``.
        background: for what reads files.
        plans: works epsilons out.
        begin: called with a study that can be used.
        tell: called with a sentence for the user.
    """

    def __init__(
        self,
        ui: Any,
        settings: Any,
        background: Background,
        plans: EpsilonPlans,
        begin: Begin,
        tell: Callable[[str], None],
    ) -> None:
        self._ui, self._background, self._begin, self._tell = ui, background, begin, tell
        self.plan = NoisePlan(ui.noiseLabel, background, plans, self._study_with_noise)
        self._files: list[str] = []
        self._chosen = NEW
        self._taken: frozenset[str] = frozenset()
        self._own_name = False
        self.sites = SitesForm(ui.sitesLayout)
        self.noise = NoiseForm(ui.noiseLayout, ui.noiseLayout)
        self.form = StudyForm(ui.mainFieldsLayout, ui.moreFieldsLayout, self.sites.names, self._privacy)
        self.recipe = RecipeForm(ui.recipeFieldsLayout, ui.recipeFieldsLayout)
        make_quiet(ui.studyBox)
        ui.keepNewBox.checked = settings.value(KEEP_SETTING, "no") == "yes"
        ui.keepNewBox.connect("toggled(bool)", lambda on: settings.setValue(KEEP_SETTING, "yes" if on else "no"))
        ui.studyBox.connect("activated(int)", lambda _index: self.choose(ui.studyBox.currentData))
        ui.nameEdit.connect("textEdited(QString)", self._on_name)
        ui.addSiteButton.connect("clicked()", self.sites.add)
        ui.noiseBox.connect("toggled(bool)", lambda _on: self._refresh())
        ui.startButton.connect("clicked()", self.start)
        ui.saveButton.connect("clicked()", self._save)
        self.form.show({"recipe": "study"}, _("The study"))
        fill_combo_box(ui.recipeBox, [(_summary(name), name) for name in RECIPES])
        make_quiet(ui.recipeBox)
        ui.recipeBox.connect("activated(int)", lambda _index: self.choose_recipe(ui.recipeBox.currentData))
        self.choose_recipe(RECIPES[0])
        for part in (self.sites, self.noise, self.form, self.recipe):
            part.changed.connect(self.plan.changed)
        self._list()
        self._suggest_name()
        self._refresh()

    def close(self) -> None:
        """Tell nothing more."""
        self.plan.close()

    @property
    def name(self) -> str:
        """What the study will be called."""
        return str(self._ui.nameEdit.text).strip()

    @name.setter
    def name(self, name: str) -> None:
        self._ui.nameEdit.text = name
        self._on_name(name)

    def show_taken(self, names: Sequence[str]) -> None:
        """Take note of the names that studies have already."""
        if frozenset(names) != self._taken:
            self._taken = frozenset(names)
            self._suggest_name()

    def choose(self, study: str) -> None:
        """Show a new study (:data:`NEW`), one from a file, or from a file that is asked for (:data:`FROM_FILE`)."""
        if study == FROM_FILE:
            name = qt.QFileDialog.getOpenFileName(self._ui.studyBox, _("Study"), "", _("Studies (*.json)"))
            study = name[0] if isinstance(name, list | tuple) else name
        if study and study != NEW:
            self._background.run(
                lambda: read_study(Path(study)), lambda read: self._take(study, read), lambda e: self._tell(str(e))
            )
        elif study == NEW:
            self._chosen = NEW
        self._list()

    def choose_recipe(self, name: str) -> None:
        """Show what is learnt: a recipe that ships."""
        self.recipe.show(read_recipe(name)[0], _("The recipe"))
        choose(self._ui.recipeBox, name)

    def start(self) -> None:
        """Check everything and start; what is wrong is told where it is."""
        study = self._checked()
        if study is None:
            return
        sites, keep = self.sites.given(), bool(self._ui.keepNewBox.checked)
        self._ui.startButton.enabled = False

        def done(missing: dict[int, str]) -> None:
            self._ui.startButton.enabled = True
            self.sites.tell(missing)
            if missing:
                self._tell(_("Not started: the data of a site is missing."))
                return
            self.form.remember()
            self.sites.remember()
            self._own_name = False
            self._begin(study, keep)

        self._background.run(lambda: missing_data(sites), done, self._fail)

    def _take(self, file: str, study: Study) -> None:
        """Fill the form with a study that was read."""
        content = study.model_dump(mode="json")
        self.sites.show(content["sites"])
        self._ui.noiseBox.checked = study.privacy is not None
        if study.privacy is not None:
            self.noise.show({"recipe": "noise", **content["privacy"]}, _("The noise"))
        try:
            self.recipe.show(content["recipe"], file)
            choose(self._ui.recipeBox, content["recipe"]["recipe"])
            self.form.show({"recipe": "study", **{name: content[name] for name in self.form.rows}}, file)
        except FedSimError as error:
            self._tell(str(error))
            return
        self._chosen = file
        if file not in self._files:
            self._files.append(file)
        self._list()
        self.name = study.name
        self._own_name = False
        self._suggest_name()
        self._refresh()

    def _list(self) -> None:
        items = [(_("New"), NEW), *((Path(file).stem, file) for file in self._files), (_("From a file..."), FROM_FILE)]
        fill_combo_box(self._ui.studyBox, items)
        choose(self._ui.studyBox, self._chosen)

    def _privacy(self) -> Privacy | None:
        return self.noise.privacy() if self._ui.noiseBox.checked else None

    def _study_with_noise(self) -> Study | None:
        privacy = self._privacy()
        try:
            if privacy is not None:
                return whole_study("study", self.form, self.recipe, self.sites.given(), privacy)
        except ConfigError:
            pass  # What is wrong is told when it is to be started.
        return None

    def _checked(self) -> Study | None:
        """Return the study, or tell what is wrong with it where it is."""
        self._tell("")
        try:
            return whole_study(self.name, self.form, self.recipe, self.sites.given(), self._privacy())
        except ConfigError as error:
            fields = error.fields
        names = _("can only have letters, digits, - and _, and begins with a letter or digit")
        told = {int(key.split(".")[1]): reason for key, reason in fields.items() if key.startswith("sites.")}
        self.sites.tell({number: _("A site’s name {reason}.").format(reason=names) for number in told})
        fields = {name: names if name == "name" else reason for name, reason in fields.items()}
        self.form.tell(fields)
        self.recipe.tell(fields)
        folded = [name for name in fields if name in self.recipe.rows or name in self.form.rows]
        if any(name in self.recipe.rows or not self.form.rows[name].field.main for name in folded):
            self._ui.moreBox.collapsed = False
        if told:
            fields = {"sites": _("have names that cannot be used")}
        reasons = "; ".join(_("{field} {reason}").format(field=name, reason=why) for name, why in fields.items())
        self._tell(_("Not started: {reasons}.").format(reasons=reasons))
        return None

    def _save(self) -> None:
        study = self._checked()
        if study is None:
            return
        name = qt.QFileDialog.getSaveFileName(
            self._ui.saveButton, _("Save the study"), f"{study.name}.json", _("Studies (*.json)")
        )
        name = name[0] if isinstance(name, list | tuple) else name
        if name:
            content = study_content(study)
            self._background.run(
                lambda: write_json(Path(name), content),
                lambda _done: self._tell(_("Saved as {file}.").format(file=name)),
                self._fail,
            )

    def _fail(self, error: BaseException) -> None:
        self._ui.startButton.enabled = True
        self._tell(str(error))

    def _on_name(self, text: str) -> None:
        self._own_name = bool(text.strip())

    def _suggest_name(self) -> None:
        """Suggest a name that no study in the folder has."""
        if self._own_name:
            return
        stem = "study" if self._chosen == NEW else self.name or Path(self._chosen).stem
        stem = stem.rstrip("0123456789").rstrip("-") if self._chosen == NEW else stem
        number, name = 1, f"{stem}-1" if self._chosen == NEW else stem
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._ui.nameEdit.text = name

    def _refresh(self) -> None:
        on = bool(self._ui.noiseBox.checked)
        self._ui.noiseFields.visible = on
        self.plan.changed()


def _summary(name: str) -> str:
    kind = str(read_recipe(name)[0]["recipe"])
    return f"{name}: {KINDS[kind].summary}"
