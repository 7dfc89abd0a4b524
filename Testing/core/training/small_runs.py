"""A real recipe so small that a whole training takes a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Event, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.tensor_files import read_tensors
from FedSimCore.training.recipes import checked_config
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map
from Testing.core.shape.small_model import small_model

SIZE, SPACING_MM, MODES = 20, 10.0, 3


def write_cohort(folder: Path, cases: int = 5) -> Path:
    """Write label maps of hearts that the small model can reach, and the model itself; return the cohort's folder."""
    model, grid = small_model(), Grid.centered(28, 7.0, (20, -30, 40))
    model.save(folder / "model.safetensors")
    cohort = folder / "cohort"
    parameters = model.sample(cases, torch.Generator().manual_seed(0), pose=True)
    parameters[:, MODES + 3 : MODES + 6] += torch.tensor(grid.center_mm, dtype=torch.float32)
    for number, labels in enumerate(label_map(model.vertices(parameters), model.topology, grid)):
        write_label_map(Volume(labels.numpy(), grid), cohort / f"heart{number}_label.nii.gz")
    rows = [f"heart{number},heart{number}_label.nii.gz,{'ab'[number % 2]}" for number in range(cases)]
    (cohort / "cohort.csv").write_text("\n".join(["case,label,site", *rows]))
    return cohort


def small_config(cohort: Path, **changes: Any) -> ShapeGeneratorConfig:
    """Return a config of the real recipe on a coarse grid, with pictures and measurements on the way."""
    fields = {
        "recipe": "shape-generator",
        "cohort": str(cohort),
        "shape_model": str(cohort.parent / "model.safetensors"),
        "modes": MODES,
        "size": SIZE,
        "spacing_mm": SPACING_MM,
        "latent_size": 4,
        "hidden": [8],
        "steps": 24,
        "batch_size": 3,
        "threads": 1,
        "device": "cpu",
        "report_every": 4,
        "evaluate_every": 6,
        "picture_every": 12,
        "checkpoint_every": 5,
    }
    config = checked_config({**fields, **changes}, "the test")
    assert isinstance(config, ShapeGeneratorConfig)
    return config


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    """Return everything in the newest checkpoint, optimizer and random state too, without its random state's name."""
    newest = CheckpointStore(RunFolder(run).checkpoints).stored()[0]
    return read_tensors(newest.tensors)[0]


def events_of(run: Path) -> list[Event]:
    """Return all events of a run."""
    return read_events(RunFolder(run).events_file)[0]


def assert_same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Compare tensors by their bytes."""
    assert one.keys() == other.keys()
    different = [name for name in one if one[name].numpy().tobytes() != other[name].numpy().tobytes()]
    assert different == []
