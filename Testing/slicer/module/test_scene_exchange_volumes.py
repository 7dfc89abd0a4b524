"""Volumes go through the scene, and through its files, to the right place."""

from __future__ import annotations

import re
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
from Testing.slicer.module.known_shapes import BALL_MM, GRIDS, ball_on, every_grid, middle_of, rotation


def linear_transform(slicer: Any, matrix: NDArray[np.float64]) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


@every_grid
def test_a_volume_comes_back_on_its_grid(slicer: Any, grid: Grid) -> None:
    from FedSimSlicerLib.scene_volumes import array_of, grid_of, put_volume

    image = ball_on(grid)
    node = put_volume(image, grid, "Scan")
    assert grid_of(node).same_as(grid, tolerance_mm=1e-9)
    np.testing.assert_array_equal(array_of(node), image)


@every_grid
@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
def test_a_saved_volume_lies_where_other_libraries_look_for_it(
    slicer: Any, grid: Grid, ending: str, tmp_path: Path
) -> None:
    from FedSimSlicerLib.scene_volumes import put_volume

    path = tmp_path / f"ball{ending}"
    assert slicer.util.saveNode(put_volume(ball_on(grid), grid, "Scan"), str(path))
    half_voxel = grid.spacing_mm.min() / 2
    if ending == ".nrrd":
        image = sitk.ReadImage(str(path))
        bright = np.argwhere(sitk.GetArrayViewFromImage(image).T > 100).mean(axis=0)
        found = np.array(image.TransformContinuousIndexToPhysicalPoint(bright.tolist())) * [-1, -1, 1]
    else:
        read = nib.load(path)
        found = middle_of(read.get_fdata() > 100, read.affine)
    assert np.abs(found - BALL_MM).max() < half_voxel


@every_grid
def test_a_file_of_another_library_is_read_where_it_lies(slicer: Any, grid: Grid, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_volumes import array_of, grid_of

    path = tmp_path / "ball.nii.gz"
    nib.save(nib.Nifti1Image(ball_on(grid), grid.affine), path)
    node = slicer.util.loadVolume(str(path))  # of mirrored axes Slicer turns the last one round, voxels and all
    assert np.abs(middle_of(array_of(node) > 100, grid_of(node).affine) - BALL_MM).max() < grid.spacing_mm.min() / 2


def test_linear_transforms_are_part_of_where_a_volume_is(slicer: Any) -> None:
    from FedSimSlicerLib.scene_volumes import grid_of, put_volume

    grid = GRIDS["oblique"]
    node = put_volume(ball_on(grid), grid, "Scan")
    inner, outer = np.eye(4), np.eye(4)
    inner[:3, :3], inner[:3, 3] = rotation((0, 0, 1), 90), (5, 0, 0)
    outer[:3, 3] = (0, 0, -20)
    parent, grandparent = linear_transform(slicer, inner), linear_transform(slicer, outer)
    parent.SetAndObserveTransformNodeID(grandparent.GetID())
    node.SetAndObserveTransformNodeID(parent.GetID())
    np.testing.assert_allclose(grid_of(node).affine, outer @ inner @ grid.affine, atol=1e-9)
    assert node.GetParentTransformNode() is parent  # it is left as it was


def test_a_bending_transform_is_refused(slicer: Any) -> None:
    import vtk

    from FedSimSlicerLib.scene_volumes import grid_of, put_volume

    node = put_volume(ball_on(GRIDS["LPS"]), GRIDS["LPS"], "Scan")
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for corner in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9), (7, 7, 7)):
        points.InsertNextPoint(corner)
    moved = vtk.vtkPoints()
    moved.DeepCopy(points)
    moved.SetPoint(4, 9, 5, 5)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    bend.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match=r"Scan hangs under the non-linear transform Bend; harden it"):
        grid_of(node)


def test_an_image_whose_extent_begins_elsewhere_is_not_shifted(slicer: Any) -> None:
    import vtk

    from FedSimSlicerLib.scene_volumes import array_of, grid_of, put_volume

    node = put_volume(ball_on(GRIDS["oblique"]), GRIDS["oblique"], "Scan")
    clip = vtk.vtkExtractVOI()
    clip.SetInputData(node.GetImageData())
    clip.SetVOI(5, 35, 4, 30, 3, 24)
    clip.Update()
    node.SetAndObserveImageData(clip.GetOutput())
    assert node.GetImageData().GetExtent()[0] == 5
    found = middle_of(array_of(node) > 100, grid_of(node).affine)
    assert np.abs(found - BALL_MM).max() < GRIDS["oblique"].spacing_mm.min() / 2


def test_an_update_in_place_takes_no_new_memory_and_tells_the_views_once(slicer: Any) -> None:
    from FedSimSlicerLib.scene_volumes import array_of, grid_of, put_volume

    grid, moved = GRIDS["LPS"], GRIDS["oblique"]
    node = put_volume(ball_on(grid), grid, "Scan", window=(400, 50))
    node.GetDisplayNode().SetWindowLevel(900, 100)
    memory, told = node.GetImageData().GetPointData().GetScalars(), []
    node.AddObserver(node.ImageDataModifiedEvent, lambda *_: told.append(1))
    again = put_volume(ball_on(moved), moved, "another name", node, window=(1, 1))
    assert again is node
    assert node.GetName() == "Scan"
    assert node.GetImageData().GetPointData().GetScalars() is memory
    assert len(told) == 1
    assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (900, 100)
    assert grid_of(node).same_as(moved)
    np.testing.assert_array_equal(array_of(node), ball_on(moved))


