"""A recipe repeats a scan, also one that the Slicer module has made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from FedSimCore.ct.recipe import LabelTissue, Recipe, read_recipe, simulate, write_recipe
from FedSimCore.ct.scanners import scanner
from FedSimCore.errors import InputError
from FedSimCore.progress import silent
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.parameters import HeartParameters, Pose
from FedSimCore.volumes import Grid
from FedSimCore.worker import imaging
from FedSimCore.worker.engine import Engine
from FedSimCore.worker.protocol import GridSpec, Material, RenderTask, ScannerChoice
from FedSimCore.worker.recipes import recipe_of

HEART = HeartParameters(weights=(0.5, -1.0, 0.7), pose=Pose(rotation_rad=(0.1, 0.0, -0.2), translation_mm=(9, -4, 30)))
GRID = GridSpec.of(Grid.centered((24, 20, 22), (6.0, 7.0, 6.5), (10, -5, 28)))


class Unheard:
    """A reporter that keeps what is handed over and is silent of everything else."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}

    def hand_over(self, _: Any, arrays: dict[str, Any]) -> None:
        self.arrays.update(arrays)

    def check(self) -> None:
        """Go on."""

    def parts(self, weights: list[float]) -> Any:
        return iter([silent] * len(weights))


def task() -> RenderTask:
    return RenderTask(
        parameters=HEART,
        grid=GRID,
        scanners=(ScannerChoice(key="adult", changes={"views": 16}), ScannerChoice(changes={"views": 16, "kvp": 80})),
        materials={1: Material(base="blood_left", iodine_mg_ml=25.0), 5: Material(base="myocardium")},
        phase="venous",
        surroundings="fat",
        noise_seed=3,
    )


def test_a_recipe_of_the_modules_scan_gives_the_same_voxels(tmp_path: Path) -> None:
    engine, report = Engine("cpu", None), Unheard()
    answer = imaging.render(engine, task(), report)  # type: ignore[arg-type]
    for number in range(2):
        path = tmp_path / "scan.json"
        write_recipe(recipe_of(task(), number, builtin_model(None).checksum, {"patient": "Jane"}), path)
        repeated = simulate(read_recipe(path), builtin_model(None))
        assert repeated.image.grid.same_as(GRID.grid())
        np.testing.assert_allclose(repeated.image.array, report.arrays[f"hu_{number}"], atol=0.01)
        told = answer.result.scans[number].recipe  # type: ignore[union-attr]
        assert {**told, "provenance": {"patient": "Jane"}} == json.loads(path.read_text())


def test_materials_change_their_label_alone() -> None:
    plain = Recipe(
        parameters=HEART,
        grid=GRID,
        scanner=scanner("adult").with_changes(views=32),
        surroundings="none",
        noise_seed=None,
    )
    bright = plain.model_copy(update={"materials": {4: LabelTissue(base="blood_left", iodine_mg_ml=40.0)}})
    before, after = (simulate(recipe, builtin_model(None)) for recipe in (plain, bright))
    change = after.image.array - before.image.array
    assert change[before.labels.array == 4].mean() > 300
    assert abs(change[before.labels.array == 3].mean()) < 100


def test_a_recipe_is_read_without_torch() -> None:
    program = "import sys; import FedSimCore.worker.recipes; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_grid_for_a_label_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    recipe = Recipe(parameters=HEART, scanner=scanner("adult"))
    write_recipe(recipe, path)
    content = json.loads(path.read_text())
    content |= {"parameters": None, "labels": {"path": "a.nii", "sha256": ""}}
    content["grid"] = {"shape": GRID.shape, "affine": GRID.affine}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="leave out grid"):
        read_recipe(path)


def test_recipes_written_before_have_the_working_grid() -> None:
    recipe = Recipe(parameters=HEART, scanner=scanner("adult").with_changes(views=8), size=16, spacing_mm=10.0)
    with torch.no_grad():
        made = simulate(recipe.model_copy(update={"surroundings": "none"}), builtin_model(None))
    middle = (made.mesh.vertices.min(axis=0) + made.mesh.vertices.max(axis=0)) / 2
    np.testing.assert_allclose(made.image.grid.center_mm, middle, atol=1e-9)
