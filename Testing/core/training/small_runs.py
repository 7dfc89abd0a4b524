"""A real recipe so small that a whole training takes a second or two."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Event, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.tensor_files import read_tensors
from FedSimCore.training.enhancer_config import EnhancerConfig
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.recipes import checked_config
from FedSimCore.training.semi_supervised_config import SemiSupervisedConfig
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import read_label_map, write_label_map, write_volume
from Testing.core.shape.small_model import small_model

SIZE, SPACING_MM, MODES = 20, 10.0, 3
QUICK = {
    "threads": 1,
    "device": "cpu",
    "report_every": 4,
    "evaluate_every": 6,
    "picture_every": 12,
    "checkpoint_every": 5,
}


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


def write_ct_cohort(folder: Path, cases: int = 6) -> Path:
    """Write a cohort with images too: each region has its own HU, which go along with the heart's first mode.

    Of the two sites the second is darker. Returns the cohort's folder.
    """
    cohort, model = write_cohort(folder, cases), small_model()
    weights = model.sample(cases, torch.Generator().manual_seed(0), pose=True)[:, 0]
    noise = np.random.default_rng(0)
    rows = []
    for number in range(cases):
        label = read_label_map(cohort / f"heart{number}_label.nii.gz")
        levels = np.array([-400.0, 300, 100, 280, 260, 240, 320, 200]) + 60 * float(weights[number]) - 80 * (number % 2)
        image = levels[label.array] + noise.normal(0, 20, label.array.shape)
        write_volume(Volume(image.astype(np.float32), label.grid), cohort / f"heart{number}_image.nii.gz")
        rows.append(f"heart{number},heart{number}_image.nii.gz,heart{number}_label.nii.gz,{'ab'[number % 2]}")
    (cohort / "cohort.csv").write_text("\n".join(["case,image,label,site", *rows]))
    return cohort


def generator_config(cohort: Path, **changes: Any) -> GeneratorConfig:
    """Return a config of the recipe generator on a coarse grid."""
    fields = {
        "recipe": "generator",
        "cohort": str(cohort),
        "shape_model": str(cohort.parent / "model.safetensors"),
        "modes": MODES,
        "size": 32,
        "spacing_mm": 6.25,
        "latent_size": 6,
        "hidden": [16],
        "coarse": "read",
        "steps": 4,
        "batch_size": 3,
        **QUICK,
    }
    config = checked_config({**fields, **changes}, "the test")
    assert isinstance(config, GeneratorConfig)
    return config


def enhancer_config(cohort: Path, generator: Path, **changes: Any) -> EnhancerConfig:
    """Return a config of the recipe enhancer, for site a, with networks of a few thousand weights."""
    fields = {
        "recipe": "enhancer",
        "cohort": str(cohort),
        "generator": str(generator),
        "site": "a",
        "channels": 1,
        "hidden": 4,
        "discriminator_channels": 4,
        "steps": 4,
        "batch_size": 6,
        **QUICK,
    }
    config = checked_config({**fields, **changes}, "the test")
    assert isinstance(config, EnhancerConfig)
    return config


def semi_supervised_config(cohort: Path, model: Path, **changes: Any) -> SemiSupervisedConfig:
    """Return a config of the recipe semi-supervised, for site a."""
    fields = {
        "recipe": "semi-supervised",
        "cohort": str(cohort),
        "model": str(model),
        "site": "a",
        "steps": 4,
        "batch_size": 1,
        "slices": 3,
        **QUICK,
    }
    config = checked_config({**fields, **changes}, "the test")
    assert isinstance(config, SemiSupervisedConfig)
    return config


def stop_after(run: RunFolder, step: int) -> Callable[[Event], None]:
    """Return a listener that asks a run to stop once it has told of a step; tell of every step."""

    def listen(event: Event) -> None:
        if getattr(event, "step", 0) >= step and not run.stop_file.exists():
            run.stop_file.touch()
            time.sleep(0.25)  # the run looks five times a second, and could end before it looks again

    return listen


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
        **QUICK,
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
