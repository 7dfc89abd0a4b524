"""The subject hierarchy's widgets over the real vtkMRMLSubjectHierarchyNode."""

from __future__ import annotations

import weakref
from typing import Any

import vtk
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QTreeView, QWidget

from Testing.host.ctk.combo_boxes import ctkComboBox
from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored

ITEM_SIGNALS = {name: (f"{name}(vtkIdType)",) for name in ("currentItemChanged", "currentItemModified")}


def children_of(hierarchy: Any, item: int) -> list[int]:
    """IDs of the items right under another."""
    ids = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, ids, False)
    return [ids.GetId(i) for i in range(ids.GetNumberOfIds())]


class _Following:
    """Fills itself anew whenever the scene's hierarchy changes."""

    def setMRMLScene(self, scene: Any) -> None:
        import slicer

        state = private(self)
        for observed, tag in getattr(state, "observed", []):
            observed.RemoveObserver(tag)
        state.scene, state.observed = scene, []
        state.hierarchy = (
            slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene) if scene is not None else None
        )
        if scene is not None:
            me = weakref.ref(self)

            def follow(*_: Any) -> None:
                if widget := me():
                    widget._fill()

            node = state.hierarchy
            events = (
                node.SubjectHierarchyItemAddedEvent, node.SubjectHierarchyItemRemovedEvent,
                node.SubjectHierarchyItemModifiedEvent, node.SubjectHierarchyItemReparentedEvent,
            )  # fmt: skip
            state.observed = [(node, node.AddObserver(event, follow)) for event in events]
            state.observed.append((scene, scene.AddObserver(scene.EndCloseEvent, lambda *_: self._reset())))
        self._fill()

    def _reset(self) -> None:
        if self:
            self.setMRMLScene(private(self).scene)

    def _accepts(self, item: int) -> bool:
        node = private(self).hierarchy.GetItemDataNode(item)
        if node is None:
            return True
        types: list[str] = self.nodeTypes
        return not node.GetHideFromEditors() and (not types or any(node.IsA(t) for t in types))


@cxx_class("Modules/Loadable/SubjectHierarchy/Widgets/qMRMLSubjectHierarchyTreeView.h")
class qMRMLSubjectHierarchyTreeView(_Following, QTreeView):
    """The hierarchy as a tree with check boxes for visibility.

    Left out: drag and drop, context menus, plugins, columns for colour, transform and description, filters but node
    types.
    """

    currentItemChanged = Signal(int)
    currentItemModified = Signal(int)
    _vtk_signatures = ITEM_SIGNALS

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        model = QStandardItemModel(self)
        private(self, model=model, scene=None, hierarchy=None, root=0, filling=False, current=0)
        self.setModel(model)
        self.headerHidden = True
        model.itemChanged.connect(self._on_edited)
        self.selectionModel().currentChanged.connect(self._on_current)

    def _fill(self) -> None:
        state = private(self)
        if state.filling:
            return
        state.filling = True
        state.model.clear()
        if state.hierarchy is not None:
            self._add_children(state.model.invisibleRootItem(), state.root or state.hierarchy.GetSceneItemID())
        self.expandAll()
        state.filling = False

    def _add_children(self, parent: QStandardItem, item: int) -> None:
        hierarchy = private(self).hierarchy
        for child in children_of(hierarchy, item):
            if self._accepts(child):
                row = QStandardItem(hierarchy.GetItemName(child))
                row.setData(child, Qt.UserRole)
                row.setCheckable(True)
                row.setCheckState(Qt.Checked if hierarchy.GetItemDisplayVisibility(child) else Qt.Unchecked)
                parent.appendRow(row)
                self._add_children(row, child)

    def _on_edited(self, row: QStandardItem) -> None:
        state, item = private(self), row.data(Qt.UserRole)
        if state.filling:
            return
        state.filling = True  # the hierarchy's own events come back while it is changed
        state.hierarchy.SetItemDisplayVisibility(item, row.checkState() == Qt.Checked)
        if row.text() != state.hierarchy.GetItemName(item):
            state.hierarchy.SetItemName(item, row.text())
        state.filling = False
        self.currentItemModified.emit(item)

    def _on_current(self, index: Any) -> None:
        if not private(self).filling:
            private(self).current = int(index.data(Qt.UserRole) or 0)
            self.currentItemChanged.emit(private(self).current)

    def currentItem(self) -> int:
        return int(private(self).current)

    def setCurrentItem(self, item: int) -> None:
        model = private(self).model
        found = model.match(model.index(0, 0), Qt.UserRole, item, 1, Qt.MatchExactly | Qt.MatchRecursive)
        if found:
            self.setCurrentIndex(found[0])

    def currentNode(self) -> Any:
        state = private(self)
        return state.hierarchy.GetItemDataNode(state.current) if state.current else None

    def setRootItem(self, item: int) -> None:
        private(self).root = item
        self._fill()

    def mrmlScene(self) -> Any:
        return private(self).scene

    def subjectHierarchyNode(self) -> Any:
        return private(self).hierarchy

    nodeTypes = stored("QStringList", "nodeTypes", [], _fill)
    multiSelection = stored(bool, "multiSelection", False)
    contextMenuEnabled = stored(bool, "contextMenuEnabled", True)
    editMenuActionVisible = stored(bool, "editMenuActionVisible", True)
    idColumnVisible = stored(bool, "idColumnVisible", False)
    transformColumnVisible = stored(bool, "transformColumnVisible", False)
    descriptionColumnVisible = stored(bool, "descriptionColumnVisible", False)
    colorColumnVisible = stored(bool, "colorColumnVisible", False)
    visibilityColumnVisible = stored(bool, "visibilityColumnVisible", True)


@cxx_class("Modules/Loadable/SubjectHierarchy/Widgets/qMRMLSubjectHierarchyComboBox.h")
class qMRMLSubjectHierarchyComboBox(_Following, ctkComboBox):
    """The hierarchy's items as an indented list. Left out: the tree in the popup, filters but node types."""

    currentItemChanged = Signal(int)
    _vtk_signatures = ITEM_SIGNALS

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        private(self, scene=None, hierarchy=None)
        self.connect("currentIndexChanged(int)", lambda: self.currentItemChanged.emit(self.currentItem()))

    def _fill(self) -> None:
        state, current = private(self), self.currentItem()
        blocked = self.blockSignals(True)
        self.clear()
        if self.noneEnabled:
            self.addItem(self.noneDisplay, 0)
        if state.hierarchy is not None:
            self._add_children(state.hierarchy.GetSceneItemID(), 0)
        self.setCurrentIndex(self.findData(current) if current else 0 if self.noneEnabled else -1)
        self.blockSignals(blocked)
        if self.currentItem() != current:
            self.currentItemChanged.emit(self.currentItem())

    def _add_children(self, item: int, depth: int) -> None:
        for child in children_of(private(self).hierarchy, item):
            if self._accepts(child):
                self.addItem("    " * depth + private(self).hierarchy.GetItemName(child), child)
                self._add_children(child, depth + 1)

    def currentItem(self) -> int:
        return int(self.currentData or 0)

    def setCurrentItem(self, item: int) -> None:
        self.setCurrentIndex(self.findData(item))

    def setNodeTypes(self, types: Any) -> None:
        self.nodeTypes = list(types)

    def mrmlScene(self) -> Any:
        return private(self).scene

    nodeTypes = stored("QStringList", "nodeTypes", [], _fill)
    noneEnabled = stored(bool, "noneEnabled", False, _fill)
    noneDisplay = stored(str, "noneDisplay", "None", _fill)
