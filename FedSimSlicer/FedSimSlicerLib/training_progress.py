"""What is to be seen of a run: how far it is, its curves in a chart, its pictures and its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimSlicerLib.curve_section import CurveSection
from FedSimSlicerLib.training_chart import TrainingChart
from FedSimSlicerLib.training_pictures import TrainingPictures
from FedSimSlicerLib.training_table import LOSS, duration_text, state_text

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.compare_layout import CompareLayout
    from FedSimSlicerLib.training_watch import Seen

ALL_LOSSES = "*"
"""Stands for all losses of a recipe with several in the list of curves."""


class TrainingProgress:
    """The sections "Progress", "Pictures" and "Log".

    Attributes:
        chart: the curves.
        pictures: the pictures.

    Args:
        ui: the panel's widgets.
        layout: shows the chart in place of the views.
        set_keep: takes a run's folder and whether it goes on without Slicer.
    """

    def __init__(self, ui: Any, layout: CompareLayout, set_keep: Callable[[Path, bool], None]) -> None:
        self._ui, self._set_keep = ui, set_keep
        self._path: Path | None = None
        self.chart = TrainingChart()
        self._section = CurveSection(
            ui,
            layout,
            self.chart,
            lambda metric, chosen: _is_loss(metric) if chosen == ALL_LOSSES else metric == chosen,
        )
        self.pictures = TrainingPictures(ui)
        ui.keepBox.connect("clicked(bool)", self._keep)

    def show(self, status: RunStatus | None, waiting: str | None, seen: Seen, may_touch_scene: bool) -> None:
        """Show a run.

        Args:
            status: its state; None for no run, or one that has told nothing yet.
            waiting: what its process prepares before the first step; None if none is starting.
            seen: the details.
            may_touch_scene: False while a scene is being closed or read.
        """
        details = seen.details if status is not None else None
        self._path = None if status is None else Path(status.path)
        self._show_state(status, waiting)
        self._ui.keepBox.visible = status is not None and (
            waiting is not None or status.state in ("running", "stopping")
        )
        if details is None or details.path != self._path:  # the look at it is still under way
            if status is None:
                self.pictures.show(None, ())
                show_log(self._ui.logEdit, "")
                self._offer(())
            return
        _quietly_check(self._ui.keepBox, details.keep)
        self.pictures.show(details.path, details.pictures)
        show_log(self._ui.logEdit, details.log)
        self._section.use(seen.curves)
        self._offer(seen.metrics)
        if may_touch_scene:
            self._section.draw()

    def leave_scene(self) -> None:
        """Take the chart out of a scene that is closed or read."""
        self._section.leave_scene()

    def close(self) -> None:
        """Take the chart away and load nothing more."""
        self.leave_scene()
        self.pictures.close()

    def _show_state(self, status: RunStatus | None, waiting: str | None) -> None:
        bar, label = self._ui.progressBar, self._ui.stateLabel
        bar.visible = status is not None or waiting is not None
        bar.maximum = 0 if waiting is not None else 1000  # 0 to 0 shows that something is going on
        if status is None or waiting is not None:
            starting = _("Starting: {stage}...").format(stage=waiting or _("loading PyTorch"))
            label.text = starting if waiting is not None else _("Choose a run in the list to see how it goes.")
            return
        bar.value = round(1000 * status.step / max(1, status.total))
        label.text = progress_text(status)

    def _keep(self, on: bool) -> None:
        if self._path is not None:
            self._set_keep(self._path, on)

    def _offer(self, metrics: Sequence[str]) -> None:
        items = [(name, name) for name in metrics]
        if sum(_is_loss(name) for name in metrics) > 1:
            items.insert(0, (_("all losses"), ALL_LOSSES))
        self._section.offer(items)


def _is_loss(metric: str) -> bool:
    return metric.rpartition("/")[2] == LOSS


def progress_text(status: RunStatus) -> str:
    """Return how a run goes, in a few lines."""
    done = _("step {step} of {total}").format(step=status.step, total=status.total)
    parts = [f"{status.name}: {state_text(status.state)}", done]
    if status.seconds_left is not None and status.state == "running" and status.step < status.total:
        parts.append(_("about {time} left").format(time=duration_text(status.seconds_left)))
    elif status.state == "running" and status.step < status.total:
        parts.append(_("time left unknown before the fourth step"))
    lines = [", ".join(parts) + "."]
    metrics = [(name, value) for name, value in status.metrics.items() if not name.startswith("time/")]
    if metrics:
        lines.append("   ".join(f"{name} {value:.4g}" for name, value in metrics))
    waiting = status.metrics.get("time/waiting_for_data")
    facts = [status.device] if status.device else []
    if waiting is not None:
        facts.append(_("{share:.0%} of the time spent waiting for data").format(share=waiting))
    if status.checkpoint_step is not None:
        facts.append(_("saved after step {step}").format(step=status.checkpoint_step))
    if status.updated is not None and status.state not in ("running", "stopping"):
        ended = datetime.fromtimestamp(status.updated).strftime("%Y-%m-%d %H:%M")
        facts.append(_("last heard of {time}").format(time=ended))
    if facts:
        lines.append(", ".join(facts) + ".")
    if status.state == "interrupted":
        lines.append(_("Its process ended without a word (killed, or the computer was switched off); resume it."))
    return "\n".join([*lines, *status.warnings, *filter(None, [status.reason])])


def show_log(edit: Any, text: str) -> None:
    """Show the log; stay at its end if that was seen, and where the user reads otherwise."""
    if edit.plainText == text:
        return
    bar = edit.verticalScrollBar()
    at_end, before = bar.value >= bar.maximum, bar.value
    edit.plainText = text
    bar.value = bar.maximum if at_end else before


def _quietly_check(box: Any, on: bool) -> None:
    blocked = box.blockSignals(True)
    box.checked = on
    box.blockSignals(blocked)
