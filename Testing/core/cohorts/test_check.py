import gzip
import struct

import numpy as np
import pytest

from FedSimCore.cohorts import Case
from FedSimCore.cohorts.check import check_case
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map, write_volume
from Testing.core.cohorts.hearts import BALLS, a_heart, a_scan_grid, write_hearts


def written(tmp_path, image: Volume, label: Volume, **fields) -> Case:
    write_volume(image, tmp_path / "image.nii.gz", "int16")
    if fields.get("scheme") == "mmwhs":
        write_volume(label, tmp_path / "label.nii.gz", "int16")
    else:
        write_label_map(label, tmp_path / "label.nii.gz")
    return Case(id="x", image=tmp_path / "image.nii.gz", label=tmp_path / "label.nii.gz", **fields)


def test_a_sound_case_has_no_problem_and_the_volumes_of_its_balls(tmp_path):
    report = check_case(write_hearts(tmp_path, 1).cases[0])
    assert report.problems == []
    assert report.notes == []
    assert report.axes == "LPS"
    assert report.shape == (64, 62, 42)
    assert report.spacing_mm == (2.0, 2.0, 3.0)
    assert report.range is not None
    assert report.range[0] == -900
    for key, value in {"rv": 3, "la": 4, "pa": 7}.items():
        radius = BALLS[value][1]
        assert report.regions_ml[key] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.03)


def test_an_unreadable_file_is_the_cases_problem(tmp_path):
    report = check_case(Case(id="x", image=tmp_path / "none.nii.gz"))
    assert report.problems == [f"{tmp_path / 'none.nii.gz'} does not exist; check the path."]


def test_missing_regions_are_named(tmp_path):
    image, label = a_heart(a_scan_grid())
    report = check_case(written(tmp_path, image, Volume(label.array * (label.array < 4), label.grid)))
    assert any("has no voxel of la, ra, ao, pa" in problem for problem in report.problems)


def test_a_lost_rescale_intercept_and_one_too_many_are_noticed(tmp_path):
    image, label = a_heart(a_scan_grid())
    stored = Volume(image.array + 1024, image.grid)
    report = check_case(written(tmp_path, stored, label))
    assert any("rescale intercept is lost" in problem for problem in report.problems)
    report = check_case(written(tmp_path, stored, label, hu_offset=-1024))
    assert report.problems == []
    report = check_case(written(tmp_path, image, label, hu_offset=-1024))
    assert any("one too many" in problem for problem in report.problems)


def test_an_impossible_size_points_at_the_spacing(tmp_path):
    image, label = a_heart(a_scan_grid())
    grid = Grid(image.grid.shape, image.grid.affine @ np.diag([5, 5, 5, 1]))
    report = check_case(written(tmp_path, Volume(image.array, grid), Volume(label.array, grid)))
    assert any("ml is impossible; check the voxel spacing" in problem for problem in report.problems)


def test_a_heart_partly_outside_its_image_is_a_problem(tmp_path):
    image, label = a_heart(a_scan_grid())
    half = Grid((64, 62, 22), image.grid.affine)
    report = check_case(written(tmp_path, Volume(image.array[:, :, :22], half), label))
    assert any("% of the heart lies outside" in problem for problem in report.problems)


def test_a_mirrored_heart_and_one_that_is_cut_off_are_remarked(tmp_path):
    image, label = a_heart(a_scan_grid())
    report = check_case(written(tmp_path, image, Volume(label.array[::-1], label.grid)))
    assert any("mirrored, or dextrocardia" in note for note in report.notes)
    report = check_case(written(tmp_path, image, Volume(label.array[:, :, :21], Grid((64, 62, 21), label.grid.affine))))
    assert any("reaches the edge" in note for note in report.notes)


def test_a_region_in_pieces_is_remarked(tmp_path):
    image, label = a_heart(a_scan_grid())
    array = label.array.copy()
    array[2:5, 2:5, 2:5] = 3
    report = check_case(written(tmp_path, image, Volume(array, label.grid)))
    share = 27 / (array == 3).sum()
    assert report.notes == [f"rv is in 2 pieces, {share:.1%} of it apart from the largest"]


def test_mmwhs_stray_value_is_taken_for_the_left_atrium_and_told(tmp_path):
    image, label = a_heart(a_scan_grid())
    values = np.array([0, 500, 205, 600, 420, 550, 820, 850])[label.array]
    strays = np.argwhere(values == 420)[:7]
    values[tuple(strays.T)] = 421
    report = check_case(written(tmp_path, image, Volume(values, label.grid), scheme="mmwhs"))
    assert report.problems == []
    assert report.notes == ["stray label 421 (7 voxels) was taken for its region"]


def test_an_ambiguous_place_in_the_world_is_a_problem(tmp_path):
    case = write_hearts(tmp_path, 1).cases[0]
    assert case.image is not None
    raw = bytearray(gzip.decompress(case.image.read_bytes()))
    raw[268:272] = struct.pack("<f", 70.0)  # qoffset_x
    case.image.write_bytes(gzip.compress(bytes(raw)))
    assert any("qform and sform put a corner" in problem for problem in check_case(case).problems)
