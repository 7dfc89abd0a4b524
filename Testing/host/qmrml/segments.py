"""Segmentations: a table of segments and a choice of one."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtCore import Property, QItemSelection, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from Testing.host.pythonqt import cxx_class, private
from Testing.host.qmrml.base import qMRMLWidget
from Testing.host.qmrml.node_combo_box import qMRMLNodeComboBox
from Testing.host.stored import forwarded, stored

VISIBLE, COLOR, OPACITY, NAME = range(4)


def segment_ids(node: Any) -> list[str]:
    """IDs of a segmentation's segments, in order."""
    if node is None:
        return []
    ids = vtk.vtkStringArray()
    node.GetSegmentation().GetSegmentIDs(ids)
    return [ids.GetValue(i) for i in range(ids.GetNumberOfValues())]


@cxx_class("Modules/Loadable/Segmentations/Widgets/qMRMLSegmentsTableView.h")
class qMRMLSegmentsTableView(qMRMLWidget):
    """Segments with visibility, colour, opacity and name. Left out: status, layers, filters, choice of terminology."""

    selectionChanged = Signal(QItemSelection, QItemSelection)
    segmentAboutToBeModified = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        table = QTableWidget(0, 4)
        table.setHorizontalHeaderLabels(["", "", "Opacity", "Name"])
        table.verticalHeader().hide()
        table.setSelectionBehavior(QAbstractItemView.SelectRows)
        table.horizontalHeader().setSectionResizeMode(NAME, QHeaderView.Stretch)
        for column, width in ((VISIBLE, 28), (COLOR, 28), (OPACITY, 64)):
            table.setColumnWidth(column, width)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(table)
        private(self, table=table, node=None, observed=[], filling=False)
        table.itemChanged.connect(self._on_edited)
        table.selectionModel().selectionChanged.connect(lambda new, old: self.selectionChanged.emit(new, old))

    def setSegmentationNode(self, node: Any) -> None:
        state = private(self)
        for observed, tag in state.observed:
            observed.RemoveObserver(tag)
        state.node, state.observed = node, []
        if node is not None:
            node.CreateDefaultDisplayNodes()
            sources = (node, node.GetSegmentation(), node.GetDisplayNode())
            events = ("ModifiedEvent", node.GetSegmentation().SegmentModified, "ModifiedEvent")
            follow = [(s, s.AddObserver(e, lambda *_: self._fill())) for s, e in zip(sources, events, strict=True)]
            segmentation = node.GetSegmentation()
            follow.extend(
                (segmentation, segmentation.AddObserver(event, lambda *_: self._fill()))
                for event in (segmentation.SegmentAdded, segmentation.SegmentRemoved)
            )
            state.observed = follow
        self._fill()

    def segmentationNode(self) -> Any:
        return private(self).node

    def _fill(self) -> None:
        state = private(self)
        if state.filling:
            return
        state.filling = True
        ids = segment_ids(state.node)
        state.table.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            for column, item in enumerate(self._items(segment_id)):
                state.table.setItem(row, column, item)
        state.filling = False

    def _items(self, segment_id: str) -> list[QTableWidgetItem]:
        segment, display = (
            private(self).node.GetSegmentation().GetSegment(segment_id),
            private(self).node.GetDisplayNode(),
        )
        visible, color, opacity, name = (QTableWidgetItem() for _ in range(4))
        visible.setCheckState(Qt.Checked if display.GetSegmentVisibility(segment_id) else Qt.Unchecked)
        swatch = QPixmap(16, 16)
        swatch.fill(QColor.fromRgbF(*segment.GetColor()))
        color.setIcon(QIcon(swatch))
        color.setFlags(Qt.ItemIsEnabled | Qt.ItemIsSelectable)
        opacity.setText(f"{display.GetSegmentOpacity3D(segment_id):.2f}")
        name.setText(segment.GetName())
        name.setData(Qt.UserRole, segment_id)
        return [visible, color, opacity, name]

    def _on_edited(self, item: QTableWidgetItem) -> None:
        state = private(self)
        if state.filling:
            return
        segment_id = self.segmentIDForRow(item.row())
        display, segment = state.node.GetDisplayNode(), state.node.GetSegmentation().GetSegment(segment_id)
        self.segmentAboutToBeModified.emit(segment_id)
        if item.column() == VISIBLE:
            display.SetSegmentVisibility(segment_id, item.checkState() == Qt.Checked)
        elif item.column() == OPACITY:
            try:
                display.SetSegmentOpacity(segment_id, min(max(float(item.text()), 0.0), 1.0))
            except ValueError:
                self._fill()
        elif item.column() == NAME:
            segment.SetName(item.text())

    def segmentIDForRow(self, row: int) -> str:
        return str(private(self).table.item(row, NAME).data(Qt.UserRole))

    def rowForSegmentID(self, segment_id: str) -> int:
        ids = segment_ids(private(self).node)
        return ids.index(segment_id) if segment_id in ids else -1

    def selectedSegmentIDs(self) -> tuple[str, ...]:
        return tuple(self.segmentIDForRow(i.row()) for i in private(self).table.selectionModel().selectedRows())

    def setSelectedSegmentIDs(self, ids: Any) -> None:
        table = private(self).table
        table.clearSelection()
        for row in (self.rowForSegmentID(i) for i in ids):
            table.selectRow(row)

    def clearSelection(self) -> None:
        private(self).table.clearSelection()

    def tableWidget(self) -> QTableWidget:
        return private(self).table

    def _column(index: int) -> Property:  # noqa: N805 -- used while the class is made
        return Property(
            bool,
            lambda self: not private(self).table.isColumnHidden(index),
            lambda self, v: private(self).table.setColumnHidden(index, not v),
        )

    visibilityColumnVisible = _column(VISIBLE)
    colorColumnVisible = _column(COLOR)
    opacityColumnVisible = _column(OPACITY)
    headerVisible = stored(
        bool, "headerVisible", True, lambda self: private(self).table.horizontalHeader().setVisible(self.headerVisible)
    )
    selectionMode = forwarded(int, "table", "selectionMode")
    segmentCount = Property(int, lambda self: len(segment_ids(private(self).node)))
    statusColumnVisible = stored(bool, "statusColumnVisible", False)
    readOnly = stored(bool, "readOnly", False)
    filterBarVisible = stored(bool, "filterBarVisible", False)


