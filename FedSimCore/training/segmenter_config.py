"""What the training of a segmenter can be told. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from FedSimCore.training.config import Precision, TrainingConfig


class SegmenterConfig(TrainingConfig):
    """Training of the 3D U-Net on a cohort, on chests made at random, or on both; ``init`` goes on from a model.

    The paper pre-trains on generated and fine-tunes on real hearts: two runs, the second with ``init``. "3D U-Net" and
    a batch of three is all that it tells; the rest is ours.
    """

    builder: ClassVar[str] = "FedSimCore.training.segmenter:build"
    summary: ClassVar[str] = "a segmenter (3D U-Net) of the whole heart or of seven regions"
    paths: ClassVar[tuple[str, ...]] = ("cohort", "splits", "init", "anatomies")
    may_change: ClassVar[frozenset[str]] = frozenset({"learning_rate", "held_cases"})
    main: ClassVar[tuple[str, ...]] = ("cohort", "synthetic", "init", "regions", "steps", "batch_size", "device")

    recipe: Literal["segmenter"] = "segmenter"
    steps: int = Field(default=2000, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(default=3, ge=1, description="Patches in one step, over all devices; 3 in the paper.")
    precision: Precision = Field(default="bf16-mixed", description="Mixed precisions are faster, on newer CPUs too.")
    cohort: Path | None = Field(default=None, description="Folder or cohort.csv with CT images and label maps.")
    sites: tuple[str, ...] = Field(default=(), description="Sites to learn from; none named: all.")
    splits: Path | None = Field(
        default=None, description="File of `fedsim cohort split`. None: the table's column split."
    )
    fold: int = Field(default=0, ge=0, description="Which of the splits' folds, counted from 0.")
    labelled: int | tuple[int, ...] | None = Field(
        default=None, description="Labelled cases of each site: one number, or one for each. None: all."
    )
    synthetic: int = Field(
        default=0, ge=0, le=100_000, validate_default=True, description="Chests made at random to learn from."
    )
    synthetic_source: Literal["both", "phantom", "model"] = Field(
        default="both",
        description="Chests are painted phantoms, or hearts of the shape model whose look is drawn anew (SynthSeg).",
    )
    synthetic_seed: int = Field(default=9_000_000, ge=0, le=2**31, description="Of the first random chest.")
    synthetic_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of samples from random chests where there is a cohort, too."
    )
    anatomies: Path | None = Field(default=None, description="Folder that keeps random chests for other runs.")
    init: Path | None = Field(default=None, description="Segmenter's file or finished run to start from.")
    regions: Literal["auto", "heart", "seven"] = Field(
        default="auto", description="One label for the heart, or seven. auto: as the model of init, else seven."
    )
    spacing_mm: float | None = Field(
        default=None, ge=0.3, le=10, description="Of the working grid. None: as the model of init, else 2 mm."
    )
    patch: int | None = Field(
        default=None, ge=16, le=512, description="Voxels along a patch. None: as the model of init, else 96."
    )
    channels: tuple[int, ...] | None = Field(
        default=None, description="Widths of the network's levels. None: as the model of init, else 32 to 256."
    )
    windows_hu: tuple[float, ...] | None = Field(
        default=None,
        description="HU windows, low and high of each in turn, an input channel for each. None: as the model of init, "
        "else -160, 240, -1000, 1000.",
    )
    augmentation: Literal["none", "plain", "wide"] = Field(
        default="plain", description="How much samples are changed; wide for scanners that were not seen."
    )
    flips: bool = Field(default=False, description="Mirror half of the samples; hearts then lose left and right.")
    learning_rate: float = Field(default=2e-3, gt=0, description="AdamW's highest rate.")
    warm_up: int = Field(default=50, ge=0, description="Steps in which the rate rises.")
    weight_decay: float = Field(default=1e-5, ge=0, description="AdamW's weight decay.")
    held_cases: int = Field(default=6, ge=0, description="Validation cases that the best model is chosen by, at most.")

    @field_validator("regions", mode="before")
    @classmethod
    def _auto(cls, regions: object) -> object:
        return "auto" if regions is None else regions

    @field_validator("synthetic")
    @classmethod
    def _has_data(cls, synthetic: int, info: ValidationInfo) -> int:
        if synthetic == 0 and info.data.get("cohort") is None:
            raise ValueError("there is nothing to learn from; give a cohort, or a number of synthetic chests")
        return synthetic

    @field_validator("windows_hu")
    @classmethod
    def _are_pairs(cls, windows: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if windows is not None:
            lows, highs = windows[::2], windows[1::2]
            if not windows or len(windows) % 2 or any(low >= high for low, high in zip(lows, highs, strict=True)):
                raise ValueError("windows are pairs of a low and a higher number")
        return windows

    @property
    def windows(self) -> tuple[tuple[float, float], ...] | None:
        """The windows as pairs of low and high."""
        given = self.windows_hu
        return None if given is None else tuple(zip(given[::2], given[1::2], strict=True))
