"""What a full simulation leaves in the scene: volumes, one segmentation that fits them, and how each was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimCore.shape.parameters import HeartParameters
from FedSimSlicerLib.scene_segmentations import put_segmentation
from FedSimSlicerLib.scene_volumes import put_image
from FedSimSlicerLib.slice_layers import HEART_WINDOW, SIMULATION
from FedSimSlicerLib.subject_hierarchy import put_into_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        provenance: JSON that repeats it.
    """

    scanner: str
    image: Any
    provenance: str


@dataclass(frozen=True, eq=False)
class Simulated:
    """All that one simulation gave, ready for the scene.

    Attributes:
        heart: that was scanned.
        grid: of volumes and labels, RAS mm.
        labels: uint8 (i, j, k), FedSim's labels.
        scans: one for each scanner.
    """

    heart: HeartParameters
    grid: Grid
    labels: NDArray[Any]
    scans: tuple[Scan, ...]


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of one simulation.

    Attributes:
        volumes: one vtkMRMLScalarVolumeNode for each scanner.
        segmentation: vtkMRMLSegmentationNode.
        texts: vtkMRMLTextNodes with the provenance of the volumes.
    """

    volumes: tuple[Any, ...]
    segmentation: Any
    texts: tuple[Any, ...]


def put_simulation(simulated: Simulated, replaced: Sequence[Any] = ()) -> Nodes:
    """Put a simulation into the scene, in a folder of its own.

    Args:
        simulated: what it gave.
        replaced: volumes of an earlier simulation whose nodes are used again, with their segmentation and texts; those
            that are too many are removed.

    Returns:
        The nodes.
    """
    number = int(replaced[0].GetAttribute(SIMULATION)) if replaced else next_number()
    for extra in replaced[len(simulated.scans) :]:
        _remove(extra)
    old = [*replaced[: len(simulated.scans)], *[None] * (len(simulated.scans) - len(replaced))]
    pairs = zip(simulated.scans, old, strict=True)
    volumes = [_put_scan(simulated, scan, number, node) for scan, node in pairs]
    segmentation = put_segmentation(
        simulated.labels,
        simulated.grid,
        _("Heart {number} labels").format(number=number),
        labels_of(old[0]),
        volumes[0],
    )
    # The labels that follow the heart are in the views already; these are for other modules and for export.
    segmentation.GetDisplayNode().SetVisibility(False)
    folder = _("Heart {number}").format(number=number)
    texts = []
    for volume, scan in zip(volumes, simulated.scans, strict=True):
        volume.SetNodeReferenceID(LABELS, segmentation.GetID())
        texts.append(_put_text(volume, scan.provenance))
        put_into_folder(volume, folder)
        put_into_folder(texts[-1], folder)
    put_into_folder(segmentation, folder)
    return Nodes(tuple(volumes), segmentation, tuple(texts))


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


def _put_scan(simulated: Simulated, scan: Scan, number: int, node: Any) -> Any:
    name = _("Heart {number} CT, {scanner}").format(number=number, scanner=scan.scanner)
    volume = put_image(scan.image, simulated.grid, name, node, HEART_WINDOW)
    volume.SetName(name)
    volume.SetAttribute(SIMULATION, str(number))
    volume.SetAttribute(SCANNER, scan.scanner)
    volume.SetAttribute(HEART, simulated.heart.model_dump_json())
    return volume


def _put_text(volume: Any, provenance: str) -> Any:
    text = volume.GetNodeReference(PROVENANCE)
    if text is None:
        text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        volume.SetNodeReferenceID(PROVENANCE, text.GetID())
    text.SetName(_("{volume}: how it was made").format(volume=volume.GetName()))
    text.SetText(provenance)
    return text


def _remove(volume: Any) -> None:
    text = volume.GetNodeReference(PROVENANCE)
    if text is not None:
        slicer.mrmlScene.RemoveNode(text)
    slicer.mrmlScene.RemoveNode(volume)
