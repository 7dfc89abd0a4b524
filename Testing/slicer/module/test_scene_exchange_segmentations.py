"""Segmentations go through the scene to the right place, with names, colours and codes; anybody's are understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid
from Testing.slicer.module.known_shapes import BOXES_MM, GRIDS, boxes_on, every_grid, middle_of, rotation

REGIONS = anatomy.regions()
KEYS = [region.key for region in REGIONS]


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


def assert_boxes_are_in_place(labels: NDArray[Any], grid: Grid) -> None:
    for label, middle in BOXES_MM.items():
        assert np.abs(middle_of(labels == label, grid.affine) - middle).max() < grid.spacing_mm.max() / 2


def assert_same_voxels(found: Any, labels: NDArray[np.uint8], grid: Grid) -> None:
    """Compare where voxels are in the world: the found grid may be a part of the other."""
    for label in np.unique(found.labels)[1:]:
        here = found.grid.to_world(np.argwhere(found.labels == label))
        there = grid.to_world(np.argwhere(labels == label))
        order = [np.lexsort(np.round(points, 2).T) for points in (here, there)]
        np.testing.assert_allclose(here[order[0]], there[order[1]], atol=1e-3)


def segmentation_of(slicer: Any, masks: dict[str, tuple[NDArray[Any], Grid]], name: str = "Patient") -> Any:
    """A segmentation with a layer for each named mask, as other modules make them."""
    from FedSimSlicerLib.scene_volumes import new_image, vtk_matrix

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for segment_name, (mask, grid) in masks.items():
        image = new_image(mask.astype(np.uint8), slicer.vtkOrientedImageData)
        image.SetGeometryFromImageToWorldMatrix(vtk_matrix(grid.affine))
        segment = slicer.vtkSegment()
        segment.SetName(segment_name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    return node


def named(slicer: Any, names: list[str], grid: Grid = GRIDS["LPS"]) -> Any:
    """A segmentation of the seven boxes with these names, in the regions' order."""
    labels = boxes_on(grid)
    return segmentation_of(
        slicer, {name: (labels == region.label, grid) for name, region in zip(names, REGIONS, strict=False)}
    )


@every_grid
def test_a_label_map_comes_back_from_a_segmentation(slicer: Any, grid: Grid) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of, put_segmentation

    labels = boxes_on(grid)
    found = labels_of(put_segmentation(labels, grid, "Heart"))
    assert found.missing == ()
    assert_same_voxels(found, labels, grid)
    assert_boxes_are_in_place(found.labels, found.grid)


