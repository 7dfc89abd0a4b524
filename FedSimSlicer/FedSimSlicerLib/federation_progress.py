"""The section "Sites and progress": how far a study is, what each site does, and the curves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimSlicerLib.curve_section import CurveSection
from FedSimSlicerLib.federation_states import DOING_TIPS, doing_text
from FedSimSlicerLib.federation_tables import site_row, site_table
from FedSimSlicerLib.training_chart import TrainingChart
from FedSimSlicerLib.training_table import duration_text, state_text
from FedSimSlicerLib.widget_values import silenced

if TYPE_CHECKING:
    from FedSimSlicerLib.compare_layout import CompareLayout
    from FedSimSlicerLib.federation_seen import SiteSeen, StudyDetails, StudyRow


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
        self._ui, self._on_site = ui, on_site
        self._details: StudyDetails | None = None
        self.chart = TrainingChart(_("Federated study"), _("Round"))
        self._section = CurveSection(ui, layout, self.chart, lambda metric, chosen: metric == chosen)
        self.table = site_table(ui.siteTable, self._show_site)
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
        metrics = details.metrics if details is not None else ()
        self._section.use(details.curves if details is not None else None)
        self._section.offer([(metric_text(name), name) for name in metrics], "loss" if "loss" in metrics else None)
        if may_touch_scene:
            self._section.draw()

    def leave_scene(self) -> None:
        """Take the chart out of a scene that is closed or read."""
        self._section.leave_scene()

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
