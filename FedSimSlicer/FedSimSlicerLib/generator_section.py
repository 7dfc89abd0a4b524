"""The section of the Explore panel with a trained model's hearts: sampled, on a way, seen as a scanner would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path as resource_of_the_core
from FedSimCore.worker.protocol import OpenModelTask, SampleHeartTask, TrainingHeartTask, WalkTask
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.live_heart import Enhancement
from FedSimSlicerLib.widget_values import WheelGuard, silenced
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from FedSimCore.generation.trust import Trust
    from FedSimCore.shape.parameters import HeartParameters
    from FedSimCore.worker.protocol import GeneratedHeartResult, MeasureResult, OpenModelResult
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed

MODEL_SETTING = "FedSim/GeneratorFolder"
CHANNEL = "generator"
EVERYBODY = "all"
"""Stands for hearts like those of all training cases."""
PHYSICS = ""
"""Stands for no enhancer in the list of sites."""
REST_MS = 500
"""After a walk's last move its heart is measured."""


class GeneratorSection:
    """Opens a model and shows its hearts.

    Attributes:
        widget: the section's qt.QWidget.
        ui: its widgets by name.
        model: what is open; None before, and where it cannot be used.
        shown: the model's heart that was shown last; None before the first.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session, self._editor = session, session.editor
        self._settings = slicer.app.userSettings()
        self.model: OpenModelResult | None = None
        self.shown: GeneratedHeartResult | None = None
        self._ends: list[tuple[float, ...] | None] = [None, None]
        self._asked = ""
        self._waiting = False
        self._names: dict[str, str] = {}
        self.widget = slicer.util.loadUI(resource_path("UI/GeneratorSection.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.modelEdit.filters = ctk.ctkPathLineEdit.Dirs
        self.ui.modelEdit.currentPath = str(self._settings.value(MODEL_SETTING) or shipped_model() or "")
        make_quiet(self.ui.siteBox)
        make_quiet(self.ui.populationBox)
        self._guard = WheelGuard()
        self._guard.protect(self.ui.walkSlider)
        self._guard.protect(self.ui.sampleSeedBox)
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", lambda: self._walk(trust=True))
        self._connect()
        self._refresh()

    def open(self) -> None:
        """Open the model in the worker, unless it is open."""
        folder = self.ui.modelEdit.currentPath.strip()
        if not folder or folder == self._asked:
            self._refresh()
            return
        self._asked, self.model, self.shown, self._ends = folder, None, None, [None, None]
        self.choose_site(PHYSICS)
        self._ask(OpenModelTask(folder=folder), self._take_model)

    def close(self) -> None:
        """Ask nothing more."""
        self._rest.stop()
        self._session.worker.cancel(CHANNEL)

    def show_heart(self, heart: HeartParameters) -> None:
        """Tell that the figures are those of another heart when the heart was moved by hand."""
        if self.shown is not None:
            self._show_trust(self.shown, moved=heart != self.shown.parameters)

    def show_state(self, state: ModuleState | None) -> None:
        """Follow the scene: its quick CT is made by physics until an enhancer is chosen again."""
        if state is None:
            self._rest.stop()
            self._session.worker.cancel(CHANNEL)
            self._waiting = False
            self._session.live.enhance_with(None)
            with silenced(self.ui.siteBox) as box:
                box.currentIndex = 0
        self._refresh()

    def _connect(self) -> None:
        ui = self.ui
        ui.modelEdit.connect("currentPathChanged(QString)", self._on_folder)
        ui.sampleButton.connect("clicked()", self._sample)
        ui.firstButton.connect("clicked()", lambda: self._keep(0))
        ui.secondButton.connect("clicked()", lambda: self._keep(1))
        ui.walkSlider.connect("valueChanged(int)", lambda _value: self._on_walk())
        ui.siteBox.connect("activated(int)", lambda _index: self.choose_site(ui.siteBox.currentData))
        ui.nearestButton.connect("clicked()", self._show_nearest)
        self._session.live.measured.connect(self._name_measurements)

    def _name_measurements(self, result: MeasureResult) -> None:
        self._names = {row.key: row.name for row in result.rows}

    def _on_folder(self, path: str) -> None:
        self._settings.setValue(MODEL_SETTING, path.strip())
        if self.widget.isVisible():
            self.open()

    # ---- asking

    def _ask(self, task: Any, take: Callable[[RequestDone], None], follow: bool = False) -> None:
        self._waiting = True
        reply = Reply(take, failed=self._on_failed)
        self._session.worker.ask(CHANNEL, task, reply, follow=follow)
        self._refresh()

    def _sample(self) -> None:
        seed = self.ui.sampleSeedBox.value
        population = self.ui.populationBox.currentData or EVERYBODY
        self._ask(SampleHeartTask(folder=self._asked, seed=seed, population=population), self._take_sample)

    def _on_walk(self) -> None:
        self._rest.start()
        self._walk(trust=False)

    def _walk(self, trust: bool) -> None:
        first, second = self._ends
        if first is not None and second is not None:
            share = self.ui.walkSlider.value / 100
            task = WalkTask(folder=self._asked, first=first, second=second, share=share, trust=trust)
            self._ask(task, self._take_walk, follow=True)

    def _show_nearest(self) -> None:
        trust = None if self.shown is None else self.shown.trust
        if trust is not None:
            self._ask(TrainingHeartTask(folder=self._asked, case=trust.nearest_shape.case), self._take_step)

    # ---- answers

    def _take_model(self, event: RequestDone) -> None:
        self._waiting = False
        model: Any = event.result  # an OpenModelResult
        self.model = model
        items = [(_("Physics of the scan"), PHYSICS)]
        items += [(_("Enhancer of {site}").format(site=site), site) for site in model.sites]
        fill_combo_box(self.ui.siteBox, items)
        choose(self.ui.siteBox, PHYSICS)
        people = [(_("like all training hearts"), EVERYBODY)]
        people += [(_("like those of {site}").format(site=site), site) for site in model.populations]
        fill_combo_box(self.ui.populationBox, people)
        self._refresh()

    def _take_sample(self, event: RequestDone) -> None:
        """Show a heart, and let the next have another seed."""
        self.ui.sampleSeedBox.value = (self.ui.sampleSeedBox.value + 1) % (self.ui.sampleSeedBox.maximum + 1)
        self._take_step(event)

    def _take_step(self, event: RequestDone) -> None:
        made: Any = event.result  # a GeneratedHeartResult
        self._editor.as_one_step(lambda: self._take(made))

    def _take_walk(self, event: RequestDone) -> None:
        made: Any = event.result
        self._take(made)

    def _take(self, made: GeneratedHeartResult) -> None:
        self._waiting = False
        self.shown = made
        self._enhance()
        self._editor.set(made.parameters)
        self._session.show_heart()
        self._show_trust(made, moved=False)
        self._refresh()

    def _on_failed(self, event: RequestFailed) -> None:
        self._waiting = False
        if self.model is None:
            self.ui.modelLabel.text = event.sentence
            self._asked = ""
        elif event.cause != "lost":
            self._session.message.emit(event.sentence)
        self._refresh(keep_label=self.model is None)

    # ---- the way between two hearts, and the enhancer

    def _keep(self, end: int) -> None:
        if self.shown is None:
            return
        self._ends[end] = self.shown.latent
        with silenced(self.ui.walkSlider) as slider:
            slider.value = 100 * end
        self._refresh()

    def choose_site(self, site: str) -> None:
        """Let a site's enhancer make the quick CT, or the scan's physics (:data:`PHYSICS`)."""
        choose(self.ui.siteBox, site)
        state = self._session.state
        if state is not None and site != PHYSICS:
            state.live_preview = True
        self._enhance()

    def _enhance(self) -> None:
        site = self.ui.siteBox.currentData
        latent = None if self.shown is None else self.shown.latent
        wanted = Enhancement(self._asked, site, latent) if site else None
        self._session.live.enhance_with(wanted)

    # ---- what is shown

    def _refresh(self, keep_label: bool = False) -> None:
        ui, model = self.ui, self.model
        ui.modelControls.enabled = model is not None and self._session.state is not None
        both = None not in self._ends
        ui.firstButton.enabled = ui.secondButton.enabled = self.shown is not None
        ui.walkSlider.enabled = both
        ui.nearestButton.enabled = self.shown is not None and self.shown.trust is not None
        ui.walkLabel.text = self._walk_text()
        ui.walkLabel.visible = bool(ui.walkLabel.text)
        if self.shown is None:
            ui.trustLabel.text = ""
        if keep_label:
            return
        if model is None:
            ui.modelLabel.text = (
                _("The model is being read...")
                if self._waiting
                else _("Choose the folder of a model; train one in the tab “Train” if there is none.")
            )
        else:
            ui.modelLabel.text = model_text(model)
            ui.modelLabel.toolTip = model.card

    def _walk_text(self) -> str:
        if self.model is None:
            return ""
        if self.shown is None:
            return _("Sample a heart, keep it as A, sample another one and keep it as B.")
        missing = [name for name, end in zip("AB", self._ends, strict=True) if end is None]
        return _("Not kept yet: {names}.").format(names=", ".join(missing)) if missing else ""

    def _show_trust(self, made: GeneratedHeartResult, moved: bool) -> None:
        if moved:
            self.ui.trustLabel.text = _("The heart was moved by hand; figures are known of the model’s own hearts.")
        elif made.trust is None:
            self.ui.trustLabel.text = _("Measured when the slider rests.")
        else:
            self.ui.trustLabel.text = trust_text(made.trust, made.concerns, self._names)
        self.ui.nearestButton.enabled = made.trust is not None and not moved


def shipped_model() -> Path | None:
    """Return the folder of the first model that ships; None if there is none."""
    try:
        folder = resource_of_the_core("models")
    except InputError:
        return None
    return next((file.parent for file in sorted(folder.glob("*/generator.safetensors"))), None)


def model_text(model: OpenModelResult) -> str:
    """Return in a sentence or two what a model is."""
    sites = ", ".join(model.sites) or _("none")
    told = _("{stage}, from {count} training cases. Enhancers: {sites}.")
    return told.format(stage=model.stage.capitalize(), count=len(model.cases), sites=sites)


def trust_text(trust: Trust, concerns: tuple[str, ...], measurements: Mapping[str, str]) -> str:
    """Return a heart's figures in words; measurements are called by their names."""
    nearest = trust.nearest_shape
    lines = [
        _("Nearest training case: {case}, {distance:.1f} {unit} away, {ratio:.1f} times what is usual.").format(
            case=nearest.case, distance=nearest.distance, unit=nearest.unit, ratio=nearest.ratio
        ),
        _("Rarer than {latent:.0f} % of latents and {weights:.0f} % of shapes.").format(
            latent=trust.latent.percentile, weights=trust.weights.percentile
        ),
    ]
    if trust.outside_norms:
        found = trust.outside_norms.items()
        names = ", ".join(f"{measurements.get(key, key)} {_verdict_text(verdict)}" for key, verdict in found)
        lines.append(_("Outside the norms: {names}.").format(names=names))
    lines += [f"⚠ {sentence}" for sentence in concerns]
    return "\n".join(lines)


def _verdict_text(verdict: str) -> str:
    return _("low") if verdict == "low" else _("high")
