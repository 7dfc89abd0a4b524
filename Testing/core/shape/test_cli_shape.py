import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cli.shape import app
from FedSimCore.errors import InputError
from FedSimCore.shape.cohort import read_hearts
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.mesh_io import read_mesh
from FedSimCore.shape.parameters import HeartParameters, read_parameters
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import write_label_map
from Testing.core.shape.ellipsoid_hearts import ellipsoid_heart
from Testing.core.shape.small_model import small_model


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def model_path(tmp_path) -> Path:
    path = tmp_path / "small.safetensors"
    small_model().save(path)
    return path


def without(heart: LabelledHeart, label: int) -> Volume:
    array = heart.labels.array.copy()
    array[array == label] = 0
    return Volume(array, heart.labels.grid)


def test_show_tells_provenance_and_as_json_everything(model_path):
    assert "from 3 cases of blobs" in run("show", model_path)
    shown = json.loads(run("show", model_path, "--json"))
    assert shown["modes"] == 3
    assert shown["eigenvalues_mm2"] == [9000, 4000, 2000]
    assert shown["provenance"]["command"] == "test"


def test_a_sampled_heart_projects_back_onto_its_own_parameters(tmp_path, model_path):
    run("sample", "-m", model_path, "-n", 2, "--seed", 3, "--pose", "-o", tmp_path / "hearts")
    model = small_model()
    for number in range(2):
        made_of = read_parameters(tmp_path / f"hearts/heart-000{number}.json", 3)
        mesh = read_mesh(tmp_path / f"hearts/heart-000{number}.vtp")
        np.testing.assert_allclose(mesh.vertices, model.mesh(made_of).vertices, atol=1e-3)
        found = json.loads(run("project", tmp_path / f"hearts/heart-000{number}.vtp", "-m", model_path, "--json"))
        np.testing.assert_allclose(
            HeartParameters.model_validate(found["parameters"]).vector(), made_of.vector(), atol=5e-3
        )
        assert found["vertex_distance_mean_mm"] < 0.01


def test_fit_writes_parameters_and_a_mesh(tmp_path, model_path):
    heart = ellipsoid_heart(spacing_mm=5.0)
    write_label_map(heart.labels, tmp_path / "p.nii.gz")
    shown = run(
        "fit",
        tmp_path / "p.nii.gz",
        "-m",
        model_path,
        "-o",
        tmp_path / "p.json",
        "--mesh",
        tmp_path / "p.vtp",
        "--json",
    )
    result = json.loads(shown)
    assert result["mean_dice"] > 0.6  # another family of hearts
    assert set(result["dice"]) == {"lv", "myo", "rv", "la", "ra", "ao", "pa"}
    assert read_parameters(tmp_path / "p.json", 3).model_dump(mode="json") == result["parameters"]
    assert read_mesh(tmp_path / "p.vtp").topology.labels == (1, 2, 3, 4, 5, 6, 7)


def test_a_wrong_file_name_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="name the model file so"):
        run("build", tmp_path, "-o", tmp_path / "model.npz")


def test_an_unknown_distribution_is_refused(tmp_path, model_path):
    with pytest.raises(InputError, match="choose normal or uniform"):
        run("sample", "-m", model_path, "--distribution", "beta", "-o", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_unlabelled_and_incomplete_cases_are_named(tmp_path):
    heart = ellipsoid_heart(spacing_mm=5.0)
    write_label_map(heart.labels, tmp_path / "a_label.nii.gz")
    write_label_map(without(heart, 7), tmp_path / "b_label.nii.gz")
    table = tmp_path / "cohort.csv"
    table.write_text("case,image,label\na,,a_label.nii.gz\nb,,b_label.nii.gz\nc,c.nii.gz,\n")
    with pytest.raises(InputError, match="b has no voxels of region Pulmonary artery"):
        read_hearts(table)
    read = read_hearts(table, skip_incomplete=True)
    assert [h.name for h in read.hearts] == ["a"]
    assert read.skipped[0].startswith("b has no voxels")
    assert read.skipped[1] == "c has no label map."
    with pytest.raises(InputError, match="at least 3 labelled cases, but there is 1"):
        run("build", table, "--skip-incomplete", "-o", tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def test_a_cohort_without_labels_is_refused(tmp_path):
    table = tmp_path / "cohort.csv"
    table.write_text("case,image\nc,c.nii.gz\n")
    with pytest.raises(InputError, match="no labelled case"):
        read_hearts(table)
