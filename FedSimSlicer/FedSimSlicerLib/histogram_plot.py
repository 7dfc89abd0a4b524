"""Histograms of a region's HU as a chart in the scene: table, two series, chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimSlicerLib.region_comparison import EDGES_HU, RegionPair
from FedSimSlicerLib.scene_colors import color_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from FedSimCore.worker.protocol import RegionHistogramRow

HU = "HU"
REAL_COLOR = (0.15, 0.15, 0.15)
ROOM_FOR_LEGEND = 1.3


class HistogramPlot:
    """Keeps a table of all regions' histograms and a chart of one of them.

    The nodes are referenced by the module's parameter node, so a saved scene has them.
    """

    def __init__(self) -> None:
        self._parameter_node: Any = None

    def bind(self, parameter_node: Any) -> None:
        """Use the nodes that this parameter node refers to, or make them; None for none."""
        self._parameter_node = parameter_node

    @property
    def chart(self) -> Any:
        """The vtkMRMLPlotChartNode; None before the first histogram."""
        return None if self._parameter_node is None else self._find("Chart")

    def put(self, pairs: Sequence[RegionPair]) -> None:
        """Write the histograms, in percent of a region's voxels a bin, into the table."""
        edges = np.array(EDGES_HU)
        columns = {HU: (edges[:-1] + edges[1:]) / 2}
        for pair in pairs:
            real, simulated = _columns(pair.real.region)
            columns[real] = _percent(pair.real)
            columns[simulated] = np.zeros(len(edges) - 1) if pair.simulated is None else _percent(pair.simulated)
        table = self._get("Table", "vtkMRMLTableNode", _("HU of the heart’s regions"))
        slicer.util.updateTableFromArray(table, tuple(columns.values()), list(columns))

    def show(self, pair: RegionPair) -> None:
        """Let the chart show one of the regions that :meth:`put` has written."""
        region = next(region for region in anatomy.regions() if region.key == pair.real.region)
        chart = self._get("Chart", "vtkMRMLPlotChartNode", _("HU histogram"))
        was_modifying = chart.StartModify()
        chart.SetTitle(region.name)
        chart.SetXAxisTitle(HU)
        chart.SetYAxisTitle(_("% of voxels"))
        chart.SetLegendVisibility(True)
        real, simulated = _columns(pair.real.region)
        series = [self._series("Real", _("Real scan"), real, REAL_COLOR)]
        if pair.simulated is not None:
            series.append(self._series("Simulated", _("Simulated"), simulated, color_of(region)))
        chart.RemoveAllPlotSeriesNodeIDs()
        for each in series:
            chart.AddAndObservePlotSeriesNodeID(each.GetID())
        chart.SetXAxisRangeAuto(False)
        chart.SetXAxisRange(*_range(pair))
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, ROOM_FOR_LEGEND * _highest(pair))
        chart.EndModify(was_modifying)

    def _series(self, role: str, name: str, column: str, color: tuple[float, float, float]) -> Any:
        series = self._get(role, "vtkMRMLPlotSeriesNode", name)
        series.SetAndObserveTableNodeID(self._find("Table").GetID())
        series.SetXColumnName(HU)
        series.SetYColumnName(column)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetLineStyle(series.LineStyleSolid)
        series.SetLineWidth(3)
        series.SetColor(*color)
        return series

    def _find(self, role: str) -> Any:
        return self._parameter_node.GetNodeReference(f"FedSim.Histogram{role}")

    def _get(self, role: str, node_class: str, name: str) -> Any:
        node = self._find(role)
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass(node_class, name)
            self._parameter_node.SetNodeReferenceID(f"FedSim.Histogram{role}", node.GetID())
        return node


def _columns(region: str) -> tuple[str, str]:
    """Return the names of a region's columns."""
    return f"{region} real %", f"{region} simulated %"


def _percent(row: RegionHistogramRow) -> NDArray[np.float64]:
    return 100.0 * np.array(row.counts, dtype=np.float64) / max(1, row.voxels)


def _highest(pair: RegionPair) -> float:
    """Return the highest bin in percent; 1 where nothing was counted."""
    rows = [row for row in (pair.real, pair.simulated) if row is not None]
    return max(float(_percent(row).max()) for row in rows) or 1.0


def _range(pair: RegionPair) -> tuple[float, float]:
    """Return the edges of the bins in use, so that the curves fill the chart."""
    rows = [row for row in (pair.real, pair.simulated) if row is not None]
    used = np.flatnonzero(np.sum([row.counts for row in rows], axis=0))
    if not len(used):
        return EDGES_HU[0], EDGES_HU[-1]
    return EDGES_HU[used[0]], EDGES_HU[used[-1] + 1]
