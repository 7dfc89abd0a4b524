"""``fedsim segment`` from files to files, and what it says of files that hold no CT."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.errors import DiskError, InputError
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_label_map, read_volume, write_volume
from Testing.core.segmentation.thresholds import heart_labels, painted, thresholds, untrained


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained().save(tmp_path_factory.mktemp("model") / "small.safetensors")


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "chest.nii.gz"
    write_volume(painted(heart_labels(3.0)), path)
    return path


@pytest.fixture
def by_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file is named, the segmenter is the one that knows the regions' HU."""
    monkeypatch.setattr("FedSimCore.segmentation.model_file.Segmenter.load", lambda path: thresholds())


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["segment", *map(str, arguments), "--device", "cpu"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([3.0, 3, 3, 1]) if affine is None else affine), path)
    return path


def test_labels_are_written_on_the_scans_grid_with_volumes(scan: Path, model: Path, tmp_path: Path, by_thresholds):
    told = json.loads(run(scan, "-m", model, "-o", tmp_path / "out", "--uncertainty", "--json"))
    row = told["scans"][0]
    labels = read_label_map(Path(row["labels"]))
    assert Path(row["labels"]).name == "chest_label.nii.gz"
    assert labels.grid.same_as(read_volume(scan).grid)
    assert row["found"]
    assert row["volumes_ml"]["lv"] == pytest.approx(np.count_nonzero(labels.array == 1) * 27 / 1000, abs=0.01)
    uncertainty = read_volume(Path(row["uncertainty"]))
    assert uncertainty.grid.same_as(labels.grid)
    assert 0 <= uncertainty.array.min() < uncertainty.array.max() <= 1
    assert told["regions"]["myo"] == "Left ventricular myocardium" or "yocardium" in told["regions"]["myo"]


def test_a_table_for_people_says_that_it_is_not_for_clinical_use(scan, model, tmp_path, by_thresholds):
    told = run(scan, "-m", model, "-o", tmp_path / "labels.nii.gz")
    assert "Not for clinical use" in told
    assert (tmp_path / "labels.nii.gz").exists()


def test_of_several_scans_a_bad_one_does_not_cost_the_others(scan, model, tmp_path, by_thresholds):
    bad = nifti(tmp_path / "constant.nii.gz", np.zeros((40, 40, 40), np.float32))
    with pytest.raises(InputError, match=r"1 of 2 scans could not be segmented: .*constant"):
        run(bad, scan, "-m", model, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "chest_label.nii.gz").exists()


def test_two_scans_of_the_same_name_are_refused_before_anything_is_written(scan, model, tmp_path):
    with pytest.raises(InputError, match="segment them one by one"):
        run(scan, scan, "-m", model, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [((50, 50), "2|two|three"), ((40, 40, 40, 3), "4|four|three"), ((4, 80, 80), "12 mm thin")],
)
def test_a_scan_of_another_shape_is_refused(shape, sentence, model, tmp_path):
    array = np.random.default_rng(0).normal(0, 100, shape).astype(np.float32)
    with pytest.raises(InputError, match=sentence):
        run(nifti(tmp_path / "a.nii.gz", array), "-m", model, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_colour_image_is_refused(model, tmp_path):
    colours = np.zeros((40, 40, 40), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match=r"[Cc]olour|RGB"):
        run(nifti(tmp_path / "a.nii.gz", colours), "-m", model, "-o", tmp_path / "out")


@pytest.mark.parametrize(("value", "sentence"), [(np.nan, "NaN"), (0.0, "constant|[Ee]very voxel")])
def test_a_scan_without_meaning_is_refused(value, sentence, model, tmp_path):
    with pytest.raises(InputError, match=sentence):
        run(nifti(tmp_path / "a.nii.gz", np.full((40, 40, 40), value, np.float32)), "-m", model, "-o", tmp_path / "o")


def test_mr_is_told_but_tried(scan, model, tmp_path, by_thresholds):
    volume = read_volume(scan)
    path = tmp_path / "mr.nii.gz"
    write_volume(Volume((volume.array + 900) / 4, volume.grid), path)
    row = json.loads(run(path, "-m", model, "-o", tmp_path / "out", "--json"))["scans"][0]
    assert any("looks like MR" in sentence for sentence in row["warnings"])


def test_a_scan_without_geometry_is_told(scan, model, tmp_path, by_thresholds):
    image = nib.Nifti1Image(read_volume(scan).array, None)
    image.header.set_zooms((3, 3, 3))
    nib.save(image, tmp_path / "lost.nii.gz")
    row = json.loads(run(tmp_path / "lost.nii.gz", "-m", model, "-o", tmp_path / "out", "--json"))["scans"][0]
    assert any("lost.nii.gz" in sentence for sentence in row["warnings"])


def test_another_models_file_is_refused(scan, tmp_path):
    other = Path("Resources/shape/heart.safetensors")
    with pytest.raises(InputError, match=r"segmenter|no weights of FedSim"):
        run(scan, "-m", other, "-o", tmp_path / "out")


def test_a_full_disk_gives_one_sentence_and_leaves_no_half_file(scan, model, tmp_path, by_thresholds, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("nibabel.save", full)
    monkeypatch.setattr("nibabel.nifti1.Nifti1Image.to_filename", full)
    with pytest.raises(DiskError):
        run(scan, "-m", model, "-o", tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_a_device_that_is_unknown_is_refused(scan, model, tmp_path):
    result = CliRunner().invoke(app, ["segment", str(scan), "-m", str(model), "-o", str(tmp_path), "--device", "tpu"])
    assert "choose one of auto, cpu, cuda" in str(result.exception)


def test_export_writes_a_bundle(model, tmp_path):
    result = CliRunner().invoke(app, ["segment-export", str(model), "-o", str(tmp_path / "bundle")])
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "bundle" / "configs" / "metadata.json").exists()
