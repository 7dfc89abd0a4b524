"""What the pre-training of the heart generator can be told. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from FedSimCore.training.config import TrainingConfig


class CohortConfig(TrainingConfig):
    """What all recipes of the generative model are told of their data."""

    cohort: Path = Field(description="Folder or cohort.csv with CT images and label maps (docs/data.md).")
    splits: Path | None = Field(
        default=None,
        description="File of `fedsim cohort split`, whose training cases are used. None: the table's column split.",
    )
    fold: int = Field(default=0, ge=0, description="Which of the splits' folds, counted from 0.")
    vgg19: Path | None = Field(
        default=None,
        description="torchvision's vgg19-dcbb9e9d.pth for the perceptual loss; None: random features.",
    )


class GeneratorConfig(CohortConfig):
    """Pre-training of shape and material generator on shared latents (Li et al. 2020, section 2.2).

    Sizes, losses and what is rendered are the paper's. Rates, steps and batches are ours: the paper's supplement, which
    has them, is not public with it.
    """

    builder: ClassVar[str] = "FedSimCore.training.generator:build"
    summary: ClassVar[str] = "shape and material generator with their latents, from labelled CT (GLO)"
    paths: ClassVar[tuple[str, ...]] = ("cohort", "splits", "vgg19", "shape_model")
    may_change: ClassVar[frozenset[str]] = frozenset(
        {"learning_rate", "material_learning_rate", "latent_learning_rate", "constant_share"}
    )
    main: ClassVar[tuple[str, ...]] = (
        "sites",
        "labelled",
        "material",
        "coarse",
        "steps",
        "batch_size",
        "size",
        "spacing_mm",
        "device",
    )

    recipe: Literal["generator"] = "generator"
    steps: int = Field(default=2000, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(default=4, ge=1, description="Hearts in one step, over all devices.")
    sites: tuple[str, ...] = Field(default=(), description="Sites to learn from; none named: all.")
    labelled: int | tuple[int, ...] | None = Field(
        default=None,
        description="Cases of each site that show their labels: one number for all sites, or one for each. None: all.",
    )
    size: int = Field(default=128, ge=16, le=512, description="Voxels along each side of the working grid.")
    spacing_mm: float = Field(default=1.25, gt=0, le=50, description="Millimetres between voxels.")
    shape_model: Path | None = Field(default=None, description="Shape model file; None: the one that ships.")
    modes: int = Field(default=14, ge=1, description="Modes of the shape model that are used.")
    latent_size: int = Field(default=32, ge=1, description="Numbers learnt for each heart.")
    hidden: tuple[int, ...] = Field(default=(256, 128), description="Widths of the shape generator's hidden layers.")
    material: Literal["learnt", "none"] = Field(
        default="learnt", description="Learn a material map, or only shapes, for fixed materials (the paper's Fix-Mat)."
    )
    coarse: Literal["rendered", "read"] = Field(
        default="rendered",
        description="The coarse CT is a scan of the material map, as in the paper, or the map itself.",
    )
    gradient: Literal["boundary", "finite-differences"] = Field(
        default="boundary", description="How the IoU loss reaches the shape; the paper took finite differences."
    )
    mse_weight: float = Field(default=1.0, ge=0, description="Weight of the coarse CT's mean squared error.")
    perceptual_weight: float = Field(default=1.0, ge=0, description="Weight of the coarse CT's perceptual loss.")
    learning_rate: float = Field(default=3e-3, gt=0, description="Adam's rate for the shape generator.")
    material_learning_rate: float = Field(default=3e-4, gt=0, description="Adam's rate for the material generator.")
    latent_learning_rate: float = Field(default=1e-2, gt=0, description="Adam's rate for the latents.")
    constant_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the steps at full rate; after it, the rates fall linearly to 0."
    )
