"""The section "HU of the regions" of the panel "Compare": a table, and a chart of one region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.histogram_plot import HistogramPlot

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import RegionHistogramRow
    from FedSimSlicerLib.region_comparison import RegionPair

OUTSIDE = 0.02
"""Share of a region outside the scan above which it is told."""


class HistogramSection:
    """Shows what was measured.

    Attributes:
        pairs: what is shown; empty for nothing.
        plot: the chart in the scene.

    Args:
        ui: the panel's widgets.
        on_region: called when another region is chosen.
    """

    def __init__(self, ui: Any, on_region: Callable[[], None]) -> None:
        self._ui, self._on_region = ui, on_region
        self.pairs: tuple[RegionPair, ...] = ()
        self.plot = HistogramPlot()
        make_quiet(ui.regionBox)
        table = ui.regionTable
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Region"), _("Real"), _("Simulated"), _("Diff.")])
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeaderItem(3).setToolTip(_("Mean of the simulation less that of the real scan, HU"))
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        ui.regionBox.connect("currentIndexChanged(int)", self._choose)
        table.connect("cellClicked(int,int)", lambda row, _column: self._choose(row))

    @property
    def chosen(self) -> RegionPair | None:
        """The region that is plotted."""
        key = self._ui.regionBox.currentData
        return next((pair for pair in self.pairs if pair.real.region == key), None)

    def clear(self) -> None:
        """Show nothing, because it is no longer true."""
        self._fill(())

    def show(self, pairs: Sequence[RegionPair]) -> None:
        """Show these, and plot the region that was plotted before, or the first."""
        key = self._ui.regionBox.currentData
        self._fill(tuple(pairs))
        self.plot.put(pairs)
        if key in [pair.real.region for pair in pairs]:
            choose(self._ui.regionBox, key)
        self._plot()

    def _fill(self, pairs: tuple[RegionPair, ...]) -> None:
        self.pairs = pairs
        names = {region.key: region.name for region in anatomy.regions()}
        fill_combo_box(self._ui.regionBox, [(names[pair.real.region], pair.real.region) for pair in pairs])
        self._ui.regionBox.enabled = bool(pairs)
        table = self._ui.regionTable
        table.setRowCount(len(pairs))
        for row, pair in enumerate(pairs):
            region = anatomy.regions()[pair.real.label - 1]
            texts = (region.name, _spread(pair.real), _spread(pair.simulated), _difference(pair))
            for column, text in enumerate(texts):
                table.setItem(row, column, _item(text, left=column == 0, tip=_tip(pair)))
        table.visible = bool(pairs)

    def _choose(self, row: int) -> None:
        if 0 <= row < len(self.pairs):
            choose(self._ui.regionBox, self.pairs[row].real.region)
            self._plot()
            self._on_region()

    def _plot(self) -> None:
        pair = self.chosen
        if pair is not None:
            self._ui.regionTable.selectRow(self.pairs.index(pair))
            self.plot.show(pair)


def _spread(row: RegionHistogramRow | None) -> str:
    if row is None or row.mean_hu is None or row.sd_hu is None:
        return "–"
    return f"{row.mean_hu:.0f} ± {row.sd_hu:.0f}"


def _difference(pair: RegionPair) -> str:
    return "–" if pair.difference_hu is None else f"{pair.difference_hu:+.0f}"


def _tip(pair: RegionPair) -> str:
    lines = [_percentiles(_("Real"), pair.real)]
    if pair.simulated is not None:
        lines.append(_percentiles(_("Simulated"), pair.simulated))
    if pair.real.outside_scan > OUTSIDE:
        lines.append(_("{share:.0%} of the region lie outside the real scan.").format(share=pair.real.outside_scan))
    return "\n".join(lines)


def _percentiles(name: str, row: RegionHistogramRow) -> str:
    if row.median_hu is None:
        return _("{name}: no voxel").format(name=name)
    text = _("{name}: median {median:.0f} HU, 5 % below {low:.0f}, 5 % above {high:.0f}, {voxels} voxels")
    return text.format(name=name, median=row.median_hu, low=row.p05_hu, high=row.p95_hu, voxels=row.voxels)


def _item(text: str, left: bool, tip: str) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setTextAlignment(int(qt.Qt.AlignVCenter) | int(qt.Qt.AlignLeft if left else qt.Qt.AlignRight))
    item.setToolTip(tip)
    return item
