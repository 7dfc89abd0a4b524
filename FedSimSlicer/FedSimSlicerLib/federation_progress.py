"""The section "Sites and progress": how far a study is, what each site does, and the curves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.federation_states import DOING_TIPS, doing_text
from FedSimSlicerLib.federation_tables import site_row, site_table
from FedSimSlicerLib.training_chart import TrainingChart
from FedSimSlicerLib.training_table import duration_text, state_text
from FedSimSlicerLib.widget_values import silenced

if TYPE_CHECKING:
    from FedSimSlicerLib.compare_layout import CompareLayout
    from FedSimSlicerLib.federation_seen import SiteSeen, StudyDetails, StudyRow
    from FedSimSlicerLib.training_watch import Curve


class FederationProgress:
    """Shows the study that is chosen.

    Attributes:
        chart: the curves.
        table: the sites.

    Args:
        ui: the panel's widgets.
        layout: shows the chart in place of the views.
        set_keep: takes whether the study goes on without Slicer.
        on_site: called when another site is chosen.
    """

    def __init__(
        self, ui: Any, layout: CompareLayout, set_keep: Callable[[bool], None], on_site: Callable[[], None]
    ) -> None:
        self._ui, self._layout, self._on_site = ui, layout, on_site
        self._details: StudyDetails | None = None
        self.chart = TrainingChart(_("Federated study"), _("Round"))
        self.table = site_table(ui.siteTable, self._show_site)
        make_quiet(ui.metricBox)
        ui.metricBox.connect("activated(int)", lambda _index: self._draw())
        ui.logScaleBox.connect("toggled(bool)", lambda _on: self._draw())
        ui.chartButton.connect("clicked(bool)", self._show_layout)
        ui.keepBox.connect("clicked(bool)", set_keep)

    @property
    def site(self) -> SiteSeen | None:
        """The site that is chosen; the first where none is."""
        sites = self._details.sites if self._details is not None else ()
        return next((site for site in sites if site.name == self.table.chosen), sites[0] if sites else None)

    def show(self, details: StudyDetails | None, may_touch_scene: bool) -> None:
        """Show a study, or that none is chosen.

        Args:
            details: of it.
            may_touch_scene: False while a scene is being closed or read.
        """
        self._details = details
        row = details.row if details is not None else None
        bar = self._ui.progressBar
        bar.visible = row is not None
        if row is None:
            self._ui.stateLabel.text = _("Choose a study in the list to see how it goes.")
        else:
            going = row.state in ("starting", "waiting") or (row.state == "running" and row.step == 0)
            bar.maximum = 0 if going else 1000  # 0 to 0 shows that something is going on
            bar.value = round(1000 * row.step / max(1, row.total))
            self._ui.stateLabel.text = state_of(row, details)
        self._ui.keepBox.visible = row is not None and row.state in ("starting", "waiting", "running", "stopping")
        if details is not None:
            with silenced(self._ui.keepBox) as box:
                box.checked = details.keep
        self.table.show([site_row(site, time.time()) for site in (details.sites if details is not None else ())])
        self._show_site()
        self._offer(details.metrics if details is not None else ())
        if may_touch_scene:
            self._draw()

    def leave_scene(self) -> None:
        """Take the chart out of a scene that is closed or read."""
        if self._ui.chartButton.checked:
            self._layout.back()
        self.chart.close()

    def _show_site(self) -> None:
        site = self.site
        self._ui.siteLabel.visible = site is not None
        self._ui.siteHeartsButton.visible = site is not None and site.model is not None
        if site is not None:
            text = _("{site}: {doing}. {tip}").format(
                site=site.name, doing=doing_text(site.state.doing), tip=DOING_TIPS[site.state.doing]
            )
            self._ui.siteLabel.text = "\n".join(filter(None, [text, site.state.reason]))
        self._on_site()

    def _offer(self, metrics: Sequence[str]) -> None:
        """Offer the curves that there are; what was chosen stays chosen."""
        box, chosen = self._ui.metricBox, self._ui.metricBox.currentData
        if [box.itemData(row) for row in range(box.count)] != list(metrics):
            fill_combo_box(box, [(metric_text(name), name) for name in metrics])
            if metrics:
                first = "loss" if "loss" in metrics else metrics[0]
                choose(box, chosen if chosen in metrics else first)
        for widget in (box, self._ui.chartButton, self._ui.logScaleBox):
            widget.enabled = bool(metrics)

    def _draw(self) -> None:
        """Bring the chart up to date, if it is seen."""
        if self._ui.chartButton.checked and self._details is not None:
            wanted = self._wanted(self._details.curves)
            logarithmic = bool(self._ui.logScaleBox.checked) and all(bool((c.values > 0).all()) for c in wanted)
            self.chart.show(wanted, self._ui.metricBox.currentText, logarithmic)

    def _wanted(self, curves: Sequence[Curve]) -> list[Curve]:
        chosen = self._ui.metricBox.currentData
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


def metric_text(metric: str) -> str:
    """Return what a curve shows, in words where there are any."""
    return {
        "sites": _("sites in a round"),
        "time/round": _("seconds of a round"),
        "norm": _("size of the updates (norm)"),
    }.get(metric, metric)


def state_of(row: StudyRow, details: StudyDetails | None) -> str:
    """Return how a study goes, in a few lines."""
    if row.state == "starting":
        return _("{name}: its processes are starting...").format(name=row.name)
    if row.state == "waiting":
        return _("{name}: connected; the study begins when the server asks.").format(name=row.name)
    if row.state == "new":
        return _("{name}: not begun.").format(name=row.name)
    parts = [f"{row.name}: {state_text(row.state)}"]
    if row.state == "running" and row.step == 0:
        parts.append(_("the sites read their cases and agree to the study"))
    elif row.total:
        parts.append(_("round {step} of {total}").format(step=row.step, total=row.total))
    if row.seconds_left is not None and row.state == "running" and row.step < row.total:
        parts.append(_("about {time} left").format(time=duration_text(row.seconds_left)))
    lines = [", ".join(parts) + "."]
    server = details.server if details is not None else None
    if server is not None and server.checkpoint_step is not None and row.state != "finished":
        lines.append(_("Saved after round {step}.").format(step=server.checkpoint_step))
    if row.state == "interrupted":
        lines.append(_("Its process ended without a word (killed, or the computer was switched off); resume it."))
    return "\n".join([*lines, *row.warnings[-3:], *filter(None, [row.reason])])
