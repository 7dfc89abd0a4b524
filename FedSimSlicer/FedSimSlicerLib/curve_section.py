"""The curves of a training or a study: which one is drawn, on what scale, and the chart in place of the views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet

if TYPE_CHECKING:
    from FedSimSlicerLib.compare_layout import CompareLayout
    from FedSimSlicerLib.training_chart import TrainingChart
    from FedSimSlicerLib.training_watch import Curve


class CurveSection:
    """Offers curves and draws those that are chosen while the chart is seen.

    Attributes:
        chart: the curves.

    Args:
        ui: the panel's widgets: metricBox, logScaleBox, chartButton.
        layout: shows the chart in place of the views.
        chart: draws.
        belongs: tells whether a curve's metric belongs to the choice that was made.
    """

    def __init__(
        self, ui: Any, layout: CompareLayout, chart: TrainingChart, belongs: Callable[[str, Any], bool]
    ) -> None:
        self._ui, self._layout, self._belongs = ui, layout, belongs
        self._curves: Sequence[Curve] | None = None
        self.chart = chart
        make_quiet(ui.metricBox)
        ui.metricBox.connect("activated(int)", lambda _index: self.draw())
        ui.logScaleBox.connect("toggled(bool)", lambda _on: self.draw())
        ui.chartButton.connect("clicked(bool)", self._show_layout)

    def offer(self, items: Sequence[tuple[str, str]], first: str | None = None) -> None:
        """Offer curves; what was chosen stays chosen.

        Args:
            items: texts and what they stand for.
            first: what is chosen where nothing was; the first item if None.
        """
        box, chosen = self._ui.metricBox, self._ui.metricBox.currentData
        known = [data for _text, data in items]
        if [box.itemData(row) for row in range(box.count)] != known:
            fill_combo_box(box, list(items))
            if known:
                choose(box, chosen if chosen in known else first or known[0])
        for widget in (box, self._ui.chartButton, self._ui.logScaleBox):
            widget.enabled = bool(known)

    def use(self, curves: Sequence[Curve] | None) -> None:
        """Take the curves that there are, without drawing; None for nothing that could be drawn."""
        self._curves = curves

    def draw(self) -> None:
        """Bring the chart up to date, if it is seen."""
        if self._ui.chartButton.checked and self._curves is not None:
            chosen = self._ui.metricBox.currentData
            wanted = [curve for curve in self._curves if self._belongs(curve.metric, chosen)]
            logarithmic = bool(self._ui.logScaleBox.checked) and all(bool((c.values > 0).all()) for c in wanted)
            self.chart.show(wanted, self._ui.metricBox.currentText, logarithmic)

    def leave_scene(self) -> None:
        """Take the chart out of a scene that is closed or read."""
        if self._ui.chartButton.checked:
            self._layout.back()
        self.chart.close()

    def _show_layout(self, on: bool) -> None:
        if not on:
            self._layout.back()
            return
        self.draw()
        if self.chart.chart is None:
            self._ui.chartButton.checked = False
            return
        self._layout.show_chart(self.chart.chart, self._on_left)

    def _on_left(self) -> None:
        self._ui.chartButton.checked = False
