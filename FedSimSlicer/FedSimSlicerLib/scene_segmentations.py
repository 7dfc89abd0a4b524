"""Segmentation nodes of the seven regions, made from label maps, and label maps from anybody's segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.labels import Scheme
from FedSimCore.volumes.segmentation import terminology_entry
from FedSimSlicerLib.patient_labels import FoundLabels, LabelSource, Layer, wanted_regions
from FedSimSlicerLib.region_names import number_in, region_of_name
from FedSimSlicerLib.scene_colors import color_of, region_of_terminology
from FedSimSlicerLib.scene_volumes import (
    array_of,
    array_of_image,
    grid_of,
    grid_of_image,
    matrix_of,
    new_image,
    vtk_matrix,
    world_from_local,
)

LABEL_MAP = "Binary labelmap"
SURFACE = "Closed surface"


def put_segmentation(
    labels: NDArray[np.uint8], grid: Grid, name: str, node: Any = None, reference: Any = None, surfaces: bool = False
) -> Any:
    """Show a label map as a segmentation of seven segments: names, colours and SNOMED CT terms of the regions.

    The segments share one layer. Their ids are the regions' keys; a region without voxels is an empty segment.

    Args:
        labels: uint8 (i, j, k) on ``grid``, FedSim's labels.
        grid: its place, RAS mm.
        name: of a new node.
        node: update this one in place; segments that its user has added, names, colours and visibilities stay.
        reference: volume node on whose voxels the Segment Editor goes on; the labels' own grid if None.
        surfaces: make closed surfaces for the 3D views too (about a second for a heart).

    Returns:
        The vtkMRMLSegmentationNode.

    Raises:
        InputError: the array's shape is not the grid's.
    """
    if labels.shape != grid.shape:
        raise InputError(f"The label map is {labels.shape} but its grid is {grid.shape}.")
    return put_layer(new_layer(labels, grid), name, node, reference, surfaces)


def new_layer(labels: NDArray[np.uint8], grid: Grid) -> Any:
    """Return a label map (i, j, k) as the vtkOrientedImageData of a segmentation; may be called in a thread."""
    layer = new_image(labels.astype(np.uint8, copy=False), slicer.vtkOrientedImageData)
    layer.SetGeometryFromImageToWorldMatrix(vtk_matrix(grid.affine))
    return layer


def put_layer(
    layer: Any,
    name: str,
    node: Any = None,
    reference: Any = None,
    surfaces: bool = False,
    regions: Sequence[anatomy.Region] | None = None,
) -> Any:
    """Show a layer of :func:`new_layer` as a segmentation: as :func:`put_segmentation`, but without copying voxels.

    ``regions`` are the segments; the seven regions if None.
    """
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
    segmentation = node.GetSegmentation()
    was_modifying = node.StartModify()
    segmentation.SetSourceRepresentationName(LABEL_MAP)
    _set_reference(node, layer, reference)
    for region in regions or anatomy.regions():
        _put_segment(segmentation, region, layer)
    layer.Modified()  # tells the views, and lets go of surfaces that were made of the voxels before
    if surfaces:
        node.CreateClosedSurfaceRepresentation()
    node.EndModify(was_modifying)
    return node


def put_surfaces(node: Any, surfaces: Mapping[str, Any]) -> None:
    """Give the segments closed surfaces for the 3D views that were made elsewhere, which takes no time here.

    Slicer makes its own as soon as somebody edits a segment.

    Args:
        node: vtkMRMLSegmentationNode.
        surfaces: segment id to vtkPolyData, in the node's own coordinates; segments without one get an empty surface.
    """
    segmentation = node.GetSegmentation()
    for key in segmentation.GetSegmentIDs():
        segmentation.GetSegment(key).AddRepresentation(SURFACE, surfaces.get(key) or vtk.vtkPolyData())
    segmentation.InvokeEvent(slicer.vtkSegmentation.ContainedRepresentationNamesModified)


def labels_of(node: Any, scheme: Scheme | None = None) -> FoundLabels:
    """Return the regions in a segmentation or a label map volume; takes about a second for a large one.

    See :func:`label_source_of` for what is recognised.

    Raises:
        InputError: as :func:`label_source_of` and :meth:`LabelSource.read`.
    """
    return label_source_of(node, scheme).read()


def label_source_of(node: Any, scheme: Scheme | None = None) -> LabelSource:
    """Return where the regions are in a segmentation or a label map volume; takes no time, reading it does.

    Segments are recognised by their SNOMED CT term, else by their name in the usual spellings; if none is, by
    label values (``Segment_500``) of FedSim, MM-WHS or ImageCHD. Other segments are left out; hidden ones are not.
    A label map is recognised by its values.

    Args:
        node: vtkMRMLSegmentationNode, or a volume node that holds whole numbers.
        scheme: what label values stand for; found out if None.

    Raises:
        InputError: no node, no voxels, none of the segments can be a region of the heart (they are listed), or a
            transform is not linear.
    """
    if node is None:
        raise InputError(_("No segmentation is chosen; load one and choose it."))
    if not node.IsA("vtkMRMLSegmentationNode"):
        return LabelSource(node.GetName(), (Layer(Volume(array_of(node), grid_of(node))),), scheme=scheme)
    segmentation = node.GetSegmentation()
    segments = {key: segmentation.GetSegment(key) for key in segmentation.GetSegmentIDs()}
    if not segments:
        raise InputError(
            _("{node} has no segments; segment the heart or choose another one.").format(node=node.GetName())
        )
    if not segmentation.ContainsRepresentation(LABEL_MAP):
        raise InputError(
            _(
                "{node} has surfaces only; create its binary labelmap in the Segmentations module (Representations)."
            ).format(node=node.GetName())
        )
    regions = {key: region for key, segment in segments.items() if (region := _region_of(segment)) is not None}
    if regions:
        names: dict[int, str] = {}
        for key, region in regions.items():
            names[region.label] = " + ".join(filter(None, (names.get(region.label), segments[key].GetName())))
        layers = _layers(node, {key: region.label for key, region in regions.items()})
        return LabelSource(node.GetName(), layers, names=names)
    numbers = {key: number_in(segment.GetName()) for key, segment in segments.items()}
    if None in numbers.values():
        raise InputError(
            _("None of the segments of {node} ({found}) is a region of the heart; name them {wanted}.").format(
                node=node.GetName(), found=_listed(segments), wanted=wanted_regions()
            )
        )
    return LabelSource(node.GetName(), _layers(node, numbers), scheme=scheme)  # type: ignore[arg-type]  # no None left


def source_of_segments(node: Any, meanings: Mapping[str, anatomy.Region]) -> LabelSource:
    """Return where segments with known ids are, whatever their names; see :func:`label_source_of`.

    Args:
        node: vtkMRMLSegmentationNode.
        meanings: segment id to the region whose label it gets.

    Raises:
        InputError: none of the segments is there or has voxels, or a transform is not linear.
    """
    present = set(node.GetSegmentation().GetSegmentIDs())
    known = {key: region for key, region in meanings.items() if key in present}
    layers = _layers(node, {key: region.label for key, region in known.items()})
    return LabelSource(node.GetName(), layers, names={region.label: region.name for region in known.values()})


def _set_reference(node: Any, layer: Any, reference: Any) -> None:
    if reference is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        return
    converter = slicer.vtkSegmentationConverter
    node.GetSegmentation().SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(layer)
    )


def _put_segment(segmentation: Any, region: anatomy.Region, layer: Any) -> None:
    segment = segmentation.GetSegment(region.key)
    if segment is not None:
        segment.SetLabelValue(region.label)
        segment.AddRepresentation(LABEL_MAP, layer)
        return
    segment = slicer.vtkSegment()
    segment.SetName(region.name)
    segment.SetColor(*color_of(region))
    segment.SetTerminology(terminology_entry(region))
    segment.SetNameAutoGenerated(False)  # or Slicer takes those of the term as soon as somebody looks at it
    segment.SetColorAutoGenerated(False)
    segment.SetLabelValue(region.label)
    segment.AddRepresentation(LABEL_MAP, layer)
    segmentation.AddSegment(segment, region.key)


def _region_of(segment: Any) -> anatomy.Region | None:
    return region_of_terminology(segment.GetTerminology()) or region_of_name(segment.GetName())


def _layers(node: Any, meanings: dict[str, int]) -> tuple[Layer, ...]:
    """Return the arrays that hold the named segments, with what their values mean."""
    segmentation, local = node.GetSegmentation(), world_from_local(node)
    matrix, layers = vtk.vtkMatrix4x4(), []
    for number in range(segmentation.GetNumberOfLayers(LABEL_MAP)):
        image = segmentation.GetLayerDataObject(number, LABEL_MAP)
        keys = [key for key in segmentation.GetSegmentIDsForLayer(number, LABEL_MAP) if key in meanings]
        if not keys or image is None or min(image.GetDimensions()) < 1:
            continue  # an empty segment has an empty layer
        image.GetImageToWorldMatrix(matrix)
        grid = grid_of_image(image, local @ matrix_of(matrix), node)
        values = {segmentation.GetSegment(key).GetLabelValue(): meanings[key] for key in keys}
        layers.append(Layer(Volume(array_of_image(image), grid), values))
    if not layers:
        raise InputError(
            _("{node} has no voxels in its segments; segment the heart first.").format(node=node.GetName())
        )
    return tuple(layers)


def _listed(segments: dict[str, Any], most: int = 12) -> str:
    names = [segment.GetName() for segment in segments.values()]
    return ", ".join(names[:most]) + (_(" and {n} more").format(n=len(names) - most) if len(names) > most else "")
