"""What the pre-training of a site's enhancer can be told. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from FedSimCore.training.generator_config import CohortConfig


class SlicesConfig(CohortConfig):
    """What both recipes with an enhancer are told of slices and losses.

    Weights are GauGAN's (Park et al. 2019); ``slice_jump`` is ours.
    """

    site: str = Field(description="Site whose look is learnt; the cohort and the generator have cases of it.")
    feature_matching: float = Field(default=10.0, ge=0, description="Weight of the feature matching loss.")
    perceptual: float = Field(default=10.0, ge=0, description="Weight of the perceptual loss.")
    slice_jump: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the loss on steps between neighbouring slices; 0: none, as GauGAN.",
    )
    held_cases: int = Field(default=4, ge=0, description="Validation cases of the site that are measured on, at most.")


class EnhancerConfig(SlicesConfig):
    """Pre-training of one site's enhancer (Li et al. 2020, section 2.2) with GauGAN's losses and rates.

    An epoch shows every slice once; 30 epochs at full rate and 30 of linear decay are the paper's. The default of
    ``steps`` is 60 epochs of 12 hearts with 128 slices in batches of 8.
    """

    builder: ClassVar[str] = "FedSimCore.training.enhancer:build"
    summary: ClassVar[str] = "a site's enhancer and discriminator, from labelled CT and a generator (GauGAN)"
    paths: ClassVar[tuple[str, ...]] = ("cohort", "splits", "vgg19", "generator")
    may_change: ClassVar[frozenset[str]] = frozenset(
        {"learning_rate", "discriminator_learning_rate", "constant_share", "held_cases"}
    )
    main: ClassVar[tuple[str, ...]] = ("steps", "batch_size", "channels", "hidden", "slice_jump", "device")

    recipe: Literal["enhancer"] = "enhancer"
    generator: Path = Field(description="Model folder, or finished run of the recipe generator.")
    steps: int = Field(default=11520, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(default=8, ge=1, description="Slices (or pairs, with slice_jump) in one step.")
    channels: int = Field(default=64, ge=1, le=256, description="Width of the enhancer; 64 in GauGAN, 8 to ship.")
    hidden: int = Field(default=128, ge=1, le=512, description="Channels of each SPADE; 128 in GauGAN, 32 to ship.")
    shrinking: Literal["area", "nearest"] = Field(
        default="area", description="How the condition is made smaller: averaged, or picked as GauGAN does."
    )
    discriminator_channels: int = Field(default=64, ge=1, le=256, description="Width of the discriminator.")
    scanner: str | None = Field(
        default=None,
        description="Fixed materials only: the scanner that simulates. None: that of the site's name, else adult.",
    )
    surroundings: Literal["fat", "thorax", "none"] = Field(
        default="fat", description="Fixed materials only: what lies round the heart in the simulated condition."
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="Adam's rate for the enhancer.")
    discriminator_learning_rate: float = Field(default=4e-4, gt=0, description="Adam's rate for the discriminator.")
    constant_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the steps at full rate; after it, the rates fall linearly to 0."
    )
