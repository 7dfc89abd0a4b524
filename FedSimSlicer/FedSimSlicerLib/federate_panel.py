"""The panel "Federate": studies of several sites, what each site does, and what has left it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.federated.local_sites import SERVER
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.dependencies import FEDERATED_REQUIREMENTS
from FedSimSlicerLib.federation_kit import FederationKit
from FedSimSlicerLib.federation_ledger_section import FederationLedger
from FedSimSlicerLib.federation_privacy import EpsilonPlans
from FedSimSlicerLib.federation_progress import FederationProgress
from FedSimSlicerLib.federation_runs import FederationRuns, Kit, read_kit
from FedSimSlicerLib.federation_seen import FederationSeen
from FedSimSlicerLib.federation_setup import FederationSetup
from FedSimSlicerLib.federation_tables import study_row, study_table
from FedSimSlicerLib.federation_watch import FederationWatch
from FedSimSlicerLib.installer import PackageInstaller
from FedSimSlicerLib.setup_panel import SetupPanel
from FedSimSlicerLib.training_progress import show_log
from FedSimSlicerLib.watched_folder import FileActions, WatchedFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.federated.study import Study
    from FedSimSlicerLib.federation_seen import StudyDetails, StudyRow
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

FOLDER_SETTING = "FedSim/StudiesFolder"
GOING = ("starting", "waiting", "running")
RESUMABLE = ("new", "stopped", "interrupted", "failed")


class FederatePanel:
    """A form for a new study, a start-up kit to take part with, the list of studies, and what is to be seen of one.

    Attributes:
        widget: the panel's qt.QWidget.
        ui: its widgets by name.
        runs: begins and ends studies.
        watch: looks at them.
        setup: of a new study.
        kit: to take part in one that is led elsewhere.
        libraries: seen while packages are missing.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._settings = slicer.app.userSettings()
        self._background = Background()
        self._seen = FederationSeen()
        self._choose_next: Path | None = None
        self._wanted: Callable[[], None] | None = None
        self.widget = slicer.util.loadUI(resource_path("UI/FederatePanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.runs = FederationRuns()
        tell = session.message.emit
        self._plans = EpsilonPlans()
        self.setup = FederationSetup(self.ui, self._settings, self._background, self._plans, self._begin, tell)
        self.kit = FederationKit(self.ui, self._settings, self._background, self._take_part, tell)
        self.watch = FederationWatch(self.runs, self._plans, lambda: self.kit.known)
        self.table = study_table(self.ui.studyTable, self._on_chosen)
        self.ledger = FederationLedger(self.ui, self._background, tell)
        self.progress = FederationProgress(self.ui, session.layout, self._set_keep, self._show_ledger)
        self.libraries = SetupPanel(PackageInstaller(FEDERATED_REQUIREMENTS), self._go_on)
        self.libraries.ui.titleLabel.text = _("<b>Studies of several sites need some more Python packages:</b>")
        self.libraries.widget.hide()
        self.widget.layout().insertWidget(0, self.libraries.widget)
        self._folder = WatchedFolder(self.widget, self.ui.folderEdit, self.watch, FOLDER_SETTING, "studies")
        self._actions = FileActions(self._background, session.message.emit, self._acted)
        self._connect()
        self._show_chosen()
        self._enable()
        self.watch.look()

    def close(self) -> None:
        """Look no more; studies go on."""
        slicer.app.disconnect("aboutToQuit()", self._on_quit)
        self._folder.close()
        self.setup.close()
        self._plans.close()
        self._background.close()
        self.progress.leave_scene()

    def follow(self) -> None:
        """Look more often while the panel is seen; to be called when it is shown or hidden."""
        self._folder.follow()

    def _connect(self) -> None:
        ui = self.ui
        ui.stopButton.connect("clicked()", self._stop)
        ui.resumeButton.connect("clicked()", self._resume)
        ui.openButton.connect("clicked()", self._open)
        ui.exploreButton.connect("clicked()", self._explore)
        ui.siteHeartsButton.connect("clicked()", self._explore_site)
        slicer.app.connect("aboutToQuit()", self._on_quit)
        self.watch.seen.connect(self._on_seen)
        self._session.state_changed.connect(self._on_state)

    @property
    def folder(self) -> Path:
        """Where studies are kept, as it was typed last."""
        return self._folder.path

    # ---- what is seen

    @property
    def row(self) -> StudyRow | None:
        """The study that is chosen."""
        return next((row for row in self._seen.rows if row.path == self.table.chosen), None)

    @property
    def details(self) -> StudyDetails | None:
        """What is seen of it; None while the look at it is under way."""
        found = self._seen.details
        return found if found is not None and found.row.path == self.table.chosen else None

    def _on_seen(self, seen: FederationSeen) -> None:
        self._seen = seen
        self.watch.set_pace(bool(self.widget.isVisible()))
        self.table.show([study_row(row) for row in seen.rows])
        self.setup.show_taken([row.name for row in seen.rows])
        for path, reason in seen.failed.items():
            name = path.parent.name if path.name == SERVER else path.name
            self._session.message.emit(_("{study} did not start: {reason}").format(study=name, reason=reason))
        if self._choose_next is not None and self._choose_next in self.table.keys:
            chosen, self._choose_next = self._choose_next, None
            self.table.choose(chosen)
        elif self.table.chosen is None and len(self.table.keys) == 1:
            self.table.choose(self.table.keys[0])
        self._show_chosen()
        self._enable()

    def _show_chosen(self) -> None:
        details = self.details
        self.progress.show(details, self._session.state is not None)
        show_log(self.ui.logEdit, details.log if details is not None else "")

    def _show_ledger(self) -> None:
        self.ledger.show(self.details, self.progress.site)

    def _on_chosen(self) -> None:
        chosen = self.table.chosen
        self.watch.chosen = () if chosen is None else (chosen,)
        self.watch.look()
        self._show_chosen()
        self._enable()

    def _on_state(self, state: ModuleState | None) -> None:
        """Put the chart into a new scene."""
        if state is None:
            self.progress.leave_scene()
        else:
            self._show_chosen()

    def _enable(self) -> None:
        ui, row, details = self.ui, self.row, self.details
        ui.stopButton.enabled = row is not None and row.state in GOING
        ui.resumeButton.enabled = row is not None and row.state in RESUMABLE
        ui.openButton.enabled = row is not None
        ui.exploreButton.enabled = details is not None and details.model is not None
        ui.emptyLabel.text = self._seen.problem or self._empty_text()
        ui.emptyLabel.visible = bool(ui.emptyLabel.text)

    def _empty_text(self) -> str:
        if self.table.keys:
            return ""
        return _(
            "No study in this folder yet. Choose each site’s data above and press “Start on this machine”; without "
            "data of your own, make some with: fedsim cohort phantom --site adult -n 20 -o hearts"
        )

    # ---- what is done

    def _begin(self, study: Study, keep: bool) -> None:
        folder = self.folder / study.name

        def begin() -> None:
            self._actions.do(lambda: self.runs.begin_study(study, folder, keep))
            self._choose_next = folder
            self.ui.newSection.collapsed = True  # what comes of it is below

        self._with_libraries(begin, self.ui.newSection)

    def _take_part(self, kit: Kit, cohort: str, runs: Path, keep: bool) -> None:
        def connect() -> None:
            self._actions.do(lambda: self.runs.take_part(kit, cohort, runs, keep))
            self._choose_next = runs
            self.ui.kitSection.collapsed = True

        self._with_libraries(connect, self.ui.kitSection)

    def _with_libraries(self, action: Callable[[], None], section: Any = None) -> None:
        """Do what needs more packages, now or when they have been installed."""
        if self.libraries.refresh():
            action()
            return
        self._wanted = action
        self._session.message.emit(_("More packages are needed; install them above, then it goes on."))
        if section is not None:
            section.collapsed = False

    def _go_on(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted()

    def _stop(self) -> None:
        row = self.row
        if row is not None:
            stop = self.runs.stop_study if row.kind == "study" else self.runs.leave
            self._actions.do(lambda: stop(row.path))

    def _resume(self) -> None:
        row = self.row
        if row is None:
            return
        path, kit_path = row.path, row.kit

        def again() -> None:
            if kit_path is None:
                self.runs.resume_study(path, bool(self.ui.keepNewBox.checked))
            else:
                kit = read_kit(kit_path)
                self.runs.take_part(kit, kit.cohort, path, bool(self.ui.keepKitBox.checked))

        self._with_libraries(lambda: self._actions.do(again))

    def _open(self) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.table.chosen)))

    def _explore(self) -> None:
        if self.details is not None and self.details.model is not None:
            self._session.model_wanted.emit(str(self.details.model))

    def _explore_site(self) -> None:
        site = self.progress.site
        if site is not None and site.model is not None:
            self._session.model_wanted.emit(str(site.model))

    def _set_keep(self, keep: bool) -> None:
        row = self.row
        if row is not None:
            folder = row.path / SERVER if row.kind == "study" else row.path
            self._actions.do(lambda: self.runs.set_keep(folder, keep))

    def _acted(self) -> None:
        self.watch.look()
        self._enable()

    def _on_quit(self) -> None:
        going = [row for row in self._seen.rows if row.state in GOING]
        self.runs.stop_with_slicer([row.path / SERVER if row.kind == "study" else row.path for row in going])
