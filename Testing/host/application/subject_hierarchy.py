"""Items of the subject hierarchy for nodes that come and go, as Slicer's plugin logic (C++ over Qt) makes them."""

from __future__ import annotations

from typing import Any

# Classes whose nodes get an item. Left out: items for single segments, for sequences' proxies, for DICOM's hierarchy.
WITH_ITEMS = (
    "vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLSequenceNode", "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
)  # fmt: skip
NOT_WITH_ITEMS = ("vtkMRMLAbstractViewNode", "vtkMRMLHierarchyNode", "vtkMRMLCameraNode")


_FIRST = 10.0


def _has_item(node: Any) -> bool:
    return (
        not node.GetHideFromEditors()
        and any(node.IsA(c) for c in WITH_ITEMS)
        and not any(node.IsA(c) for c in NOT_WITH_ITEMS)
    )


def follow_scene(scene: Any) -> None:
    """Keep the hierarchy of a scene in step with its nodes."""
    import slicer
    import vtk

    def hierarchy() -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    def resolve(*_: Any) -> None:
        # Puts the items that a file brought into the scene's only hierarchy, before anything asks for them.
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)

    def added(_scene: Any, _event: Any, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            resolve()
        elif not scene.IsImporting() and _has_item(node):
            hierarchy().CreateItem(hierarchy().GetSceneItemID(), node)

    def removed(_scene: Any, _event: Any, node: Any) -> None:
        if not scene.IsClosing() and (item := hierarchy().GetItemByDataNode(node)):
            hierarchy().RemoveItem(item, False, False)

    def imported(*_: Any) -> None:
        resolve()
        for index in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(index)
            if _has_item(node) and not hierarchy().GetItemByDataNode(node):
                hierarchy().CreateItem(hierarchy().GetSceneItemID(), node)

    for callback in (added, removed):
        callback.CallDataType = vtk.VTK_OBJECT
    scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)
    scene.AddObserver(scene.EndCloseEvent, resolve)
    # As in qSlicerSubjectHierarchyPluginLogic: before the views and everybody else.
    scene.AddObserver(scene.EndImportEvent, imported, _FIRST)
