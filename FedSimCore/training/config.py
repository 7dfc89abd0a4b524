"""What every recipe can be told: seed, device, precision, steps, batches, and how often to tell and save. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class TrainingConfig(BaseModel):
    """Base of all recipes' configs; a recipe adds fields, and says by name what builds it.

    Every field has a description: forms and error messages show it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    builder: ClassVar[str]
    """Function that makes the :class:`~FedSimCore.training.task.Task`, as ``"package.module:function"``."""
    summary: ClassVar[str]
    """What the recipe trains, in one line."""
    paths: ClassVar[tuple[str, ...]] = ()
    """Fields that are paths; in a recipe file they may be relative to it."""
    may_change: ClassVar[frozenset[str]] = frozenset()
    """Fields of its own that a resumed session may have changed."""
    main: ClassVar[tuple[str, ...]] = ("steps", "batch_size", "device")
    """Fields that a form shows at first, in its order, beside those that must be given; the others are folded away."""

    recipe: str = Field(description="What is trained.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Of every random number; the same gives the same.")
    steps: int = Field(ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(ge=1, description="Cases in one step, over all devices.")
    micro_batch: int | None = Field(
        default=None, ge=1, description="Cases computed at once; fewer need less memory for the same step. None: all."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to compute.")
    devices: int = Field(default=1, ge=1, le=64, description="Graphics cards (or CPU processes) that share a step.")
    precision: Precision = Field(default="32-true", description="Mixed precisions are faster on graphics cards.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; None: as many as torch likes.")
    report_every: int = Field(default=10, ge=1, description="Steps between two progress events.")
    evaluate_every: int = Field(default=100, ge=1, description="Steps between two measurements of the model.")
    picture_every: int = Field(default=500, ge=1, description="Steps between two sets of pictures.")
    checkpoint_every: int = Field(default=100, ge=1, description="Steps between two checkpoints.")
    checkpoint_minutes: float = Field(default=10, gt=0, description="Minutes after which slow steps are saved too.")
    checkpoints_kept: int = Field(default=2, ge=1, description="Newest checkpoints that are kept.")


MAY_CHANGE = frozenset(
    {
        "steps",
        "micro_batch",
        "device",
        "devices",
        "precision",
        "threads",
        "report_every",
        "evaluate_every",
        "picture_every",
        "checkpoint_every",
        "checkpoint_minutes",
        "checkpoints_kept",
    }
)
"""Common fields that a resumed session may have changed; a recipe names its own in ``may_change``."""
