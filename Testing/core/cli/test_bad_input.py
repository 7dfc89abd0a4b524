"""What a user can get wrong, as the command line tells it: file, value and way out in a sentence, nothing written."""

import errno
import gzip
import json
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from FedSimCore.cli import main
from FedSimCore.resources import resource_path


@pytest.fixture
def fedsim(tmp_path, monkeypatch, capsys):
    """Run ``fedsim`` in this process; return exit code and what it wrote to standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fedsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.main()
        return stop.value.code or 0, capsys.readouterr().err

    return run


def refused(result, *words, code=3):
    exit_code, error = result
    assert exit_code == code, error
    assert error.startswith("fedsim: ")
    assert error.count("\n") == 1, f"one sentence on one line: {error}"
    for word in words:
        assert word in error
    return error


def write(path, array, affine=None):
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def a_heart(values=(1, 2, 3, 4, 5, 6, 7), size=24):
    array = np.zeros((size, size, size), np.uint8)
    for number, value in enumerate(values):
        array[3 * number : 3 * number + 3, 6:18, 6:18] = value
    return array


def test_a_missing_label_map(fedsim, tmp_path):
    refused(fedsim("measure", tmp_path / "absent.nii.gz"), "absent.nii.gz", "does not exist")


def test_a_truncated_label_map(fedsim, tmp_path):
    path = write(tmp_path / "cut.nii.gz", a_heart())
    path.write_bytes(path.read_bytes()[:-40])
    refused(fedsim("measure", path), "cut.nii.gz")


def test_an_empty_file(fedsim, tmp_path):
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    refused(fedsim("measure", tmp_path / "empty.nii.gz"), "empty.nii.gz")


def test_unknown_label_values_are_named_with_their_counts(fedsim, tmp_path):
    array = a_heart()
    array[0, 0, :5] = 42
    refused(fedsim("measure", write(tmp_path / "odd.nii.gz", array)), "odd.nii.gz", "42", "5")


def test_mmwhs_values_without_the_scheme_are_unknown_and_with_it_fine(fedsim, tmp_path, capsys):
    values = np.array([0, 500, 205, 600, 420, 550, 820, 850], np.int16)
    path = write(tmp_path / "whs.nii.gz", values[a_heart()])
    refused(fedsim("measure", path), "500", "whs.nii.gz")
    assert fedsim("measure", path, "--scheme", "mmwhs", "--json")[0] == 0


def test_an_empty_region_stops_a_shape_model_and_names_case_and_region(fedsim, tmp_path):
    for number in range(3):
        write(tmp_path / f"p{number}_label.nii.gz", a_heart(values=(1, 2, 3, 4, 5, 6)))
    out = tmp_path / "model.safetensors"
    refused(fedsim("shape", "build", tmp_path, "-o", out), "p0")
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("flat", np.zeros((8, 8), np.uint8)),
        ("film", np.zeros((8, 8, 8, 3), np.uint8)),
    ],
)
def test_label_maps_that_are_no_volumes(fedsim, tmp_path, name, array):
    refused(fedsim("measure", write(tmp_path / f"{name}.nii.gz", array)), f"{name}.nii.gz")


def test_an_affine_that_cannot_be_inverted(fedsim, tmp_path):
    path = write(tmp_path / "squashed.nii", a_heart())
    content = bytearray(path.read_bytes())
    content[312:328] = bytes(16)  # srow_z of NIfTI-1: all voxels in one plane
    path.write_bytes(content)
    refused(fedsim("measure", path), "squashed.nii", "inverted")


@pytest.mark.parametrize("kind", ["nan", "constant", "apart", "ok"])
def test_cohort_check_finds_what_is_wrong_with_an_image(fedsim, tmp_path, kind):
    image = np.random.default_rng(0).normal(0, 100, (24, 24, 24)).astype(np.float32)
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    label_affine = affine.copy()
    if kind == "nan":
        image[3, 4, 5] = np.nan
    elif kind == "constant":
        image[:] = 7
    elif kind == "apart":
        affine[:3, 3] = 5000
    write(tmp_path / "p_image.nii.gz", image, affine)
    write(tmp_path / "p_label.nii.gz", a_heart(), label_affine)
    assert fedsim("cohort", "check", tmp_path)[0] == (0 if kind == "ok" else 3)


def test_a_damaged_model_file(fedsim, tmp_path):
    damaged = tmp_path / "model.safetensors"
    content = bytearray(resource_path("shape/heart.safetensors").read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    refused(fedsim("shape", "show", damaged), "model.safetensors")
    damaged.write_bytes(content[: len(content) // 2])
    refused(fedsim("shape", "show", damaged), "model.safetensors")


def test_a_model_of_another_version(fedsim, tmp_path):
    content = resource_path("shape/heart.safetensors").read_bytes()
    other = tmp_path / "later.safetensors"
    assert content.count(b"fedsim/shape-model/1") == 1
    other.write_bytes(content.replace(b"fedsim/shape-model/1", b"fedsim/shape-model/9"))
    refused(fedsim("shape", "show", other), "later.safetensors", "9")


def test_parameters_of_another_model(fedsim, tmp_path):
    path = tmp_path / "heart.json"
    content = {"schema": "fedsim/heart-parameters/1", "model_sha256": "0" * 64, "weights": [0.0] * 14}
    path.write_text(json.dumps(content))
    refused(fedsim("simulate", path, "-o", tmp_path / "out"), "heart.json")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source_detector_mm": 100.0}, "detector"),
        ({"views": 0}, "views"),
        ({"kvp": 90000}, "kvp"),
        ({"mas": -1}, "mas"),
    ],
)
def test_an_impossible_scanner(fedsim, tmp_path, change, word):
    shipped = json.loads(resource_path("ct/scanners.json").read_text())
    shipped["scanners"] = [{**shipped["scanners"][0], **change}]
    path = tmp_path / "odd_scanner.json"
    path.write_text(json.dumps(shipped))
    error = refused(fedsim("simulate", "--scanner", path, "-o", tmp_path / "out"), "odd_scanner.json")
    assert word in error.lower()
    assert not (tmp_path / "out").exists()


def test_a_negative_dose_and_an_unknown_scanner(fedsim, tmp_path):
    refused(fedsim("simulate", "--mas", "-5", "-o", tmp_path / "out"), "mas")
    refused(fedsim("simulate", "--scanner", "toaster", "-o", tmp_path / "out"), "toaster", "adult")


def test_a_recipe_with_a_tissue_of_negative_density(fedsim, tmp_path):
    water = {"key": "water", "name": "Water", "density_g_cm3": -1.0, "composition": {"H": 0.112, "O": 0.888}}
    scanner = json.loads(resource_path("ct/scanners.json").read_text())["scanners"][0]
    recipe = {
        "schema": "fedsim/simulation/1",
        "parameters": {"weights": [0.0] * 14},
        "scanner": scanner,
        "tissues": [water],
    }
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe))
    refused(fedsim("simulate", "--from", path, "-o", tmp_path / "out"), "recipe.json", "density")


def test_a_file_where_the_output_folder_should_be(fedsim, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, error = fedsim("shape", "sample", "-o", tmp_path / "out")
    assert code in (3, 5), error
    assert error.startswith("fedsim: ")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_full_disk_leaves_the_old_result(fedsim, tmp_path, monkeypatch):
    old = tmp_path / "model.json"
    old.write_text("old")

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(fedsim("shape", "sample", "-o", tmp_path), "disk is full", code=5)
    assert sorted(p.name for p in Path(tmp_path).iterdir()) == ["model.json"]


def test_a_zip_bomb_of_a_header_is_refused_before_memory_is_taken(fedsim, tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((30000, 30000, 30000))
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\0" * 4 + b"\0" * 100))
    refused(fedsim("measure", path), "bomb.nii.gz")