def test_an_update_of_another_size_or_type_takes_new_memory(slicer: Any) -> None:
    from FedSimSlicerLib.scene_volumes import array_of, put_volume

    node = put_volume(np.zeros((4, 5, 6), np.float32), Grid.centered((4, 5, 6)), "Scan")
    put_volume(np.full((7, 5, 6), 3, np.int16), Grid.centered((7, 5, 6)), "Scan", node)
    assert array_of(node).dtype == np.int16
    assert array_of(node).shape == (7, 5, 6)
    assert (array_of(node) == 3).all()


def test_a_new_volume_has_the_window_that_was_asked_for(slicer: Any) -> None:
    from FedSimSlicerLib.scene_volumes import put_volume

    display = put_volume(ball_on(GRIDS["LPS"]), GRIDS["LPS"], "Scan", window=(800, 200)).GetDisplayNode()
    assert (display.GetAutoWindowLevel(), display.GetWindow(), display.GetLevel()) == (0, 800, 200)


def test_label_maps_share_one_table_of_the_regions_colours(slicer: Any) -> None:
    from FedSimSlicerLib.scene_volumes import put_label_map

    grid = Grid.centered(8)
    labels = np.full(grid.shape, 4, np.uint8)
    one, other = (put_label_map(labels, grid, name) for name in ("one", "other"))
    table = one.GetDisplayNode().GetColorNode()
    assert table is other.GetDisplayNode().GetColorNode()
    for region in anatomy.regions():
        color = [0.0] * 4
        table.GetColor(region.label, color)
        np.testing.assert_allclose(np.array(color) * 255, [*region.color, 255], atol=0.51)
        assert table.GetColorName(region.label) == region.name
        assert table.GetTerminologyType(region.label).GetCodeValue() == region.code.value
    background = [1.0] * 4
    table.GetColor(0, background)
    assert background[3] == 0


def test_the_table_of_colours_is_found_again_in_a_saved_scene(slicer: Any, tmp_path: Path) -> None:
    from FedSimSlicerLib.scene_colors import region_colors
    from FedSimSlicerLib.scene_volumes import put_label_map

    grid = Grid.centered(8)
    put_label_map(np.full(grid.shape, 2, np.uint8), grid, "Labels")
    saved = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(saved)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(saved)
    node = slicer.util.getNode("Labels")
    table = node.GetDisplayNode().GetColorNode()
    assert region_colors() is table
    assert table.GetColorName(7) == anatomy.region("pa").name
    assert table.GetTerminologyType(7).GetCodeValue() == anatomy.region("pa").code.value
    assert table.GetTerminologyCategory(7).GetCodeValue() == "123037004"


def with_image(slicer: Any, class_name: str, components: int) -> Any:
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass(class_name, "It")
    image = vtk.vtkImageData()
    image.SetDimensions(3, 4, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, components)
    node.SetAndObserveImageData(image)
    return node


def with_tensors(slicer: Any) -> Any:
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLDiffusionTensorVolumeNode", "It")
    image, values = vtk.vtkImageData(), vtk.vtkDoubleArray()
    image.SetDimensions(2, 2, 2)
    values.SetNumberOfComponents(9)
    values.SetNumberOfTuples(8)
    image.GetPointData().SetTensors(values)
    node.SetAndObserveImageData(image)
    return node


def without_j_axis(slicer: Any) -> Any:
    import vtk

    node, matrix = with_image(slicer, "vtkMRMLScalarVolumeNode", 1), vtk.vtkMatrix4x4()
    matrix.SetElement(1, 1, 0)
    matrix.SetElement(1, 0, 1)
    node.SetIJKToRASMatrix(matrix)
    return node


UNUSABLE = {
    "No volume is chosen; load one": lambda slicer: None,
    "It is a sequence of volumes (4D); choose one of its time points": lambda slicer: (
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "It")
    ),
    "It is not a volume; choose a CT": lambda slicer: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "It"),
    "It has no voxels; load it again": lambda slicer: slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", "It"
    ),
    "It has several values a voxel (colour": lambda slicer: with_image(slicer, "vtkMRMLVectorVolumeNode", 3),
    "It has several values a voxel (colour, vectors": lambda slicer: with_image(slicer, "vtkMRMLScalarVolumeNode", 20),
    "It has several values a voxel (colour, vectors, tensors": with_tensors,
    "The axes of It cannot be used": without_j_axis,
}


@pytest.mark.parametrize("said", UNUSABLE)
def test_what_is_no_plain_volume_is_refused_with_the_way_out(slicer: Any, said: str) -> None:
    from FedSimSlicerLib.scene_volumes import grid_of

    with pytest.raises(InputError, match=re.escape(said)):
        grid_of(UNUSABLE[said](slicer))
