"""Curves of trainings as a chart in the scene: a table and a series for each, not saved with the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimSlicerLib.training_watch import Curve

STEP = "Step"
COLORS = (
    (0.0, 0.447, 0.698),
    (0.835, 0.369, 0.0),
    (0.0, 0.62, 0.451),
    (0.8, 0.475, 0.655),
    (0.902, 0.624, 0.0),
    (0.337, 0.706, 0.914),
    (0.35, 0.35, 0.35),
)
"""Of Okabe and Ito, which colour-blind people tell apart."""


class TrainingChart:
    """Keeps the nodes of a chart that are made when something is first shown; those of a closed scene are forgotten.

    Attributes:
        chart: the vtkMRMLPlotChartNode; None while there is none.

    Args:
        name: of the chart.
        step: what the curves run over.
    """

    def __init__(self, name: str = "", step: str = STEP) -> None:
        self.chart: Any = None
        self._name, self._step = name or _("Training"), step
        self._series: list[tuple[Any, Any]] = []
        self._shown: list[Curve] = []

    def show(self, curves: Sequence[Curve], title: str, logarithmic: bool = False) -> None:
        """Show curves; those that have not changed cost nothing."""
        self._forget_gone()
        if self.chart is None:
            self.chart = _hidden_node("vtkMRMLPlotChartNode", self._name)
            self.chart.SetXAxisTitle(self._step)
            self.chart.SetLegendVisibility(True)
            self.chart.SetHideFromEditors(False)
        several_runs = len({curve.run for curve in curves}) > 1
        for number, curve in enumerate(curves):
            if number == len(self._series):
                self._series.append(self._new_series(number))
            if number >= len(self._shown) or self._shown[number] is not curve:
                self._fill(number, curve)
            series, name = self._series[number][1], f"{curve.run}: {curve.metric}" if several_runs else curve.metric
            if series.GetName() != name:
                series.SetName(name)
        self._shown = list(curves)
        self._dress(len(curves), title, logarithmic)

    def close(self) -> None:
        """Take the nodes out of the scene."""
        self._forget_gone()
        for node in [self.chart, *(node for pair in self._series for node in pair)]:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        self.chart, self._series, self._shown = None, [], []

    def _dress(self, count: int, title: str, logarithmic: bool) -> None:
        chart = self.chart
        wanted = [series.GetID() for _table, series in self._series[:count]]
        was_modifying = chart.StartModify()
        if [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())] != wanted:
            chart.RemoveAllPlotSeriesNodeIDs()
            for identifier in wanted:
                chart.AddAndObservePlotSeriesNodeID(identifier)
        chart.SetTitle(title)
        chart.SetYAxisLogScale(logarithmic)
        chart.EndModify(was_modifying)

    def _fill(self, number: int, curve: Curve) -> None:
        table, series = self._series[number]
        slicer.util.updateTableFromArray(table, (curve.steps, curve.values), [self._step, curve.metric])
        was_modifying = series.StartModify()
        series.SetXColumnName(self._step)
        series.SetYColumnName(curve.metric)
        # A curve of one point would be invisible without its marker.
        alone = len(curve.steps) == 1
        series.SetMarkerStyle(series.MarkerStyleCircle if alone else series.MarkerStyleNone)
        series.EndModify(was_modifying)

    def _new_series(self, number: int) -> tuple[Any, Any]:
        name = _("Training curve {number}").format(number=number + 1)
        table = _hidden_node("vtkMRMLTableNode", name)
        series = _hidden_node("vtkMRMLPlotSeriesNode", name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetLineStyle(series.LineStyleSolid)
        series.SetLineWidth(2)
        series.SetColor(*COLORS[number % len(COLORS)])
        return table, series

    def _forget_gone(self) -> None:
        nodes = [node for node in (self.chart, *(n for pair in self._series for n in pair)) if node is not None]
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in nodes):
            for node in nodes:
                if slicer.mrmlScene.IsNodePresent(node):
                    slicer.mrmlScene.RemoveNode(node)
            self.chart, self._series, self._shown = None, [], []


def _hidden_node(node_class: str, name: str) -> Any:
    """Add a node that belongs to the module, not to the user's data."""
    node = slicer.mrmlScene.CreateNodeByClass(node_class)
    node.UnRegister(None)
    node.SetName(slicer.mrmlScene.GetUniqueNameByString(name))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
