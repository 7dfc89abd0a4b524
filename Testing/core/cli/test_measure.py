import json

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.mesh_io import write_mesh

run = CliRunner().invoke


@pytest.fixture(scope="module")
def heart_file(tmp_path_factory):
    """A ball-shaped ventricle of radius 34 mm in a wall of 8 mm."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    vertices = np.concatenate((ball.vertices * 34, ball.vertices * 42))
    faces = np.concatenate((ball.faces, ball.faces + len(ball.vertices)))
    region = np.repeat([1, 2], len(ball.faces)).astype(np.uint8)
    path = tmp_path_factory.mktemp("measure") / "heart.vtp"
    write_mesh(path, HeartMesh(vertices, Topology(faces, region)))
    return path


def test_json_holds_every_measurement_with_its_norm_and_verdict(heart_file):
    result = run(app, ["measure", str(heart_file), "--sex", "female", "--json"])
    assert result.exit_code == 0
    found = {entry["key"]: entry for entry in json.loads(result.stdout)["measurements"]}
    assert found["lv_volume_ml"]["value"] == pytest.approx(4 / 3 * np.pi * 3.4**3, rel=0.02)
    assert found["lv_volume_ml"]["verdict"] == "normal"
    assert found["lv_wall_mean_mm"]["value"] == pytest.approx(8.0, abs=0.1)
    assert found["lv_wall_mean_mm"]["verdict"] == "high"
    assert found["lv_sphericity"]["low"] is None


def test_the_table_shouts_what_is_outside_the_norms(heart_file):
    result = run(app, ["measure", str(heart_file), "--sex", "female"])
    assert result.exit_code == 0
    assert "HIGH" in result.stdout
    assert "hindso2017" in result.stdout


def test_an_unknown_sex_and_a_missing_file_are_refused(heart_file, tmp_path):
    result = run(app, ["measure", str(heart_file), "--sex", "x"])
    assert isinstance(result.exception, InputError)
    result = run(app, ["measure", str(tmp_path / "none.nii.gz")])
    assert isinstance(result.exception, InputError)
    assert "none.nii.gz" in str(result.exception)
