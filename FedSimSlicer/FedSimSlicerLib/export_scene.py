"""An export into the scene: nodes in a folder beside the patient's scan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimCore.shape.parameters import parameters_content
from FedSimCore.volumes.crop import cut_to_content
from FedSimSlicerLib.export_files import ExportChoice, ExportContent
from FedSimSlicerLib.scene_models import put_models
from FedSimSlicerLib.scene_segmentations import new_layer, put_layer
from FedSimSlicerLib.scene_volumes import new_image, put_label_image
from FedSimSlicerLib.subject_hierarchy import put_into_folder


@dataclass(frozen=True, eq=False)
class SceneImages:
    """VTK's images of a label map, made in a thread.

    Attributes:
        layer: of the segmentation, cut down to the heart; None if none is wanted.
        label_map: the whole grid; None if none is wanted.
    """

    layer: Any = None
    label_map: Any = None


def make_images(content: ExportContent, choice: ExportChoice) -> SceneImages:
    """Make what takes longer than a moment; may be called in a thread."""
    if content.labels is None:
        return SceneImages()
    part = cut_to_content(content.labels) or content.labels
    return SceneImages(
        new_layer(part.array, part.grid) if choice.segmentation else None,
        new_image(content.labels.array) if choice.label_map else None,
    )


def scene_steps(
    content: ExportContent, choice: ExportChoice, images: SceneImages, reference: Any
) -> Iterator[tuple[str, list[Any]]]:
    """Add nodes to the scene, a few at each step, so that the application stays awake between them.

    They are hidden: the heart that is edited is at the same place.

    Args:
        content: what is exported.
        choice: what is wanted of it.
        images: of :func:`make_images`.
        reference: the patient's scan, beside which the nodes go; None for the top of the tree.

    Yields:
        The folder's name, and the nodes of the step.
    """
    name = _free_name(choice.name.strip())

    def done(nodes: list[Any]) -> tuple[str, list[Any]]:
        for node in nodes:
            put_into_folder(node, name, beside=reference)
        return name, nodes

    if images.layer is not None:
        segmentation = put_layer(images.layer, _("{name} segmentation").format(name=name), reference=reference)
        segmentation.GetDisplayNode().SetVisibility(False)
        yield done([segmentation])
    if images.label_map is not None:
        assert content.labels is not None
        yield done([put_label_image(images.label_map, content.labels.grid, _("{name} labels").format(name=name))])
    if choice.models:
        for region in anatomy.regions():
            models = put_models(content.mesh, name, labels=(region.label,))
            for model in models:
                model.GetDisplayNode().SetVisibility(False)
            yield done(models)
    if choice.parameters:
        yield done([_put_parameters(content, name)])


def _put_parameters(content: ExportContent, name: str) -> Any:
    text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", _("{name} parameters").format(name=name))
    told = parameters_content(content.heart, content.model_sha256, content.provenance)
    text.SetText(json.dumps(told, indent=2, ensure_ascii=False))
    return text


def _free_name(name: str) -> str:
    """Return the name, with a number if something in the tree is called so."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    number, free = 1, name
    while hierarchy.GetItemByName(free):
        number += 1
        free = f"{name} {number}"
    return free
