"""Every random number a training draws: seeded, kept in checkpoints, and left alone by what only looks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

Generators = Mapping[str, torch.Generator | np.random.Generator]


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (libraries such as MONAI draw from the global generator)
    torch.manual_seed(seed)


def random_state(generators: Generators) -> dict[str, Any]:
    """Return the state of the global generators and of a task's own, for :func:`set_random_state`."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "own": {
            name: g.get_state() if isinstance(g, torch.Generator) else g.bit_generator.state
            for name, g in generators.items()
        },
    }


def set_random_state(state: Mapping[str, Any], generators: Generators) -> None:
    """Bring all generators into a state; graphics cards only where there are as many as there were."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    for name, generator in generators.items():
        if isinstance(generator, torch.Generator):
            generator.set_state(state["own"][name])
        else:
            generator.bit_generator.state = state["own"][name]


@contextmanager
def undisturbed(generators: Generators) -> Iterator[None]:
    """Leave all generators as they were, whatever is drawn inside."""
    state = random_state(generators)
    try:
        yield
    finally:
        set_random_state(state, generators)
