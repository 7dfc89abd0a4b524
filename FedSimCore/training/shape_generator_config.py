"""What the pre-training of the shape generator can be told. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from FedSimCore.training.config import TrainingConfig


class ShapeGeneratorConfig(TrainingConfig):
    """Pre-training of the shape generator (Li et al. 2020, section 2.2) on the label maps of a cohort.

    The network's sizes and the number of modes are the paper's. Rates, steps and batches are ours: the paper's
    supplement, which has them, is not public with it.
    """

    builder: ClassVar[str] = "FedSimCore.training.shape_generator:build"
    summary: ClassVar[str] = "shape generator with its latents, from label maps by the IoU loss (GLO)"
    paths: ClassVar[tuple[str, ...]] = ("cohort", "shape_model")
    may_change: ClassVar[frozenset[str]] = frozenset({"learning_rate", "latent_learning_rate", "constant_share"})
    main: ClassVar[tuple[str, ...]] = ("sites", "steps", "batch_size", "size", "spacing_mm", "learning_rate", "device")

    recipe: Literal["shape-generator"] = "shape-generator"
    steps: int = Field(default=2000, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(default=4, ge=1, description="Hearts in one step, over all devices.")
    cohort: Path = Field(description="Folder or cohort.csv with label maps (docs/data.md).")
    sites: tuple[str, ...] = Field(default=(), description="Sites to learn from; none named: all.")
    size: int = Field(default=128, ge=8, le=512, description="Voxels along each side of the working grid.")
    spacing_mm: float = Field(default=1.25, gt=0, le=50, description="Millimetres between voxels.")
    shape_model: Path | None = Field(default=None, description="Shape model file; None: the one that ships.")
    modes: int = Field(default=14, ge=1, description="Modes of the shape model that are used.")
    latent_size: int = Field(default=32, ge=1, description="Numbers learnt for each heart.")
    hidden: tuple[int, ...] = Field(default=(256, 128), description="Widths of the generator's hidden layers.")
    gradient: Literal["boundary", "finite-differences"] = Field(
        default="boundary", description="How the IoU loss reaches the shape; the paper took finite differences."
    )
    learning_rate: float = Field(default=3e-3, gt=0, description="Adam's rate for the generator.")
    latent_learning_rate: float = Field(default=3e-2, gt=0, description="Adam's rate for the latents.")
    constant_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the steps at full rate; after it, the rates fall linearly to 0."
    )