@every_grid
def test_a_saved_segmentation_lies_where_other_libraries_look_for_it(slicer: Any, grid: Grid, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_segmentations import put_segmentation

    path = tmp_path / "heart.seg.nrrd"
    assert slicer.util.saveNode(put_segmentation(boxes_on(grid), grid, "Heart"), str(path))
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayViewFromImage(image).T
    for number, region in enumerate(REGIONS):
        assert image.GetMetaData(f"Segment{number}_Name") == region.name
        assert f"TerminologyEntry:{_tag(region)}" in image.GetMetaData(f"Segment{number}_Tags")
        value = int(image.GetMetaData(f"Segment{number}_LabelValue"))
        voxel = np.argwhere(array == value).mean(axis=0)
        found = np.array(image.TransformContinuousIndexToPhysicalPoint(voxel.tolist())) * [-1, -1, 1]
        assert np.abs(found - BOXES_MM[region.label]).max() < grid.spacing_mm.max() / 2


def _tag(region: anatomy.Region) -> str:
    return (
        "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure~"
        f"SCT^{region.code.value}^{region.code.meaning}~^^~Anatomic codes - DICOM master list~^^~^^"
    )


@every_grid
def test_a_label_map_file_of_another_library_is_read_where_it_lies(slicer: Any, grid: Grid, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    path = tmp_path / "heart.nii.gz"
    nib.save(nib.Nifti1Image(boxes_on(grid), grid.affine), path)
    found = labels_of(slicer.util.loadLabelVolume(str(path)), scheme="fedsim")
    assert_boxes_are_in_place(found.labels, found.grid)


def test_segments_have_names_colours_codes_and_one_layer(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import put_segmentation

    segmentation = put_segmentation(boxes_on(GRIDS["LPS"]), GRIDS["LPS"], "Heart").GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == KEYS
    assert segmentation.GetNumberOfLayers() == 1
    for region in REGIONS:
        segment = segmentation.GetSegment(region.key)
        assert segment.GetName() == region.name
        assert segment.GetTerminology() == _tag(region)
        np.testing.assert_allclose(np.array(segment.GetColor()) * 255, region.color, atol=1e-6)


def test_slicers_own_logic_understands_the_codes(slicer: Any) -> None:
    from FedSimCore.volumes.segmentation import terminology_entry

    logic = slicer.vtkSlicerTerminologiesModuleLogic
    for region in REGIONS:
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(terminology_entry(region), entry)
        assert entry.GetCategoryObject().GetCodeValue() == "123037004"
        assert entry.GetTypeObject().GetCodeValue() == region.code.value
        assert logic.SerializeTerminologyEntry(entry) == terminology_entry(region)


def test_the_segment_editor_goes_on_with_the_reference_scans_voxels(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import put_segmentation
    from FedSimSlicerLib.scene_volumes import put_volume

    grid = GRIDS["oblique"]
    scan = put_volume(np.zeros(grid.shape, np.float32), grid, "Scan")
    node = put_segmentation(boxes_on(grid), grid, "Heart", reference=scan)
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is scan
    geometry = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        node.GetSegmentation().GetConversionParameter("Reference image geometry"), geometry
    )
    assert geometry.GetDimensions() == grid.shape


def test_surfaces_are_made_on_request_and_made_anew(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import put_segmentation

    grid = GRIDS["oblique and mirrored"]
    node = put_segmentation(boxes_on(grid), grid, "Heart", surfaces=True)
    for region in REGIONS:
        surface = node.GetSegmentation().GetSegment(region.key).GetRepresentation("Closed surface")
        bounds = np.array(surface.GetBounds())
        assert np.abs((bounds[::2] + bounds[1::2]) / 2 - BOXES_MM[region.label]).max() < grid.spacing_mm.max()
    put_segmentation(np.zeros(grid.shape, np.uint8), grid, "Heart", node, surfaces=True)
    assert node.GetSegmentation().GetSegment("lv").GetRepresentation("Closed surface").GetNumberOfPoints() == 0


def test_an_update_keeps_what_the_user_has_changed(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of, put_segmentation

    grid, other = GRIDS["LPS"], GRIDS["oblique"]
    node = put_segmentation(boxes_on(grid), grid, "Heart", surfaces=True)
    node.GetDisplayNode().SetSegmentVisibility("ra", False)
    node.GetSegmentation().GetSegment("lv").SetName("My ventricle")
    node.GetSegmentation().AddEmptySegment("tumour")
    assert put_segmentation(boxes_on(other), other, "Heart", node) is node
    assert not node.GetDisplayNode().GetSegmentVisibility("ra")
    assert list(node.GetSegmentation().GetSegmentIDs()) == [*KEYS, "tumour"]
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")  # it was of the other heart
    found = labels_of(node)
    assert_same_voxels(found, boxes_on(other), other)
    assert found.names["lv"] == "My ventricle"


def test_a_segmentation_comes_back_with_a_saved_scene(slicer: Any, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of, put_segmentation

    grid = GRIDS["oblique and mirrored"]
    put_segmentation(boxes_on(grid), grid, "Heart")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    found = labels_of(slicer.util.getNode("Heart"))
    assert found.missing == ()
    assert_boxes_are_in_place(found.labels, found.grid)


SPELLINGS = {
    "keys": KEYS,
    "full names": [region.name for region in REGIONS],
    "TotalSegmentator": [
        "heart_ventricle_left",
        "heart_myocardium",
        "heart_ventricle_right",
        "heart_atrium_left",
        "heart_atrium_right",
        "aorta",
        "pulmonary_artery",
    ],
    "ImageCHD": ["LV", "Myo", "RV", "LA", "RA", "AO", "PA"],
    "MM-WHS values": ["Segment_500", "Segment_205", "Segment_600", "Segment_420", "Segment_550", "820", "850"],
    "FedSim values": [f"Segment_{region.label}" for region in REGIONS],
}


@pytest.mark.parametrize("names", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_the_usual_names_are_understood(slicer: Any, names: list[str]) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    found = labels_of(named(slicer, names))
    assert found.missing == ()
    assert_boxes_are_in_place(found.labels, found.grid)


def test_a_code_tells_more_than_a_name(slicer: Any) -> None:
    from FedSimCore.volumes.segmentation import terminology_entry
    from FedSimSlicerLib.scene_segmentations import labels_of

    node = named(slicer, ["right ventricle"])
    node.GetSegmentation().GetNthSegment(0).SetTerminology(terminology_entry(anatomy.region("la")))
    assert labels_of(node).names == {"la": "right ventricle"}


def test_regions_that_are_missing_are_told_and_other_segments_left_out(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    found = labels_of(named(slicer, ["left ventricle", "spleen", "RV"]))
    assert found.names == {"lv": "left ventricle", "rv": "RV"}
    assert found.missing == ("myo", "la", "ra", "ao", "pa")
    assert set(np.unique(found.labels)) == {0, 1, 3}


def test_where_segments_overlap_the_inner_region_wins(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    grid = Grid.centered(20)
    pool, heart = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    pool[8:12, 8:12, 8:12], heart[5:15, 5:15, 5:15] = True, True
    for order in (("LV", "Myo"), ("Myo", "LV")):
        masks = {"LV": (pool, grid), "Myo": (heart, grid)}
        labels = labels_of(segmentation_of(slicer, {name: masks[name] for name in order})).labels
        assert ((labels == 1) == pool[5:15, 5:15, 5:15]).all()
        assert ((labels == 2) == (heart & ~pool)[5:15, 5:15, 5:15]).all()


def test_layers_on_different_grids_meet_in_the_world(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    layers = list(GRIDS.values())
    masks = {r.key: (boxes_on(g) == r.label, g) for r, g in zip(REGIONS, [*layers, layers[0]], strict=True)}
    found = labels_of(segmentation_of(slicer, masks))
    for label, middle in BOXES_MM.items():
        assert np.abs(middle_of(found.labels == label, found.grid.affine) - middle).max() < 1.0


def test_layers_cropped_to_their_segment_are_put_back_on_one_grid(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    grid = GRIDS["oblique and mirrored"]
    labels, masks = boxes_on(grid), {}
    for region in REGIONS:
        where = np.argwhere(labels == region.label)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        affine = grid.affine.copy()
        affine[:3, 3] = grid.to_world(low)
        part = (labels == region.label)[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        masks[region.key] = part, Grid(part.shape, affine)
    assert_same_voxels(labels_of(segmentation_of(slicer, masks)), labels, grid)


def test_a_segmentation_under_a_transform_is_where_it_is_seen(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of, put_segmentation

    grid, matrix = GRIDS["oblique"], np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((1, 0, 1), 40), (30, 0, -9)
    node = put_segmentation(boxes_on(grid), grid, "Heart")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    found = labels_of(node)
    for label, middle in BOXES_MM.items():
        seen = matrix[:3, :3] @ middle + matrix[:3, 3]
        assert np.abs(middle_of(found.labels == label, found.grid.affine) - seen).max() < grid.spacing_mm.max() / 2


@pytest.mark.parametrize("scheme", ["fedsim", "mmwhs", "imagechd"])
def test_label_values_tell_their_scheme(slicer: Any, scheme: str) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    grid = Grid.centered((32, 24, 24))
    x = np.indices(grid.shape) - np.array([10, 12, 12])[:, None, None, None]
    labels = np.zeros(grid.shape, np.uint8)
    labels[np.linalg.norm(x, axis=0) < 8] = 2
    labels[np.linalg.norm(x, axis=0) < 5] = 1
    labels[16:26, 8:14, 8:16], labels[16:26, 14:20, 8:16] = 3, 5
    values = np.zeros(8, np.int16)
    for region in REGIONS:
        values[region.label] = region.label if scheme == "fedsim" else getattr(region, scheme)[0]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Theirs")
    slicer.util.updateVolumeFromArray(node, values[labels].transpose(2, 1, 0))
    found = labels_of(node)
    cut = tuple(slice(side.min(), side.max() + 1) for side in np.nonzero(labels))
    np.testing.assert_array_equal(found.labels, labels[cut])


def test_a_segmentation_without_the_heart_is_refused_with_what_it_has(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    with pytest.raises(
        InputError, match=r"None of the segments of Patient \(spleen, liver\).*Left ventricle blood pool"
    ):
        labels_of(named(slicer, ["spleen", "liver"]))


def test_unknown_label_values_are_refused_with_their_list(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Organs")
    slicer.util.updateVolumeFromArray(node, np.array([[[0, 1, 117, 3]]], np.int16))
    with pytest.raises(InputError, match="Organs has the label values 1, 3, 117, which are neither"):
        labels_of(node)


def test_an_image_is_not_taken_for_a_label_map(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of
    from FedSimSlicerLib.scene_volumes import put_volume

    image = np.random.default_rng(0).normal(0, 20, (5, 6, 7)).astype(np.float32)
    node = put_volume(image, Grid.centered((5, 6, 7)), "Scan")
    with pytest.raises(InputError, match=r"Scan holds .* no whole number; is it an image rather than a label map"):
        labels_of(node)


def test_empty_segmentations_are_refused(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of, put_segmentation

    grid = Grid.centered(6)
    nothing = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    with pytest.raises(InputError, match="Nothing has no segments"):
        labels_of(nothing)
    nothing.GetSegmentation().AddEmptySegment("LV", "LV")
    with pytest.raises(InputError, match="Nothing has no voxels in its segments"):
        labels_of(nothing)
    with pytest.raises(InputError, match="Heart is empty; segment the heart"):
        labels_of(put_segmentation(np.zeros(grid.shape, np.uint8), grid, "Heart"))
    labels = np.full(grid.shape, 200, np.uint8)  # of a segment that was lost
    labels[0, 0, 0] = 1
    heart = put_segmentation(labels, grid, "Heart")
    heart.GetSegmentation().RemoveSegment("lv")
    with pytest.raises(InputError, match=r"Heart is empty in all regions of the heart .Left ventricle myocardium, "):
        labels_of(heart)
    with pytest.raises(InputError, match="No segmentation is chosen"):
        labels_of(None)


def test_a_segmentation_of_surfaces_alone_tells_what_to_do(slicer: Any) -> None:
    import vtk

    from FedSimSlicerLib.scene_segmentations import labels_of

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surfaces")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    ball = vtk.vtkSphereSource()
    ball.Update()
    segment = slicer.vtkSegment()
    segment.SetName("LV")
    segment.AddRepresentation("Closed surface", ball.GetOutput())
    node.GetSegmentation().AddSegment(segment)
    with pytest.raises(InputError, match="Surfaces has surfaces only; create its binary labelmap"):
        labels_of(node)


def test_what_is_being_read_stays_valid_when_the_scene_lets_go_of_it(slicer: Any) -> None:
    from FedSimSlicerLib.scene_segmentations import label_source_of, put_segmentation

    grid = Grid.centered(96)
    labels = np.random.default_rng(0).integers(1, 8, grid.shape).astype(np.uint8)
    node = put_segmentation(labels, grid, "Heart")
    source = label_source_of(node)
    node.GetSegmentation().GetLayerDataObject(0).SetDimensions(200, 200, 100)
    node.GetSegmentation().GetLayerDataObject(0).AllocateScalars(3, 1)
    slicer.mrmlScene.RemoveNode(node)
    np.testing.assert_array_equal(source.read().labels, labels)
