"""Tables of the scene."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QApplication, QFrame, QTableView, QVBoxLayout, QWidget

from Testing.host.pythonqt import cxx_class, private


@cxx_class("Libs/MRML/Widgets/qMRMLTableView.h")
class qMRMLTableView(QTableView):
    """A vtkMRMLTableNode's cells, to edit and to copy. Left out: insertion, locked rows, transposition, pasting."""

    mrmlSceneChanged = Signal(object)
    _vtk_signatures = {"mrmlSceneChanged": ("mrmlSceneChanged(vtkMRMLScene*)",)}  # noqa: RUF012

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        model = QStandardItemModel(self)
        private(self, model=model, node=None, tag=None, scene=None, filling=False)
        self.setModel(model)
        model.itemChanged.connect(self._on_edited)

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not private(self).scene:
            private(self).scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return private(self).scene

    def setMRMLTableNode(self, node: Any) -> None:
        state = private(self)
        if state.node is not None:
            state.node.RemoveObserver(state.tag)
        state.node = node
        if node is not None:
            state.tag = node.AddObserver("ModifiedEvent", lambda *_: self._fill())
        self._fill()

    def mrmlTableNode(self) -> Any:
        return private(self).node

    def tableModel(self) -> QStandardItemModel:
        return private(self).model

    def _fill(self) -> None:
        state = private(self)
        state.filling = True
        state.model.clear()
        table = state.node.GetTable() if state.node is not None else None
        for column in range(table.GetNumberOfColumns() if table is not None else 0):
            rows = range(table.GetNumberOfRows())
            state.model.appendColumn([QStandardItem(state.node.GetCellText(r, column)) for r in rows])
            state.model.setHorizontalHeaderItem(column, QStandardItem(table.GetColumnName(column)))
        state.filling = False

    def _on_edited(self, item: QStandardItem) -> None:
        state = private(self)
        if not state.filling:
            state.node.SetCellText(item.row(), item.column(), item.text())

    def copySelection(self) -> None:
        """Put the selected cells on the clipboard, with tabs between columns."""
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectionModel().selectedIndexes(), key=lambda i: (i.row(), i.column())):
            rows.setdefault(index.row(), []).append(str(index.data()))
        QApplication.clipboard().setText("\n".join("\t".join(r) for r in rows.values()))


@cxx_class("Libs/MRML/Widgets/qMRMLTableWidget.h")
class qMRMLTableWidget(QFrame):
    """A table view of the layout."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        private(self, view=qMRMLTableView(), node=None)
        layout.addWidget(private(self).view)

    def setMRMLTableViewNode(self, node: Any) -> None:
        private(self).node = node
        node.AddObserver("ModifiedEvent", lambda *_: self._show())
        self._show()

    def _show(self) -> None:
        table = private(self).node.GetTableNode()
        if table is not private(self).view.mrmlTableNode():
            private(self).view.setMRMLTableNode(table)

    def mrmlTableViewNode(self) -> Any:
        return private(self).node

    def tableView(self) -> qMRMLTableView:
        return private(self).view
