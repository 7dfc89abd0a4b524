"""The plot view. Slicer's is C++ over Qt and not in slicer-core, so the chart here is built from the nodes anew."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtWidgets import QFrame, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.views.render_view import PaintedView, label_bar, stack

MARKERS = {"none": 0, "cross": 1, "plus": 2, "square": 3, "circle": 4, "diamond": 5}
LINES = {"none": 0, "solid": 1, "dash": 2, "dot": 3, "dash-dot": 4, "dash-dot-dot": 5}


@cxx_class("Libs/MRML/Widgets/qMRMLPlotView.h")
class qMRMLPlotView(PaintedView):
    """A vtkMRMLPlotChartNode's series as lines, bars or points, with titles, legend, grid and axes' ranges.

    Left out: selection of points, labels at points, logarithmic axes, interaction modes.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        state = private(self)
        state.renderer.SetBackground(1, 1, 1)
        scene, actor, chart = vtk.vtkContextScene(), vtk.vtkContextActor(), vtk.vtkChartXY()
        actor.SetScene(scene)
        scene.AddItem(chart)
        scene.SetRenderer(state.renderer)
        state.renderer.AddActor(actor)
        private(self, chart=chart, actor=actor, node=None, observed=[])

    def setMRMLPlotViewNode(self, node: Any) -> None:
        private(self).node = node
        node.AddObserver("ModifiedEvent", lambda *_: self._rebuild())
        self._rebuild()

    def _watch(self, nodes: list[Any]) -> None:
        state = private(self)
        for node, tag in state.observed:
            node.RemoveObserver(tag)
        state.observed = [(n, n.AddObserver("ModifiedEvent", lambda *_: self._rebuild())) for n in nodes]

    def _rebuild(self) -> None:
        state = private(self)
        chart_node = state.node.GetPlotChartNode()
        state.chart.ClearPlots()
        if chart_node is None:
            self._watch([])
            self._schedule_render()
            return
        series = [chart_node.GetNthPlotSeriesNode(i) for i in range(chart_node.GetNumberOfPlotSeriesNodes())]
        series = [s for s in series if s is not None and s.GetTableNode() is not None]
        self._watch([chart_node, *series, *(s.GetTableNode() for s in series)])
        for node in series:
            self._add(node)
        self._dress(chart_node)
        state.chart.RecalculateBounds()
        self._schedule_render()

    def _add(self, node: Any) -> None:
        table = node.GetTableNode().GetTable()
        y_name, x_name = node.GetYColumnName(), node.GetXColumnName()
        if not table.GetColumnByName(y_name or ""):
            return
        kind = node.GetPlotType()
        types = {node.PlotTypeBar: vtk.vtkChart.BAR, node.PlotTypeScatterBar: vtk.vtkChart.BAR}
        plot = private(self).chart.AddPlot(types.get(kind, vtk.vtkChart.LINE))
        by_row = kind in (node.PlotTypeLine, node.PlotTypeBar) or not table.GetColumnByName(x_name or "")
        plot.SetUseIndexForXSeries(by_row)
        plot.SetInputData(table, y_name if by_row else x_name, y_name)
        plot.SetLabel(node.GetName())
        red, green, blue = node.GetColor()
        plot.SetColorF(red, green, blue)
        plot.SetWidth(node.GetLineWidth())
        if isinstance(plot, vtk.vtkPlotPoints):
            plot.SetMarkerStyle(MARKERS[node.GetMarkerStyleAsString(node.GetMarkerStyle())])
            plot.SetMarkerSize(node.GetMarkerSize())
            plot.GetPen().SetLineType(LINES[node.GetLineStyleAsString(node.GetLineStyle())])

    def _dress(self, node: Any) -> None:
        chart = private(self).chart
        chart.SetTitle(node.GetTitle() if node.GetTitleVisibility() and node.GetTitle() else "")
        chart.SetShowLegend(node.GetLegendVisibility())
        titles = {vtk.vtkAxis.BOTTOM: node.GetXAxisTitle(), vtk.vtkAxis.LEFT: node.GetYAxisTitle()}
        ranges = {
            vtk.vtkAxis.BOTTOM: (node.GetXAxisRangeAuto(), node.GetXAxisRange()),
            vtk.vtkAxis.LEFT: (node.GetYAxisRangeAuto(), node.GetYAxisRange()),
        }
        for which, title in titles.items():
            axis = chart.GetAxis(which)
            axis.SetTitle(title or "")
            axis.SetGridVisible(node.GetGridVisibility())
            automatic, limits = ranges[which]
            axis.SetBehavior(vtk.vtkAxis.AUTO if automatic else vtk.vtkAxis.FIXED)
            if not automatic:
                axis.SetRange(*limits)

    def fitToContent(self) -> None:
        private(self).chart.RecalculateBounds()
        self._schedule_render()


@cxx_class("Libs/MRML/Widgets/qMRMLPlotWidget.h")
class qMRMLPlotWidget(QFrame):
    """A plot view under its bar. Left out: the bar's controls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        label, view = label_bar("P", "#c3c6cb"), qMRMLPlotView()
        stack(self, label, view)
        private(self, label=label, view=view, node=None)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        private(self).node = node
        private(self).label.text = node.GetLayoutLabel() or "P"
        private(self).view.setMRMLPlotViewNode(node)

    def mrmlPlotViewNode(self) -> Any:
        return private(self).node

    def plotView(self) -> qMRMLPlotView:
        return private(self).view
