"""What is to be seen of a run: how far it is, its curves in a chart, its pictures and its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.training_chart import TrainingChart
from FedSimSlicerLib.training_pictures import TrainingPictures
from FedSimSlicerLib.training_table import LOSS, duration_text, state_text

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunStatus
    from FedSimSlicerLib.compare_layout import CompareLayout
    from FedSimSlicerLib.training_watch import Curve, Seen

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
        self._ui, self._layout, self._set_keep = ui, layout, set_keep
        self._path: Path | None = None
        self._seen: Seen | None = None
        self.chart = TrainingChart()
        self.pictures = TrainingPictures(ui)
        make_quiet(ui.metricBox)
        ui.metricBox.connect("activated(int)", lambda _index: self._draw())
        ui.logScaleBox.connect("toggled(bool)", lambda _on: self._draw())
        ui.chartButton.connect("clicked(bool)", self._show_layout)
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
        self._seen = seen
        self._offer(seen.metrics)
        if may_touch_scene:
            self._draw()

    def leave_scene(self) -> None:
        """Take the chart out of a scene that is closed or read."""
        if self._ui.chartButton.checked:
            self._layout.back()
        self.chart.close()

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
        """Offer the curves that there are; what was chosen stays chosen."""
        box, chosen = self._ui.metricBox, self._ui.metricBox.currentData
        losses = [name for name in metrics if name.rpartition("/")[2] == LOSS]
        items = [(name, name) for name in metrics]
        if len(losses) > 1:
            items.insert(0, (_("all losses"), ALL_LOSSES))
        if [box.itemData(row) for row in range(box.count)] != [data for _text, data in items]:
            fill_combo_box(box, items)
            if items:
                choose(box, chosen if chosen in [data for _text, data in items] else items[0][1])
        for widget in (box, self._ui.chartButton, self._ui.logScaleBox):
            widget.enabled = bool(items)

    def _draw(self) -> None:
        """Bring the chart up to date, if it is seen."""
        if self._ui.chartButton.checked and self._seen is not None:
            wanted = self._wanted(self._seen.curves)
            logarithmic = bool(self._ui.logScaleBox.checked) and all(bool((c.values > 0).all()) for c in wanted)
            self.chart.show(wanted, self._ui.metricBox.currentText, logarithmic)

    def _wanted(self, curves: Sequence[Curve]) -> list[Curve]:
        chosen = self._ui.metricBox.currentData
        if chosen == ALL_LOSSES:
            return [curve for curve in curves if curve.metric.rpartition("/")[2] == LOSS]
        return [curve for curve in curves if curve.metric == chosen]

    def _show_layout(self, on: bool) -> None:
        if not on:
            self._layout.back()
            return
        self._draw()
        if self.chart.chart is None:
            self._ui.chartButton.checked = False
            return
        self._layout.show_chart(self.chart.chart, self._on_left)

    def _on_left(self) -> None:
        self._ui.chartButton.checked = False


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
