"""`qMRMLNodeComboBox`."""

from __future__ import annotations

import weakref
from typing import Any

import vtk
from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import forwarded, stored

NODE = "vtkMRMLNode*"
CREATE, RENAME, DELETE = "create", "rename", "delete"


def _changed(self: Any) -> None:
    self._refresh()


@cxx_class("Libs/MRML/Widgets/qMRMLNodeComboBox.h")
class qMRMLNodeComboBox(QWidget):
    """A combo box over the nodes of the scene, of some classes and with some attributes.

    Left out: the item model behind it, editing in the node's module, menu actions of one's own.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    _vtk_signatures = {  # noqa: RUF012
        name: (f"{name}({NODE})",)
        for name in (
            "currentNodeChanged nodeActivated nodeAdded nodeAddedByUser nodeAboutToBeRemoved nodeAboutToBeEdited"
        ).split()
    }
    _adapted_signals = {  # noqa: RUF012
        "currentNodeChanged(bool)": ("currentNodeChanged", lambda _box, node: (node is not None,))
    }

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        box = QComboBox()
        private(self, box=box, scene=None, observed=[], ids=[], current="", types=[], attributes={}, labels={})
        private(self, rename_tag=None, row=0, requested="")
        box.setMinimumContentsLength(6)
        box.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(box)
        box.connect("activated(int)", self._on_activated)

    # The scene

    def setMRMLScene(self, scene: Any) -> None:
        state = private(self)
        for tag in state.observed:
            state.scene.RemoveObserver(tag)
        state.scene, state.observed = scene, []
        if scene is not None:
            me = weakref.ref(self)
            events = (
                scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent,
                scene.EndImportEvent,
            )  # fmt: skip

            def follow(*_: Any) -> None:
                # Gone, or its C++ half deleted: a deleted widget is falsy.
                if (box := me()) and not scene.IsBatchProcessing():
                    box._refresh()

            def added(_scene: Any, _event: Any, node: Any) -> None:
                if (box := me()) and not scene.IsBatchProcessing() and box._accepts(node):
                    box.nodeAdded.emit(node)

            added.CallDataType = vtk.VTK_OBJECT
            state.observed = [scene.AddObserver(event, follow) for event in events]
            state.observed.append(scene.AddObserver(scene.NodeAddedEvent, added))
        self._refresh()

    def mrmlScene(self) -> Any:
        return private(self).scene

    def _accepts(self, node: Any) -> bool:
        state = private(self)
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if state.types:
            matches = node.IsA if self.showChildNodeTypes else node.GetClassName().__eq__
            if not any(matches(t) for t in state.types) or node.GetClassName() in self.hideChildNodeTypes:
                return False
        return all(
            node.GetAttribute(name) is not None and (value is None or node.GetAttribute(name) == str(value))
            for kind, wanted in state.attributes.items()
            if node.IsA(kind)
            for name, value in wanted.items()
        )

    def _refresh(self) -> None:
        """List the nodes anew; the current node stays if it is still there."""
        state = private(self)
        scene = state.scene
        nodes = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())] if scene is not None else []
        nodes = [n for n in nodes if self._accepts(n)]
        state.ids = ([""] if self.noneEnabled else []) + [n.GetID() for n in nodes]
        box = state.box
        blocked = box.blockSignals(True)
        box.clear()
        if self.noneEnabled:
            box.addItem(self.noneDisplay)
        for node in nodes:
            box.addItem(node.GetName())
        if scene is not None:
            self._add_actions(box, bool(nodes))
        box.blockSignals(blocked)
        self._select(self._still_or_next([n.GetID() for n in nodes]))

    def _still_or_next(self, ids: list[str]) -> str:
        """The current node, or if it has gone the one that took its row; nothing is chosen if nothing was."""
        state = private(self)
        if state.scene is None or not ids:
            return ""
        if state.requested in ids:  # asked for before there was a scene
            wanted, state.requested = state.requested, ""
            return str(wanted)
        if not state.current or state.current in ids:
            return str(state.current)
        return ids[min(state.row, len(ids) - 1)]

    def _add_actions(self, box: QComboBox, any_nodes: bool) -> None:
        state = private(self)
        if (self.addEnabled or (any_nodes and (self.renameEnabled or self.removeEnabled))) and box.count:
            box.insertSeparator(box.count)
        if self.addEnabled:
            for kind in state.types:
                box.addItem(f"Create new {self.nodeTypeLabel(kind)}", (CREATE, kind))
        if any_nodes and self.renameEnabled:
            box.addItem("Rename current node", (RENAME, ""))
        if any_nodes and self.removeEnabled:
            box.addItem("Delete current node", (DELETE, ""))

    def _select(self, node_id: str) -> None:
        state = private(self)
        blocked = state.box.blockSignals(True)
        state.box.setCurrentIndex(state.ids.index(node_id) if node_id in state.ids else -1)
        state.box.blockSignals(blocked)
        state.row = [i for i in state.ids if i].index(node_id) if node_id else 0
        if node_id == state.current:
            return
        state.current = node_id
        self._follow_name()
        self.currentNodeChanged.emit(self.currentNode())
        self.currentNodeIDChanged.emit(node_id)

    def _follow_name(self) -> None:
        """Show a new name of the current node."""
        state = private(self)
        if state.rename_tag:
            state.rename_tag[0].RemoveObserver(state.rename_tag[1])
        state.rename_tag = None
        if node := self.currentNode():
            me = weakref.ref(self)

            def renamed(node: Any, _event: Any) -> None:
                box = me()
                if box and node.GetID() in private(box).ids:
                    index = private(box).ids.index(node.GetID())
                    if private(box).box.itemText(index) != node.GetName():
                        private(box).box.setItemText(index, node.GetName())
                        box.currentNodeRenamed.emit(node.GetName())

            state.rename_tag = (node, node.AddObserver("ModifiedEvent", renamed))

    def _on_activated(self, index: int) -> None:
        action = private(self).box.itemData(index)
        if action is None:
            self._select(private(self).ids[index])
            self.nodeActivated.emit(self.currentNode())
            return
        self._select(private(self).current)
        kind, node_type = action
        if kind == CREATE:
            self.nodeAddedByUser.emit(self.addNode(node_type))
        elif kind == RENAME:
            self.renameCurrentNode()
        else:
            self.removeCurrentNode()

    # Slicer's API

    def currentNode(self) -> Any:
        state = private(self)
        return state.scene.GetNodeByID(state.current) if state.scene is not None and state.current else None

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node, given itself or by its ID."""
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        if private(self).scene is None:
            private(self).requested = node_id
        self._select(node_id if node_id in private(self).ids else "")

    def setCurrentNodeIndex(self, index: int) -> None:
        nodes = [i for i in private(self).ids if i]
        self._select(nodes[index])

    def nodeCount(self) -> int:
        return sum(bool(i) for i in private(self).ids)

    def nodeFromIndex(self, index: int) -> Any:
        return private(self).scene.GetNodeByID([i for i in private(self).ids if i][index])

    def addNode(self, node_type: str | None = None) -> Any:
        """Add a node to the scene, choose it, and give it."""
        state, node_type = private(self), node_type or private(self).types[0]
        node = state.scene.CreateNodeByClass(node_type)
        node.UnRegister(None)
        node.SetName(state.scene.GenerateUniqueName(self.baseName or node.GetNodeTagName()))
        for name, value in state.attributes.get(node_type, {}).items():
            node.SetAttribute(name, str(value or ""))
        state.scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self) -> None:
        if node := self.currentNode():
            self.nodeAboutToBeRemoved.emit(node)
            private(self).scene.RemoveNode(node)

    def renameCurrentNode(self) -> None:
        if node := self.currentNode():
            name, accepted = QInputDialog.getText(self, "Rename", "New name:", text=node.GetName())
            if accepted and name:
                node.SetName(name)

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        private(self).attributes.setdefault(node_type, {})[name] = value
        self._refresh()

    def removeAttribute(self, node_type: str, name: str) -> None:
        private(self).attributes.get(node_type, {}).pop(name, None)
        self._refresh()

    def nodeTypeLabel(self, node_type: str) -> str:
        import slicer

        known = private(self).labels.get(node_type)
        return known or getattr(slicer, node_type)().GetTypeDisplayName()

    def setNodeTypeLabel(self, label: str, node_type: str) -> None:
        private(self).labels[node_type] = label
        self._refresh()

    def _set_types(self, types: list[str]) -> None:
        private(self).types = list(types)
        self._refresh()

    currentNodeID = Property(str, lambda self: private(self).current, lambda self, i: self.setCurrentNodeID(i))
    currentNodeId = Property(str, lambda self: private(self).current, lambda self, i: self.setCurrentNodeID(i))
    nodeTypes = Property("QStringList", lambda self: list(private(self).types), _set_types)
    showHidden = stored(bool, "showHidden", False, _changed)
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, _changed)
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], _changed)
    baseName = stored(str, "baseName", "")
    noneEnabled = stored(bool, "noneEnabled", False, _changed)
    noneDisplay = stored(str, "noneDisplay", "None", _changed)
    addEnabled = stored(bool, "addEnabled", True, _changed)
    removeEnabled = stored(bool, "removeEnabled", True, _changed)
    editEnabled = stored(bool, "editEnabled", False)
    renameEnabled = stored(bool, "renameEnabled", False, _changed)
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "")
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    sizeAdjustPolicy = forwarded(int, "box", "sizeAdjustPolicy")