@cxx_class("Libs/MRML/Widgets/qMRMLSegmentSelectorWidget.h")
class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation and one of its segments. Left out: several segments at once, the horizontal layout."""

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)
    _vtk_signatures = {"currentNodeChanged": ("currentNodeChanged(vtkMRMLNode*)",)}  # noqa: RUF012
    _adapted_signals = {  # noqa: RUF012
        "currentNodeChanged(bool)": ("currentNodeChanged", lambda _widget, node: (node is not None,))
    }

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        nodes, segments = qMRMLNodeComboBox(), QComboBox()
        nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        nodes.addEnabled, nodes.removeEnabled, nodes.noneEnabled = False, False, True
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(nodes)
        layout.addWidget(segments)
        private(self, nodes=nodes, segments=segments, node=None, observed=[])
        nodes.connect("currentNodeChanged(vtkMRMLNode*)", self._on_node)
        segments.connect("currentIndexChanged(int)", lambda: self.currentSegmentChanged.emit(self.currentSegmentID()))
        self.connect("mrmlSceneChanged(vtkMRMLScene*)", nodes.setMRMLScene)

    def _on_node(self, node: Any) -> None:
        state = private(self)
        for observed, tag in state.observed:
            observed.RemoveObserver(tag)
        segmentation = node.GetSegmentation() if node is not None else None
        state.observed = [
            (segmentation, segmentation.AddObserver(event, lambda *_: self._fill()))
            for event in ((segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified)
                          if segmentation is not None else ())
        ]  # fmt: skip
        self._fill()
        self.currentNodeChanged.emit(node)

    def _fill(self) -> None:
        box, current, node = private(self).segments, self.currentSegmentID(), self.currentNode()
        blocked = box.blockSignals(True)
        box.clear()
        if self.noneEnabled:
            box.addItem("None", "")
        for segment_id in segment_ids(node):
            box.addItem(node.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        box.setCurrentIndex(max(0, box.findData(current)) if box.count else -1)
        box.blockSignals(blocked)
        if self.currentSegmentID() != current:
            self.currentSegmentChanged.emit(self.currentSegmentID())

    def currentNode(self) -> Any:
        return private(self).nodes.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        private(self).nodes.setCurrentNode(node)

    def currentNodeID(self) -> str:
        return str(private(self).nodes.currentNodeID)

    def setCurrentNodeID(self, node_id: str) -> None:
        private(self).nodes.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        return str(private(self).segments.currentData or "")

    def setCurrentSegmentID(self, segment_id: str) -> None:
        private(self).segments.setCurrentIndex(private(self).segments.findData(segment_id))

    def segmentIDs(self) -> tuple[str, ...]:
        return tuple(segment_ids(self.currentNode()))

    noneEnabled = stored(bool, "noneEnabled", False, lambda self: self._fill())
    editEnabled = stored(bool, "editEnabled", False)
    segmentationNodeSelectorVisible = stored(
        bool,
        "segmentationNodeSelectorVisible",
        True,
        lambda self: private(self).nodes.setVisible(self.segmentationNodeSelectorVisible),
    )
