"""The panel "Train": begin trainings, see how they go, stop, resume and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.background import Background
from FedSimSlicerLib.dependencies import TRAINING_REQUIREMENTS
from FedSimSlicerLib.installer import PackageInstaller
from FedSimSlicerLib.setup_panel import SetupPanel
from FedSimSlicerLib.training_progress import TrainingProgress
from FedSimSlicerLib.training_runs import TrainingRuns
from FedSimSlicerLib.training_setup import TrainingSetup
from FedSimSlicerLib.training_table import ComparisonTable, run_row, run_table, starting_row
from FedSimSlicerLib.training_watch import Seen, TrainingWatch
from FedSimSlicerLib.watched_folder import FileActions, WatchedFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState

FOLDER_SETTING = "FedSim/RunsFolder"
RESUMABLE = ("stopped", "interrupted", "failed", "new")


class TrainPanel:
    """A form for a new training, the list of runs, and what is to be seen of those that are chosen.

    Attributes:
        widget: the panel's qt.QWidget.
        ui: its widgets by name.
        runs: begins and ends trainings.
        watch: looks at them.
        setup: of a new training.
        libraries: seen while training needs packages that are missing.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._settings = slicer.app.userSettings()
        self._background = Background()
        self._seen = Seen()
        self._choose_next: Path | None = None
        self.widget = slicer.util.loadUI(resource_path("UI/TrainPanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.runs = TrainingRuns()
        self.watch = TrainingWatch(self.runs)
        self.setup = TrainingSetup(self.ui, self._settings, self._background, self._begin, session.message.emit)
        self.table = run_table(self.ui.runTable, self._on_chosen)
        self.comparison = ComparisonTable(self.ui.compareTable, self.ui.compareLabel)
        self.progress = TrainingProgress(self.ui, session.layout, self._set_keep)
        self.libraries = SetupPanel(PackageInstaller(TRAINING_REQUIREMENTS), self.setup.start)
        self.libraries.ui.titleLabel.text = _("<b>Training needs some more Python packages:</b>")
        self.libraries.widget.hide()
        self.widget.layout().insertWidget(0, self.libraries.widget)
        self._folder = WatchedFolder(self.widget, self.ui.folderEdit, self.watch, FOLDER_SETTING, "runs")
        self._actions = FileActions(self._background, session.message.emit, self._acted)
        self._connect()
        self._enable()
        self.watch.look()

    def close(self) -> None:
        """Look no more; trainings go on."""
        slicer.app.disconnect("aboutToQuit()", self._on_quit)
        self._folder.close()
        self._background.close()
        self.progress.close()

    def follow(self) -> None:
        """Look more often while the panel is seen; to be called when it is shown or hidden."""
        self._folder.follow()

    def _connect(self) -> None:
        ui = self.ui
        ui.stopButton.connect("clicked()", self._stop)
        ui.resumeButton.connect("clicked()", self._resume)
        ui.resumeWithButton.connect("clicked()", self._resume_with)
        ui.openButton.connect("clicked()", self._open)
        ui.deleteButton.connect("clicked()", self._delete)
        ui.exploreButton.connect("clicked()", lambda: self._session.model_wanted.emit(str(self.table.chosen)))
        ui.segmentButton.connect("clicked()", lambda: self._session.segmenter_wanted.emit(str(self.table.chosen)))
        slicer.app.connect("aboutToQuit()", self._on_quit)
        self.watch.seen.connect(self._on_seen)
        self._session.state_changed.connect(self._on_state)

    @property
    def folder(self) -> Path:
        """Where runs are kept, as it was typed last."""
        return self._folder.path

    # ---- what is seen

    def _on_seen(self, seen: Seen) -> None:
        self._seen = seen
        self.watch.set_pace(bool(self.widget.isVisible()))
        rows = [run_row(status, seen.starting.get(Path(status.path))) for status in seen.rows]
        known = {path for path, _texts, _tip in rows}
        rows = [*(starting_row(path) for path in seen.starting if path not in known), *rows]
        self.table.show(rows)
        begun = [(Path(status.path), status.state) for status in seen.rows]
        self.setup.show_runs([path.name for path, _texts, _tip in rows], begun)
        for path, reason in seen.failed.items():
            self._session.message.emit(_("{run} did not start: {reason}").format(run=path.name, reason=reason))
        if self._choose_next is not None and self._choose_next in self.table.keys:
            chosen, self._choose_next = self._choose_next, None
            self.table.choose(chosen)
        elif not self.table.all_chosen and len(self.table.keys) == 1:
            self.table.choose(*self.table.keys)
        self._show_chosen()
        self._enable()

    def _show_chosen(self) -> None:
        seen, status = self._seen, self.status
        waiting = seen.starting.get(self.table.chosen)
        may_touch_scene = self._session.state is not None
        self.progress.show(status, waiting, seen, may_touch_scene)
        self.comparison.show(seen.comparison)

    def state_of(self, path: Path) -> str | None:
        """Return the state in which a run was seen last; None if it was not."""
        return next((row.state for row in self._seen.rows if Path(row.path) == path), None)

    @property
    def status(self) -> RunStatus | None:
        """The state of the run that was chosen last."""
        chosen = self.table.all_chosen
        return next((row for row in self._seen.rows if chosen and Path(row.path) == chosen[0]), None)

    def _on_chosen(self) -> None:
        self.watch.chosen = self.table.all_chosen
        self.watch.look()
        self._enable()

    def _on_state(self, state: ModuleState | None) -> None:
        """Put the chart into a new scene."""
        if state is None:
            self.progress.leave_scene()
        else:
            self._show_chosen()

    def _enable(self) -> None:
        ui, chosen = self.ui, self.table.all_chosen
        states = {Path(row.path): row.state for row in self._seen.rows}
        starting = set(self._seen.starting) | set(self.runs.starting)
        running = [path for path in chosen if path in starting or states.get(path) == "running"]
        idle = [path for path in chosen if path not in starting and states.get(path) not in ("running", "stopping")]
        ui.stopButton.enabled = bool(running)
        ui.resumeButton.enabled = len(chosen) == 1 and bool(idle) and states.get(idle[0]) in RESUMABLE
        ui.resumeWithButton.enabled = len(chosen) == 1 and bool(idle)
        ui.openButton.enabled = len(chosen) == 1
        details = self._seen.details
        if details is not None and (not chosen or details.path != chosen[0]):
            details = None
        ui.exploreButton.enabled = details is not None and details.has_model
        # A run makes the one or the other: both buttons have the same place.
        ui.segmentButton.visible = details is not None and details.has_segmenter
        ui.exploreButton.visible = not ui.segmentButton.visible
        ui.deleteButton.enabled = bool(chosen) and len(idle) == len(chosen)
        ui.emptyLabel.text = self._seen.problem or self._empty_text()
        ui.emptyLabel.visible = bool(ui.emptyLabel.text)

    def _empty_text(self) -> str:
        if self.table.keys:
            return ""
        return _(
            "No run in this folder yet. Choose a cohort above and press “Start training”; without data of your own, "
            "make one with: fedsim cohort phantom --site adult -n 20 -o hearts"
        )

    # ---- what is done

    def _begin(self, recipe: str, name: str, settings: Sequence[str], keep: bool) -> None:
        if not self.libraries.refresh():
            self._session.message.emit(_("Training needs more packages; install them above, then it starts."))
            self.ui.newSection.collapsed = False
            return
        folder = self.folder / name
        self._actions.do(lambda: self.runs.begin(recipe, folder, settings, keep))
        self._choose_next = folder
        self.ui.newSection.collapsed = True  # what comes of it is below

    def _stop(self) -> None:
        states = {Path(row.path): row.state for row in self._seen.rows}
        chosen = [p for p in self.table.all_chosen if p in self.runs.starting or states.get(p) == "running"]
        self._do_with_each(chosen, self.runs.stop)

    def _resume(self) -> None:
        self._start_again([])

    def _resume_with(self) -> None:
        text = qt.QInputDialog.getText(
            self.widget,
            _("Resume with other settings"),
            _("Settings as KEY=VALUE, separated by blanks, e.g. steps=4000 learning_rate=0.001:"),
        )
        text = text[0] if isinstance(text, list | tuple) else text
        if text and text.strip():
            self._start_again(text.split())

    def _start_again(self, settings: Sequence[str]) -> None:
        (path,) = self.table.all_chosen
        if not self.libraries.refresh():
            self._session.message.emit(_("Training needs more packages; install them above, then resume."))
            return
        keep = bool(self.ui.keepNewBox.checked)
        self._actions.do(lambda: self.runs.resume(path, settings, keep))

    def _open(self) -> None:
        (path,) = self.table.all_chosen
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    def _delete(self) -> None:
        chosen = self.table.all_chosen
        names = "\n".join(str(path) for path in chosen)
        asked = _("Delete with all checkpoints, pictures and results?\n\n{names}\n\nThis cannot be undone.")
        if slicer.util.confirmYesNoDisplay(
            asked.format(names=names), windowTitle=_("Delete runs?"), parent=self.widget.window()
        ):
            self._do_with_each(chosen, self.runs.delete)

    def _set_keep(self, path: Path, keep: bool) -> None:
        self._actions.do(lambda: self.runs.set_keep(path, keep))

    def _do_with_each(self, paths: Sequence[Path], action: Callable[[Path], None]) -> None:
        def act() -> None:
            for path in paths:
                action(path)

        self._actions.do(act)

    def _acted(self) -> None:
        self.watch.look()
        self._enable()

    def _on_quit(self) -> None:
        self.runs.stop_with_slicer([Path(row.path) for row in self._seen.rows if row.state == "running"])
