"""Runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from FedSimCore.errors import InputError
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status


class Comparison(BaseModel):
    """What differs between runs; every tuple is in the order of ``runs``.

    Attributes:
        runs: paths.
        states: of each.
        steps: done by each.
        config: fields that are not the same in all, with each run's value; None where it has no such field.
        metrics: newest value in each run; None where it has none.
    """

    model_config = ConfigDict(frozen=True)
    runs: tuple[str, ...]
    states: tuple[str, ...]
    steps: tuple[int, ...]
    config: dict[str, tuple[Any, ...]]
    metrics: dict[str, tuple[float | None, ...]]


def compare_runs(runs: Sequence[RunFolder]) -> Comparison:
    """Compare runs.

    Raises:
        InputError: there are fewer than two, or one is no run.
    """
    if len(runs) < 2:
        raise InputError("Name two runs or more to compare.")
    configs = [run.config() for run in runs]
    states = [status(run) for run in runs]
    fields = {name: tuple(config.get(name) for config in configs) for config in configs for name in config}
    names = dict.fromkeys(name for state in states for name in state.metrics)
    return Comparison(
        runs=tuple(state.path for state in states),
        states=tuple(state.state for state in states),
        steps=tuple(state.step for state in states),
        config={name: values for name, values in fields.items() if any(value != values[0] for value in values)},
        metrics={name: tuple(state.metrics.get(name) for state in states) for name in names},
    )
