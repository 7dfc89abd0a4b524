"""Nodes of a heart whose place is taken when a scene with another heart is loaded into the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_display import HeartDisplay
    from FedSimSlicerLib.state import ModuleState


def following_nodes(display: HeartDisplay, state: ModuleState | None) -> list[Any]:
    """Return the nodes that follow the heart: its models, its labels, its quick CT."""
    if state is None:
        return []
    return [node for _part, node in display.nodes()] + [
        node for node in (state.live_labels, state.preview) if node is not None
    ]


def remove_replaced(nodes: list[Any], parameter_node: Any) -> None:
    """Remove the nodes that the parameter node no longer refers to, for nothing would move them any more.

    Args:
        nodes: what :func:`following_nodes` gave before the scene was loaded.
        parameter_node: the module's, after it.
    """
    kept: set[Any] = set()
    for number in range(parameter_node.GetNumberOfNodeReferenceRoles()):
        role = parameter_node.GetNthNodeReferenceRole(number)
        kept |= {
            parameter_node.GetNthNodeReference(role, n) for n in range(parameter_node.GetNumberOfNodeReferences(role))
        }
    for node in nodes:
        if node in kept or not slicer.mrmlScene.IsNodePresent(node):
            continue
        for display in [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]:
            if display is not None:
                slicer.mrmlScene.RemoveNode(display)
        slicer.mrmlScene.RemoveNode(node)
