"""What is written to files, and that nothing is written by halves."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import trimesh

from FedSimCore import anatomy
from FedSimCore.ct.recipe import Recipe, read_recipe
from FedSimCore.ct.scanners import scanner
from FedSimCore.errors import CancelledError, DiskError, InputError
from FedSimCore.shape.mesh_io import read_mesh, read_surface
from FedSimCore.shape.parameters import HeartParameters, read_parameters
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_label_map, read_volume
from FedSimCore.volumes.segmentation import write_segmentation
from Testing.slicer.module.known_shapes import BOXES_MM, GRIDS, ball_on, boxes_on, every_grid, middle_of
from Testing.slicer.module.test_scene_exchange_models import boxes

HEART = HeartParameters(weights=(0.5, -1.0))
GRID = GRIDS["oblique and mirrored"]


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


def everything(suffix: str = ".nrrd") -> Any:
    from FedSimSlicerLib.export_files import MODEL_SUFFIXES, ExportChoice

    return ExportChoice("My heart", True, MODEL_SUFFIXES, True, True, True, suffix)


def content(recipe: Recipe | None = None) -> Any:
    from FedSimSlicerLib.export_files import ExportContent, ExportScan

    recipe = recipe or Recipe(parameters=HEART, scanner=scanner("adult"))
    scan = ExportScan("Adult, 64 rows", Volume(ball_on(GRID), GRID), recipe)
    told = {"fedsim": "1", "reference": "CT of Jane", "settings": {"materials": {}}}
    return ExportContent(HEART, "0" * 64, boxes(), Volume(boxes_on(GRID), GRID), (scan,), told)


def write(folder: Path, choice: Any, what: Any = None) -> list[str]:
    from FedSimSlicerLib.export_files import plan_files, write_files

    what = what or content()
    write_files(plan_files(choice, [scan.name for scan in what.scans]), what, folder)
    return sorted(path.name for path in folder.iterdir())


def test_every_file_has_its_name(slicer: Any, tmp_path: Path) -> None:
    assert write(tmp_path / "new" / "folder", everything()) == sorted(
        [
            "My heart.seg.nrrd",
            "My heart.vtp",
            "My heart.obj",
            *(f"My heart-{region.key}.stl" for region in anatomy.regions()),
            "My heart-labels.nrrd",
            "My heart-ct-adult-64-rows.nrrd",
            "My heart-ct-adult-64-rows.json",
            "My heart.json",
        ]
    )


def test_scanners_of_one_name_have_files_of_their_own(slicer: Any) -> None:
    from FedSimSlicerLib.export_files import ExportChoice, plan_files

    choice = ExportChoice("a", segmentation=False, ct=True, parameters=False)
    names = [file.name for file in plan_files(choice, ["Site A", "site-a", "β"])]
    assert names == ["a-ct-site-a.nrrd", "a-ct-site-a-2.nrrd", "a-ct-scan.nrrd"]


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
def test_volumes_lie_where_the_heart_is(slicer: Any, tmp_path: Path, ending: str) -> None:
    write(tmp_path, everything(ending))
    path = tmp_path / f"My heart-labels{ending}"
    if ending == ".nii.gz":
        image = nib.load(path)
        array, affine = np.asarray(image.dataobj), image.affine
    else:
        volume = read_label_map(path)
        array, affine = volume.array, volume.grid.affine
    for label, middle in BOXES_MM.items():
        assert np.abs(middle_of(array == label, affine) - middle).max() < GRID.spacing_mm.max() / 2
    ct = read_volume(tmp_path / f"My heart-ct-adult-64-rows{ending}")
    np.testing.assert_array_equal(ct.array, ball_on(GRID))
    assert ct.grid.same_as(GRID, 1e-3)


@every_grid
def test_slicer_reads_the_segmentation_file_with_names_colours_and_codes(
    slicer: Any, grid: Any, tmp_path: Path
) -> None:
    from FedSimSlicerLib.scene_segmentations import labels_of

    write_segmentation(Volume(boxes_on(grid), grid), tmp_path / "heart.seg.nrrd")
    node = slicer.util.loadSegmentation(str(tmp_path / "heart.seg.nrrd"))
    segmentation = node.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == [region.key for region in anatomy.regions()]
    assert segmentation.GetNumberOfLayers() == 1
    for region in anatomy.regions():
        segment = segmentation.GetSegment(region.key)
        entry = slicer.vtkSlicerTerminologyEntry()
        assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(segment.GetTerminology(), entry)
        assert entry.GetTypeObject().GetCodeValue() == region.code.value
        assert entry.GetCategoryObject().GetCodeMeaning() == "Anatomical Structure"
        assert segment.GetName() == region.name
        np.testing.assert_allclose(np.array(segment.GetColor()) * 255, region.color, atol=1e-3)
    found = labels_of(node)
    for label, middle in BOXES_MM.items():
        assert np.abs(middle_of(found.labels == label, found.grid.affine) - middle).max() < grid.spacing_mm.max() / 2


def test_slicer_reads_a_segmentation_file_in_which_regions_are_missing(slicer: Any, tmp_path: Path) -> None:
    labels = boxes_on(GRID)
    labels[labels == 3] = 0
    write_segmentation(Volume(labels, GRID), tmp_path / "heart.seg.nrrd")
    segmentation = slicer.util.loadSegmentation(str(tmp_path / "heart.seg.nrrd")).GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 7


def test_other_programs_read_the_segmentation_file_as_labels(slicer: Any, tmp_path: Path) -> None:
    write(tmp_path, everything())
    image = sitk.ReadImage(str(tmp_path / "My heart.seg.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image).T, boxes_on(GRID))


def test_models_come_back_in_place(slicer: Any, tmp_path: Path) -> None:
    write(tmp_path, everything())
    for label, middle in BOXES_MM.items():
        surface = read_mesh(tmp_path / "My heart.vtp").trimesh(label)
        np.testing.assert_allclose(surface.center_mass, middle, atol=1e-5)
        key = anatomy.regions()[label - 1].key
        alone = read_surface(tmp_path / f"My heart-{key}.stl")
        np.testing.assert_allclose(trimesh.Trimesh(alone.vertices, alone.faces).center_mass, middle, atol=1e-4)
        node = slicer.util.loadModel(str(tmp_path / f"My heart-{key}.stl"))
        bounds = np.zeros(6)
        node.GetRASBounds(bounds)
        np.testing.assert_allclose((bounds[::2] + bounds[1::2]) / 2, middle, atol=1e-4)


def test_fedsim_reads_parameters_and_recipe_again(slicer: Any, tmp_path: Path) -> None:
    write(tmp_path, everything())
    assert read_parameters(tmp_path / "My heart.json", 2, "0" * 64) == HEART
    assert json.loads((tmp_path / "My heart.json").read_text())["provenance"]["reference"] == "CT of Jane"
    assert read_recipe(tmp_path / "My heart-ct-adult-64-rows.json").scanner.key == "adult"


def test_files_that_are_there_are_named(slicer: Any, tmp_path: Path) -> None:
    from FedSimSlicerLib.export_files import existing_names, plan_files

    files = plan_files(everything(), ["a"])
    assert existing_names(files, tmp_path / "nowhere") == []
    (tmp_path / "My heart.vtp").touch()
    assert existing_names(files, tmp_path) == ["My heart.vtp"]


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", "a:b", "a\nb"])
def test_names_that_no_file_can_have_are_refused(slicer: Any, name: str) -> None:
    from FedSimSlicerLib.export_files import ExportChoice, plan_files

    with pytest.raises(InputError, match="cannot be the name of a file"):
        plan_files(ExportChoice(name), [])


def test_nothing_chosen_is_told(slicer: Any) -> None:
    from FedSimSlicerLib.export_files import ExportChoice, plan_files

    with pytest.raises(InputError, match="tick at least one"):
        plan_files(ExportChoice("a", segmentation=False, parameters=False), [])


def test_a_file_where_the_folder_should_be_is_told(slicer: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"file/sub cannot be written .*choose a folder you may write to"):
        write(tmp_path / "file" / "sub", everything())


def test_a_disk_that_fills_up_leaves_what_was_there(
    slicer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import FedSimSlicerLib.export_files as export_files

    write(tmp_path, everything())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path: Path, *_: Any) -> None:
        raise DiskError("x") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_files, "write_recipe", full)
    with pytest.raises(DiskError, match=r"The disk is full: .*/My heart-ct-adult-64-rows\.json was not written"):
        write(tmp_path, everything())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_recipe_that_is_lost_stops_the_export_before_anything_is_written(slicer: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    what = content()
    lost = replace(what, scans=(replace(what.scans[0], recipe=None),))
    with pytest.raises(InputError, match="no longer tells how the CT Adult, 64 rows was made"):
        write(tmp_path, everything(), lost)
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_export_leaves_nothing(slicer: Any, tmp_path: Path) -> None:
    from FedSimSlicerLib.export_files import plan_files, write_files

    def stop(done: int, total: int, name: str) -> None:
        if done == 3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        write_files(plan_files(everything(), ["a"]), content(), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []
