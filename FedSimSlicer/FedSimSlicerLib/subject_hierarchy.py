"""Places in Slicer's tree of data."""

from __future__ import annotations

from typing import Any

import slicer


def put_into_folder(node: Any, folder: str, beside: Any = None) -> None:
    """Put a node into a folder, made where it is missing: beside another node's item, or at the top."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetSceneItemID()
    if beside is not None and (item := hierarchy.GetItemByDataNode(beside)):
        parent = hierarchy.GetItemParent(item)
    found = hierarchy.GetItemChildWithName(parent, folder)
    if not found:
        found = hierarchy.CreateFolderItem(parent, folder)
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        item = hierarchy.CreateItem(found, node)
    hierarchy.SetItemParent(item, found)
