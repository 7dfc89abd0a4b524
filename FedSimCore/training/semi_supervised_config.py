"""What the semi-supervised stage can be told. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from FedSimCore.training.enhancer_config import SlicesConfig


class SemiSupervisedConfig(SlicesConfig):
    """The paper's full model (Li et al. 2020, section 2.2): labelled and unlabelled hearts in turn.

    Alternation, losses, the frozen discriminator and the schedule of 30 + 30 epochs are the paper's; rates and batches
    are ours. The default of ``steps`` is 60 epochs of 12 hearts in batches of 2, if half of them are labelled.
    """

    builder: ClassVar[str] = "FedSimCore.training.semi_supervised:build"
    summary: ClassVar[str] = "generator and enhancer of a site, from labelled and unlabelled CT in turn (Full)"
    paths: ClassVar[tuple[str, ...]] = ("cohort", "splits", "vgg19", "model", "images")
    may_change: ClassVar[frozenset[str]] = frozenset(
        {
            "learning_rate",
            "material_learning_rate",
            "latent_learning_rate",
            "enhancer_learning_rate",
            "constant_share",
            "held_cases",
        }
    )
    main: ClassVar[tuple[str, ...]] = ("steps", "batch_size", "slices", "learning_rate", "device")

    recipe: Literal["semi-supervised"] = "semi-supervised"
    model: Path = Field(description="Model folder with the site's enhancer and discriminator, or the enhancer's run.")
    images: Path | None = Field(
        default=None, description="Another cohort of the site: its CT images are learnt from too, without any labels."
    )
    steps: int = Field(default=360, ge=1, description="Steps of the whole run, labelled and unlabelled ones together.")
    batch_size: int = Field(default=2, ge=1, description="Hearts in one step, over all devices.")
    slices: int = Field(default=4, ge=1, description="Random slices of each heart in a step (pairs, with slice_jump).")
    mse_weight: float = Field(default=1.0, ge=0, description="Weight of the coarse CT's mean squared error.")
    perceptual_weight: float = Field(default=1.0, ge=0, description="Weight of the coarse CT's perceptual loss.")
    enhancer_weight: float = Field(
        default=0.1, ge=0, description="Weight of the enhancer's losses beside those of shape and coarse CT."
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="Adam's rate for the shape generator.")
    material_learning_rate: float = Field(default=1e-5, gt=0, description="Adam's rate for the material generator.")
    latent_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's rate for the latents.")
    enhancer_learning_rate: float = Field(default=1e-4, gt=0, description="Adam's rate for the enhancer.")
    constant_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the steps at full rate; after it, the rates fall linearly to 0."
    )
