"""What a full simulation leaves in the scene: volumes, one segmentation that fits them, and how each was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimCore.shape.parameters import HeartParameters
from FedSimSlicerLib.scene_segmentations import put_layer
from FedSimSlicerLib.scene_volumes import put_image
from FedSimSlicerLib.slice_layers import HEART_WINDOW, SIMULATION
from FedSimSlicerLib.subject_hierarchy import put_into_folder

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid

SCANNER = "FedSim.Scanner"
"""Attribute of a simulated volume: short name of its scanner."""
HEART = "FedSim.Heart"
"""Attribute of a simulated volume: the heart's parameters as JSON."""
LABELS = "FedSim.Labels"
"""Role of a simulated volume's reference to its segmentation."""
PROVENANCE = "FedSim.Provenance"
"""Role of a simulated volume's reference to the text that tells how it was made."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One scanner's volume, ready for the scene.

    Attributes:
        scanner: short name.
        image: vtkImageData, HU.
        recipe: what `fedsim simulate --from` repeats it from, a JSON object.
    """

    scanner: str
    image: Any
    recipe: Mapping[str, Any]


class SimulationOutput:
    """The nodes of one simulation, in a folder of their own; the volumes may come one after the other.

    Attributes:
        number: of the simulation in the scene.
        volumes: vtkMRMLScalarVolumeNodes, so far.
        segmentation: vtkMRMLSegmentationNode that fits them.

    Args:
        heart: that was scanned.
        grid: of volumes and labels, RAS mm.
        layer: the labels on that grid, made by ``scene_segmentations.new_layer``.
        replaced: volumes of an earlier simulation, whose nodes are used again, with their segmentation and texts.
    """

    def __init__(self, heart: HeartParameters, grid: Grid, layer: Any, replaced: Sequence[Any] = ()) -> None:
        self._heart, self._grid = heart, grid
        self._replaced = list(replaced)
        self.number = int(replaced[0].GetAttribute(SIMULATION)) if replaced else next_number()
        self.volumes: list[Any] = []
        name = _("Heart {number} labels").format(number=self.number)
        self.segmentation = put_layer(layer, name, labels_of(replaced[0]) if replaced else None)
        # The labels that follow the heart are in the views already; these are for other modules and for export.
        self.segmentation.GetDisplayNode().SetVisibility(False)
        put_into_folder(self.segmentation, self._folder)

    @property
    def text(self) -> Any:
        """The vtkMRMLTextNode that tells how the first volume was made."""
        return self.volumes[0].GetNodeReference(PROVENANCE)

    def add(self, scan: Scan) -> Any:
        """Put a volume into the scene and return its node."""
        name = _("Heart {number} CT, {scanner}").format(number=self.number, scanner=scan.scanner)
        old = self._replaced.pop(0) if self._replaced else None
        volume = put_image(scan.image, self._grid, name, old, HEART_WINDOW)
        volume.SetName(name)
        volume.SetAttribute(SIMULATION, str(self.number))
        volume.SetAttribute(SCANNER, scan.scanner)
        volume.SetAttribute(HEART, self._heart.model_dump_json())
        volume.SetNodeReferenceID(LABELS, self.segmentation.GetID())
        if not self.volumes:
            self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        self.volumes.append(volume)
        put_into_folder(volume, self._folder)
        put_into_folder(_put_text(volume, scan.recipe), self._folder)
        return volume

    def finish(self) -> None:
        """Remove the volumes of the earlier simulation that nothing came in the place of: the labels are not theirs."""
        for volume in self._replaced:
            text = volume.GetNodeReference(PROVENANCE)
            if text is not None:
                slicer.mrmlScene.RemoveNode(text)
            slicer.mrmlScene.RemoveNode(volume)
        self._replaced = []

    @property
    def _folder(self) -> str:
        return _("Heart {number}").format(number=self.number)


def next_number() -> int:
    """Return a number that no simulation of the scene has."""
    return 1 + max((number for number, _volumes in simulations().items()), default=0)


def simulations() -> Mapping[int, list[Any]]:
    """Return the scene's simulated volumes by the number of their simulation."""
    found: dict[int, list[Any]] = {}
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if (number := node.GetAttribute(SIMULATION)) is not None:
            found.setdefault(int(number), []).append(node)
    return found


def labels_of(volume: Any) -> Any:
    """Return a simulated volume's segmentation node; None if it has none."""
    return None if volume is None else volume.GetNodeReference(LABELS)


def heart_of(volume: Any) -> HeartParameters | None:
    """Return the heart in a simulated volume; None if it is none of ours."""
    text = None if volume is None else volume.GetAttribute(HEART)
    return None if text is None else HeartParameters.model_validate_json(text)


def _put_text(volume: Any, recipe: Mapping[str, Any]) -> Any:
    text = volume.GetNodeReference(PROVENANCE)
    if text is None:
        text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        volume.SetNodeReferenceID(PROVENANCE, text.GetID())
    text.SetName(_("{volume}: how it was made").format(volume=volume.GetName()))
    text.SetText(json.dumps(recipe, indent=1))
    return text
