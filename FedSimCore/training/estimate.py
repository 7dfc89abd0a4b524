"""What a training will cost in memory and time, before it starts. No torch.

Memory is ``base + at_once * (bytes for a unit) + cases * (bytes kept for a voxel)``, time is ``steps * (seconds for a
step + seconds for a unit * units)``. Units are what the costs of a recipe grow with: voxels of whole hearts, or pixels
times channels of an enhancer. The numbers were measured by ``python -m Testing.benchmarks.training_costs`` and lie in
``Resources/training/costs.json``. Time comes rather from an earlier run of the same recipe on this computer, scaled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from FedSimCore.errors import FedSimError
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.runs.events import Progressed, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.recipes import checked_config

FEWEST_STEPS = 5
"""Of an earlier run, before its pace counts."""
USUAL_SIZE = 128
"""Voxels along each side of the working grid."""


class Estimate(BaseModel):
    """What a training will cost.

    Attributes:
        memory_mb: peak of the process, MB; None if that was never measured for the recipe.
        seconds: of all steps; None while unknown.
        seconds_from: what ``seconds`` rests on, or why it is unknown.
        cases: in the cohort; None if it cannot be read.
    """

    model_config = ConfigDict(frozen=True)
    memory_mb: int | None = None
    seconds: float | None = None
    seconds_from: str = ""
    cases: int | None = None


class Costs(BaseModel):
    """Measured costs of a recipe.

    Attributes:
        base_mb: of a process that has the libraries and the networks.
        unit_bytes: while a case is computed, for each of its units of memory.
        case_bytes: kept for each voxel of every case of the cohort.
        step_s: of a step, without its units.
        unit_s: of a step, for each unit of time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    base_mb: float
    unit_bytes: float
    case_bytes: float
    step_s: float
    unit_s: float


class CostTable(BaseModel):
    """Costs by recipe.

    Attributes:
        machine: on which they were measured.
        recipes: kind to costs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    machine: str
    recipes: Mapping[str, Costs]


@cache
def cost_table() -> CostTable:
    """Return the measured costs."""
    return CostTable.model_validate(read_json(resource_path("training/costs.json")))


class Units(NamedTuple):
    """What the costs of one case of a step grow with.

    Attributes:
        memory: while it is computed.
        time: to compute it.
        kept: voxels that are kept of every case of the cohort.
    """

    memory: float
    time: float
    kept: float


def units_of_a_case(config: TrainingConfig) -> Units | None:
    """Return in what the costs of one case of the config are counted; None for an unknown recipe."""
    units = _UNITS.get(config.recipe)
    return None if units is None else units(config)


def estimate(config: TrainingConfig, earlier: Sequence[RunFolder] = ()) -> Estimate:
    """Estimate the costs of a config.

    Args:
        config: what is to be trained.
        earlier: runs on this computer, the most telling first; those of other recipes are left out.
    """
    costs, units, cases = cost_table().recipes.get(config.recipe), units_of_a_case(config), _cases(config)
    memory = None
    if costs is not None and units is not None:
        at_once = min(config.micro_batch or config.batch_size, config.batch_size)
        kept = (cases or 0) * costs.case_bytes * units.kept
        memory = round(costs.base_mb + (at_once * costs.unit_bytes * units.memory + kept) / 1e6)
    seconds, why = _seconds(config, costs, units, earlier)
    return Estimate(memory_mb=memory, seconds=seconds, seconds_from=why, cases=cases)


def seconds_per_step(history: RunHistory) -> float | None:
    """Return the pace of a run's newest session, with saving, measuring and pictures; None before it is known."""
    started = [n for n, event in enumerate(history.events) if isinstance(event, Started)]
    if not started:
        return None
    told = [event for event in history.events[started[-1] :] if isinstance(event, Progressed) and event.total]
    # The first step is left out: libraries warm up in it.
    if len(told) < 2 or told[-1].step - told[0].step < FEWEST_STEPS:
        return None
    return (told[-1].time - told[0].time) / (told[-1].step - told[0].step)


def _seconds(
    config: TrainingConfig, costs: Costs | None, units: Units | None, earlier: Sequence[RunFolder]
) -> tuple[float | None, str]:
    if units is None:
        return None, "this recipe was never measured"
    for run in earlier:
        found = _pace_of(run, config, units)
        if found is not None:
            return config.steps * found, f"from the pace of the run {run.name} on this computer"
    if costs is None:
        return None, "this recipe was never measured"
    if config.device == "cuda":
        return None, "no run of it on this graphics card yet"
    seconds = config.steps * (costs.step_s + costs.unit_s * units.time * config.batch_size)
    return seconds, f"measured on {cost_table().machine}; a graphics card is faster"


def _pace_of(run: RunFolder, config: TrainingConfig, units: Units) -> float | None:
    """Return the seconds that a step of the config takes by the pace of an earlier run; None if that tells nothing."""
    try:
        fields = run.config()
        if fields.get("recipe") != config.recipe or fields.get("device") != config.device:
            return None
        before = checked_config(fields, run.config_file)
        pace = seconds_per_step(RunHistory(run))
    except FedSimError:
        return None
    units_before = units_of_a_case(before)
    if pace is None or not units_before:
        return None
    return pace * (units.time * config.batch_size) / (units_before.time * before.batch_size)


def _cases(config: TrainingConfig) -> int | None:
    from FedSimCore.cohorts import read_cohort

    path = getattr(config, "cohort", None)
    try:
        return None if path is None else len(read_cohort(path).cases)
    except (FedSimError, OSError):
        return None


def _hearts(config: Any) -> Units:
    voxels = float(config.size) ** 3
    return Units(voxels, voxels, voxels)


def _slices(config: Any) -> Units:
    size = _model_size(config.generator)
    pixels = float(size) ** 2
    widths = config.channels + config.discriminator_channels + config.hidden
    # Layers of the SPADE generator go from its hidden channels to its own, and from those to those.
    layers = config.channels * (config.channels + config.hidden)
    return Units(pixels * widths, pixels * layers, float(size) ** 3)


def _hearts_of_a_model(config: Any) -> Units:
    voxels = float(_model_size(config.model)) ** 3
    return Units(voxels, voxels, voxels)


def _patches(config: Any) -> Units:
    voxels = float(config.patch or 96) ** 3
    width = (config.channels or (32,))[0]
    return Units(voxels * width, voxels * width, 0.0)


def _model_size(path: Path) -> int:
    """Return the voxels along each side of a generator's working grid, or the usual number where it cannot be read."""
    files = (path / "generator.safetensors", path / "model" / "generator.safetensors")
    return next((size for file in files if (size := _size_in(file)) is not None), USUAL_SIZE)


def _size_in(file: Path) -> int | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            return int(json.loads(opened.metadata()["fedsim"])["size"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


_UNITS: Mapping[str, Callable[[Any], Units]] = {
    "shape-generator": _hearts,
    "generator": _hearts,
    "enhancer": _slices,
    "semi-supervised": _hearts_of_a_model,
    "segmenter": _patches,
}
