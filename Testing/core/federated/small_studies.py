"""Studies so small that a round takes a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from FedSimCore.federated.study import Study, checked_study
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.folder import RunFolder
from FedSimCore.tensor_files import read_tensors
from Testing.core.training.small_runs import MODES

SITES = ("a", "b")
TWO = {"least_in_round": 2}
"""Policy: kits ask for more cases in an update than these sites have."""


def small_study(cohort: Path, **changes: Any) -> Study:
    """Return a study of the two sites of the small CT cohort."""
    recipe = {
        "recipe": "generator",
        "shape_model": str(cohort.parent / "model.safetensors"),
        "modes": MODES,
        "size": 32,
        "spacing_mm": 6.25,
        "latent_size": 6,
        "hidden": [16],
        "coarse": "read",
        "batch_size": 2,
        "threads": 1,
        "device": "cpu",
        "picture_every": 1000,
    }
    fields = {
        "name": "small",
        "recipe": {**recipe, **changes.pop("recipe", {})},
        "sites": [{"name": name, "cohort": str(cohort), "cohort_site": name, "policy": TWO} for name in SITES],
        "rounds": 4,
        "checkpoint_every": 2,
        "deadline_s": 60,
    }
    return checked_study({**fields, **changes}, "the test")


def shapes_study(cohort: Path, **changes: Any) -> Study:
    """Return a study of shapes alone, whose rounds are quicker still."""
    recipe = {"material": "none", "size": 20, "spacing_mm": 10.0, **changes.pop("recipe", {})}
    return small_study(cohort, recipe=recipe, **changes)


def newest_state(run: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a run's newest checkpoint."""
    return read_tensors(CheckpointStore(RunFolder(run).checkpoints).stored()[0].tensors)[0]


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Compare states by their bytes, but for random generators that nothing draws from."""
    assert one.keys() == other.keys()
    states = [name for name in one if not name.startswith("random.")]
    different = [name for name in states if not torch.equal(one[name], other[name])]
    assert not different, f"{different[:4]} and {len(different)} in all"
