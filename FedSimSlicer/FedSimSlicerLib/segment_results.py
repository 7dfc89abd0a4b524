"""What segmenting leaves in the scene: a segmentation beside its scan, which knows how it was made.

All is kept by the segmentation's node, as attribute and references, so that it is saved with the scene and found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from pydantic import ValidationError
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import cut_to_content
from FedSimCore.worker.protocol import SegmentResult
from FedSimSlicerLib.patient_labels import LabelSource
from FedSimSlicerLib.scene_models import surface_of
from FedSimSlicerLib.scene_segmentations import label_source_of, new_layer, put_layer, put_surfaces, source_of_segments
from FedSimSlicerLib.scene_volumes import new_image, put_image
from FedSimSlicerLib.segment_scans import MADE
from FedSimSlicerLib.subject_hierarchy import put_into_folder

REPORT = "FedSim.Segmentation"
"""Attribute of a segmentation: the worker's result as JSON."""
SCAN, UNCERTAINTY, REFERENCE = "FedSim.Scan", "FedSim.Uncertainty", "FedSim.Reference"
"""Roles of a segmentation's references."""

WHOLE_HEART = anatomy.Region(
    key="heart",
    name="Heart",
    label=1,
    priority=1,
    mmwhs=(),
    imagechd=(),
    code=anatomy.Code(scheme="SCT", value="80891009", meaning="Heart"),
    color=(206, 110, 84),
    tissue="blood_left",
)
"""The one segment of a segmenter that does not tell the regions apart."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A result ready for the scene, made in a thread.

    Attributes:
        result: what was found.
        labels: cut down to the heart; None where none was found.
        layer: these labels as vtkOrientedImageData.
        uncertainty: vtkImageData, percent, on the scan's grid; None if it was not asked for.
        grid: of the scan.
    """

    result: SegmentResult
    labels: Volume | None
    layer: Any
    uncertainty: Any
    grid: Grid


def prepare(result: SegmentResult, arrays: Mapping[str, Any], grid: Grid) -> Prepared:
    """Make what the scene needs; may be called in a thread."""
    labels = cut_to_content(Volume(arrays["labels"], grid))
    uncertainty = arrays.get("uncertainty")
    return Prepared(
        result,
        labels,
        None if labels is None else new_layer(labels.array, labels.grid),
        None if uncertainty is None else new_image(uncertainty),
        grid,
    )


def regions_of(result: SegmentResult) -> tuple[anatomy.Region, ...]:
    """Return the segments of a result."""
    return (WHOLE_HEART,) if is_whole(result) else anatomy.regions()


def is_whole(result: SegmentResult) -> bool:
    """Tell whether the regions are not told apart."""
    return [region.key for region in result.regions] == [WHOLE_HEART.key]


class SegmentedScan:
    """A segmentation of the scene that a segmenter has made.

    Attributes:
        node: vtkMRMLSegmentationNode.
        result: how it was when it was made.
    """

    def __init__(self, node: Any, result: SegmentResult) -> None:
        self.node, self.result = node, result

    @property
    def scan(self) -> Any:
        """The vtkMRMLScalarVolumeNode that was segmented; None if it has gone."""
        return self.node.GetNodeReference(SCAN)

    @property
    def uncertainty(self) -> Any:
        """Volume node of the uncertainty, percent; None if there is none."""
        return self.node.GetNodeReference(UNCERTAINTY)

    @property
    def reference(self) -> Any:
        """Segmentation or label map that it is compared with; None if none is chosen."""
        return self.node.GetNodeReference(REFERENCE)

    @reference.setter
    def reference(self, node: Any) -> None:
        self.node.SetNodeReferenceID(REFERENCE, None if node is None else node.GetID())

    @property
    def whole(self) -> bool:
        """Whether the regions are not told apart."""
        return is_whole(self.result)

    def source(self) -> LabelSource:
        """Return its voxels as they are now, to be read in a thread.

        Raises:
            InputError: they have gone, or lie where they cannot be placed.
        """
        if self.whole:
            return source_of_segments(self.node, {WHOLE_HEART.key: WHOLE_HEART})
        return label_source_of(self.node)


def put_result(prepared: Prepared, scan: Any) -> SegmentedScan | None:
    """Add a result to the scene, beside its scan; an older result of the scan stays, hidden.

    Args:
        prepared: what was found.
        scan: the scan's volume node.

    Returns:
        The new segmentation; None where no heart was found.
    """
    if prepared.layer is None:
        return None
    for older in results_of(scan):
        if older.node.GetDisplayNode() is not None:
            older.node.GetDisplayNode().SetVisibility(False)
    result, name = prepared.result, scan.GetName()
    unique = slicer.mrmlScene.GenerateUniqueName(_("{scan} heart").format(scan=name))
    node = put_layer(prepared.layer, unique, reference=scan, regions=regions_of(result))
    node.SetAttribute(REPORT, result.model_dump_json())
    node.SetNodeReferenceID(SCAN, scan.GetID())
    folder = _("FedSim segmentations")
    put_into_folder(node, folder, beside=scan)
    if prepared.uncertainty is not None:
        volume = put_image(prepared.uncertainty, prepared.grid, _("{scan} uncertainty").format(scan=name))
        volume.SetAttribute(MADE, "uncertainty")
        node.SetNodeReferenceID(UNCERTAINTY, volume.GetID())
        put_into_folder(volume, folder, beside=scan)
    return SegmentedScan(node, result)


def make_surfaces(labels: tuple[int, ...], arrays: Mapping[str, Any], result: SegmentResult) -> dict[str, Any]:
    """Return the worker's surfaces as vtkPolyData by segment; may be called in a thread."""
    keys = {region.label: region.key for region in regions_of(result)}
    return {
        keys[label]: surface_of(arrays[f"points_{label}"], arrays[f"faces_{label}"].astype(np.int64))
        for label in labels
    }


def show_surfaces(segmented: SegmentedScan, surfaces: Mapping[str, Any]) -> None:
    """Show a segmentation in the 3D views."""
    if slicer.mrmlScene.IsNodePresent(segmented.node):
        put_surfaces(segmented.node, surfaces)


def results() -> list[SegmentedScan]:
    """Return the scene's segmentations that a segmenter has made, the oldest first."""
    found = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        text = node.GetAttribute(REPORT)
        if text is None:
            continue
        try:
            found.append(SegmentedScan(node, SegmentResult.model_validate_json(text)))
        except ValidationError:  # of another version, or changed by hand: a segmentation like others
            continue
    return found


def results_of(scan: Any) -> list[SegmentedScan]:
    """Return a scan's segmentations, the oldest first."""
    return [each for each in results() if each.scan is scan]
