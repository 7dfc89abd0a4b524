"""The section "Take part with a start-up kit": this computer as a site of a study that is led elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctk
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.federated.local_sites import SITE_FILE
from FedSimCore.federated.policy import SitePolicy
from FedSimCore.files import read_json
from FedSimSlicerLib.federation_runs import Kit, read_kit

if TYPE_CHECKING:
    from FedSimSlicerLib.background import Background

KITS_SETTING = "FedSim/Kits"
KEEP_SETTING = "FedSim/KeepConnected"
MOST_KITS = 20
Connect = Callable[[Kit, str, Path, bool], None]
"""Takes a kit, the site's data, the folder of its runs, and whether it stays connected without Slicer."""


class FederationKit:
    """Chooses a kit, shows what it says, and connects.

    Args:
        ui: the panel's widgets.
        settings: where kits are remembered, e.g. ``slicer.app.userSettings()``.
        background: for what reads files.
        connect: called with a kit that is ready.
        tell: called with a sentence for the user.
    """

    def __init__(
        self, ui: Any, settings: Any, background: Background, connect: Connect, tell: Callable[[str], None]
    ) -> None:
        self._ui, self._settings, self._background = ui, settings, background
        self._connect, self._tell = connect, tell
        self._kit: Kit | None = None
        self._known = tuple(map(Path, json.loads(settings.value(KITS_SETTING) or "[]")))
        for edit in (ui.kitEdit, ui.kitRunsEdit, ui.cohortEdit):
            edit.filters = ctk.ctkPathLineEdit.Dirs
        ui.keepKitBox.checked = settings.value(KEEP_SETTING, "yes") == "yes"
        ui.keepKitBox.connect("toggled(bool)", lambda on: settings.setValue(KEEP_SETTING, "yes" if on else "no"))
        ui.kitEdit.connect("currentPathChanged(QString)", lambda _path: self.read())
        ui.connectButton.connect("clicked()", self.connect)
        self._show(None, "")

    @property
    def known(self) -> Sequence[Path]:
        """The kits that were used on this computer, the newest first."""
        return self._known

    def read(self) -> None:
        """Read the kit that was chosen."""
        typed = str(self._ui.kitEdit.currentPath).strip()
        if not typed:
            self._show(None, "")
            return
        path = Path(typed).expanduser().absolute()
        self._background.run(lambda: (read_kit(path), rules_text(path)), lambda found: self._show(*found), self._fail)

    def connect(self) -> None:
        """Connect with what the fields say; what is missing is told."""
        kit = self._kit
        if kit is None:
            self._tell(_("Choose the folder of the start-up kit first."))
            return
        cohort, runs = (str(edit.currentPath).strip() for edit in (self._ui.cohortEdit, self._ui.kitRunsEdit))
        if not cohort or not runs:
            self._tell(_("Choose the folder of this site’s data and one for its runs."))
            return
        keep = bool(self._ui.keepKitBox.checked)
        data, home = Path(cohort).expanduser().absolute(), Path(runs).expanduser().absolute()

        def done(there: bool) -> None:
            if not there:
                self._tell(_("This does not exist: {path}").format(path=data))
                return
            self._remember(kit.path)
            self._connect(kit, str(data), home, keep)

        self._background.run(data.exists, done, lambda error: self._tell(str(error)))

    def _remember(self, path: Path) -> None:
        self._known = (path, *(known for known in self._known if known != path))[:MOST_KITS]
        self._settings.setValue(KITS_SETTING, json.dumps([str(known) for known in self._known]))

    def _fail(self, error: BaseException) -> None:
        self._show(None, str(error))

    def _show(self, kit: Kit | None, rules: str) -> None:
        self._kit = kit
        ui = self._ui
        ui.connectButton.enabled = kit is not None
        ui.kitLabel.visible = kit is not None or bool(rules)
        if kit is None:
            ui.kitLabel.text = rules
            return
        if kit.cohort:
            ui.cohortEdit.currentPath = kit.cohort
        if kit.runs is not None:
            ui.kitRunsEdit.currentPath = str(kit.runs)
        told = _("Site “{site}”; it will speak to {server} and to nobody else.")
        ui.kitLabel.text = f"{told.format(site=kit.name, server=kit.server)}\n{rules}"


def rules_text(kit: Path) -> str:
    """Return the rules of a kit's site in plain words.

    Raises:
        FedSimError: they can't be read.
    """
    content = read_json(kit / "local" / SITE_FILE)
    try:
        policy = SitePolicy.model_validate(content["policy"])
    except (ValueError, KeyError, TypeError) as error:
        raise FedSimError(_("The site’s rules in {kit} are damaged ({why}).").format(kit=kit, why=error)) from None
    lines = [
        _("This site’s own rules, which no server can change (local/{file}):").format(file=SITE_FILE),
        _("•  It learns: {recipes}.").format(recipes=", ".join(policy.recipes)),
        _("•  It takes part with {count} cases or more.").format(count=policy.least_cases),
        _("•  An update without noise is made of {count} cases or more.").format(count=policy.least_in_round),
        _("•  Mean losses are told.") if policy.send_metrics else _("•  No losses are told."),
    ]
    if policy.privacy is not None:
        lines.append(
            _("•  Every update gets noise of {noise:g} times the clip {clip:g}.").format(
                noise=policy.privacy.noise, clip=policy.privacy.clip
            )
        )
    if policy.most_epsilon is not None:
        lines.append(_("•  Epsilon of a study stays below {limit:g}.").format(limit=policy.most_epsilon))
    if policy.most_rounds is not None:
        lines.append(_("•  A study has at most {rounds} rounds.").format(rounds=policy.most_rounds))
    return "\n".join(lines)
