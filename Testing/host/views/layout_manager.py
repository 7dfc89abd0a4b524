"""The layout manager: widgets for the views that the real vtkMRMLLayoutLogic names."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSplitter, QTabWidget, QVBoxLayout, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.views.plot_view import qMRMLPlotWidget
from Testing.host.views.slice_view import qMRMLSliceWidget
from Testing.host.views.table_view import qMRMLTableWidget
from Testing.host.views.threed_view import qMRMLThreeDWidget


@cxx_class("Base/QTGUI/qSlicerLayoutManager.h")
class qSlicerLayoutManager(QObject):
    """Views in a viewport, arranged as the scene's layout node says.

    The layout node, its descriptions in XML and the logic that makes view nodes of them are Slicer's own. Left out:
    detached viewports, maximised views, compare views without a description.
    """

    layoutChanged = Signal(int)
    selectModule = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        viewport = QWidget()
        layout = QVBoxLayout(viewport)
        layout.setContentsMargins(0, 0, 0, 0)
        private(self, viewport=viewport, arranged=None, widgets={}, shown=None, pauses=0)

    def _start(self, scene: Any, application_logic: Any) -> None:
        """Follow a scene's layout node."""
        import slicer

        state = private(self)
        state.scene, state.application_logic = scene, application_logic
        state.logic = slicer.vtkMRMLLayoutLogic()
        state.logic.SetMRMLApplicationLogic(application_logic)
        state.logic.SetMRMLScene(scene)
        state.layout_node = state.logic.GetLayoutNode()
        state.layout_node.AddObserver("ModifiedEvent", lambda *_: self._arrange())
        for event in (scene.EndCloseEvent, scene.EndImportEvent, scene.EndRestoreEvent):
            scene.AddObserver(event, lambda *_: self._arrange())

    # Arranging

    def _arrange(self) -> None:
        """Rebuild the viewport if the arrangement is another than the one shown."""
        state = private(self)
        root = state.layout_node.GetLayoutRootElement()
        wanted = (state.layout_node.GetViewArrangement(), state.layout_node.GetCurrentLayoutDescription())
        if root is None or wanted == state.shown or state.scene.IsBatchProcessing():
            return
        changed = state.shown is None or state.shown[0] != wanted[0]
        state.shown = wanted
        for node_id in [i for i in state.widgets if state.scene.GetNodeByID(i) is None]:
            state.widgets.pop(node_id).deleteLater()
        for widget in state.widgets.values():  # kept for the next arrangement that has the view
            widget.setParent(None)
        old, state.arranged = state.arranged, self._build(root)
        if old is not None:
            old.setParent(None)  # now, not when the event loop comes to it: it would leave a gap
            old.deleteLater()
        state.viewport.layout().addWidget(state.arranged)
        for widget in state.widgets.values():
            if widget.parent() is not None:
                widget.show()
        if changed:
            self.layoutChanged.emit(wanted[0])

    def _build(self, element: Any) -> QWidget:
        """The widget of a `<layout>`, `<item>` or `<view>` of a layout's description."""
        name = element.GetName()
        children = [element.GetNestedElement(i) for i in range(element.GetNumberOfNestedElements())]
        if name == "view":
            return self._view(private(self).logic.GetViewFromElement(element))
        if name == "item":
            return self._build(children[0])
        if name != "layout":
            raise ValueError(f"a layout's description has <{name}>; there are <layout>, <item> and <view>")
        kind = element.GetAttribute("type") or "horizontal"
        return {"grid": _grid, "tab": _tabs}.get(kind, _splitter)(kind, children, self._build)

    def _view(self, node: Any) -> QWidget:
        widgets = private(self).widgets
        if node.GetID() not in widgets:
            widgets[node.GetID()] = self._make_view(node)
        return widgets[node.GetID()]

    def _make_view(self, node: Any) -> QWidget:
        import slicer

        logic = private(self).application_logic
        if node.IsA("vtkMRMLSliceNode"):
            slice_logic = logic.GetSliceLogic(node) or slicer.vtkMRMLSliceLogic()
            if slice_logic.GetSliceNode() is None:
                slice_logic.SetMRMLApplicationLogic(logic)
                logic.GetSliceLogics().AddItem(slice_logic)
                slice_logic.SetMRMLScene(private(self).scene)
                slice_logic.SetSliceNode(node)
            widget: QWidget = qMRMLSliceWidget()
            widget._connect_to(slice_logic, logic)
        elif node.IsA("vtkMRMLViewNode"):
            view_logic = slicer.vtkMRMLViewLogic()
            view_logic.SetMRMLApplicationLogic(logic)
            view_logic.SetMRMLScene(private(self).scene)
            view_logic.SetName(node.GetLayoutName())  # finds the node of that layout name
            logic.GetViewLogics().AddItem(view_logic)
            widget = qMRMLThreeDWidget()
            widget._connect_to(view_logic, logic)
        elif node.IsA("vtkMRMLPlotViewNode"):
            widget = qMRMLPlotWidget()
            widget.setMRMLPlotViewNode(node)
        elif node.IsA("vtkMRMLTableViewNode"):
            widget = qMRMLTableWidget()
            widget.setMRMLTableViewNode(node)
        else:
            widget = QLabel(f"The host has no view for {node.GetClassName()}")
        return widget

    def _of_class(self, cls: type) -> list[Any]:
        return [w for w in private(self).widgets.values() if type(w) is cls and w.parent() is not None]

    # Slicer's API

    def viewport(self) -> QWidget:
        return private(self).viewport

    def setLayout(self, layout: int) -> None:
        private(self).layout_node.SetViewArrangement(int(layout))

    def layoutLogic(self) -> Any:
        return private(self).logic

    def mrmlScene(self) -> Any:
        return private(self).scene

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(w.sliceViewName for w in self._of_class(qMRMLSliceWidget))

    def sliceWidget(self, name: str) -> Any:
        return next((w for w in self._of_class(qMRMLSliceWidget) if w.sliceViewName == name), None)

    def threeDWidget(self, which: int | str) -> Any:
        widgets = self._of_class(qMRMLThreeDWidget)
        if isinstance(which, str):
            return next((w for w in widgets if w.mrmlViewNode().GetLayoutName() == which), None)
        return widgets[which] if which < len(widgets) else None

    def plotWidget(self, index: int) -> Any:
        widgets = self._of_class(qMRMLPlotWidget)
        return widgets[index] if index < len(widgets) else None

    def tableWidget(self, index: int) -> Any:
        widgets = self._of_class(qMRMLTableWidget)
        return widgets[index] if index < len(widgets) else None

    def viewWidget(self, node: Any) -> Any:
        return private(self).widgets.get(node.GetID())

    def activeMRMLThreeDViewNode(self) -> Any:
        widget = self.threeDWidget(0)
        return widget.mrmlViewNode() if widget is not None else None

    def mrmlSliceLogics(self) -> Any:
        return private(self).application_logic.GetSliceLogics()

    def mrmlViewLogics(self) -> Any:
        return private(self).application_logic.GetViewLogics()

    def resetThreeDViews(self) -> None:
        for widget in self._of_class(qMRMLThreeDWidget):
            widget.threeDView().resetCamera()

    def resetSliceViews(self) -> None:
        for widget in self._of_class(qMRMLSliceWidget):
            widget.fitSliceToBackground()

    def pauseRender(self) -> None:
        for view in self._views():
            view.pauseRender()

    def resumeRender(self) -> None:
        for view in self._views():
            view.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()

    def _views(self) -> list[Any]:
        slices = [w.sliceView() for w in self._of_class(qMRMLSliceWidget)]
        return slices + [w.threeDView() for w in self._of_class(qMRMLThreeDWidget)]

    layout = Property(
        int, lambda self: private(self).layout_node.GetViewArrangement(), lambda self, v: self.setLayout(v)
    )
    threeDViewCount = Property(int, lambda self: len(self._of_class(qMRMLThreeDWidget)))
    plotViewCount = Property(int, lambda self: len(self._of_class(qMRMLPlotWidget)))
    tableViewCount = Property(int, lambda self: len(self._of_class(qMRMLTableWidget)))


def _splitter(kind: str, items: list[Any], build: Any) -> QWidget:
    splitter = QSplitter(Qt.Vertical if kind == "vertical" else Qt.Horizontal)
    splitter.setHandleWidth(3)
    for index, item in enumerate(items):
        splitter.addWidget(build(item))
        splitter.setStretchFactor(index, 1)
    splitter.setSizes([int(item.GetAttribute("splitSize") or 500) for item in items])
    return splitter


def _grid(_kind: str, items: list[Any], build: Any) -> QWidget:
    widget = QWidget()
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(3)
    for item in items:
        row, column, rows, columns = (
            int(item.GetAttribute(a) or default)
            for a, default in (("row", 0), ("column", 0), ("rowspan", 1), ("colspan", 1))
        )
        grid.addWidget(build(item), row, column, rows, columns)
        grid.setRowStretch(row, 1)
        grid.setColumnStretch(column, 1)
    return widget


def _tabs(_kind: str, items: list[Any], build: Any) -> QWidget:
    tabs = QTabWidget()
    for item in items:
        tabs.addTab(build(item), item.GetAttribute("name") or "")
    return tabs
