"""At which size an experiment runs: the paper's, or one that fits a CPU (``Resources/experiments/scales``)."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from FedSimCore.errors import InputError
from FedSimCore.experiments.definition import checked_file
from FedSimCore.resources import resource_path

SCHEMA = "fedsim/experiment-scale/1"
Kind = Literal["generator", "enhancer", "semi-supervised", "segmenter"]


class Scale(BaseModel):
    """Grid, folds and lengths of trainings.

    Attributes:
        name: of the file.
        says: one sentence that stands above every table.
        size: voxels along each side of the working grid; a multiple of 32.
        spacing_mm: between voxels.
        phantom_spacing_mm: of phantoms; None: that of their scanners.
        folds: how many of the experiment's folds are run; None: all.
        cases: phantoms of each site; None: as many as the paper's site has.
        synthetic: generated hearts; None: as the experiment says.
        random_hearts: hearts of random intensity, of which SynthSeg-like baselines can have as many as they like.
        labelled: label sizes of all sites; None: the experiment's.
        recipes: fields of each recipe that differ from the one that ships.
        epochs: of recipes whose steps follow from the number of cases.
        pretrain_share: share of a segmenter's steps that are made on synthetic hearts, where a method has both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    name: str
    says: str
    size: int = Field(ge=32, le=512, multiple_of=32)
    spacing_mm: float = Field(gt=0, le=50)
    phantom_spacing_mm: float | None = Field(default=None, ge=0.3, le=5)
    folds: int | None = Field(default=None, ge=1)
    cases: int | None = Field(default=None, ge=2)
    synthetic: int | None = Field(default=None, ge=1)
    random_hearts: int = Field(default=200, ge=1)
    labelled: tuple[int, ...] | None = None
    recipes: dict[Kind, dict[str, Any]] = {}
    epochs: dict[Literal["enhancer", "semi-supervised"], int] = {}
    pretrain_share: float = Field(default=0.5, gt=0, lt=1)

    @field_validator("recipes")
    @classmethod
    def _leaves_the_plan_its_fields(cls, recipes: dict[Kind, dict[str, Any]]) -> dict[Kind, dict[str, Any]]:
        for kind, fields in recipes.items():
            taken = {"cohort", "splits", "fold", "site", "sites", "labelled", "generator", "model", "init"} & set(
                fields
            )
            if taken:
                raise ValueError(f"{kind}.{taken.pop()} is decided by the experiment")
        return recipes

    def steps(self, kind: Literal["enhancer", "semi-supervised"], cases: int, batch_size: int) -> int | None:
        """Return the steps of so many epochs; None where the recipe's ``steps`` count.

        Args:
            kind: of the recipe.
            cases: that it learns from.
            batch_size: slices (enhancer) or hearts (semi-supervised) in a step.
        """
        if kind not in self.epochs:
            return None
        samples = cases * self.size if kind == "enhancer" else cases
        return ceil(self.epochs[kind] * samples / batch_size)


def shipped_scales() -> dict[str, Path]:
    """Return the scales that ship, by name."""
    return {path.stem: path for path in sorted(resource_path("experiments/scales").glob("*.json"))}


def read_scale(name_or_file: str) -> Scale:
    """Read a scale.

    Args:
        name_or_file: ``"paper"``, ``"small"``, or path of a JSON file.

    Raises:
        InputError: there is no such scale, or the file can't be used.
    """
    path = shipped_scales().get(name_or_file, Path(name_or_file))
    if not path.exists() and path.suffix != ".json":
        raise InputError(f"There is no scale {name_or_file!r}; give {' or '.join(shipped_scales())}, or a JSON file.")
    return checked_file(Scale, path, SCHEMA)
