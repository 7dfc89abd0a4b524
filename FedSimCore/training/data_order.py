"""In which order cases are seen: a function of seed and step, so that a resumed run goes on as it would have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DataOrder:
    """Shuffles cases anew in every epoch; a batch may take the last cases of one and the first of the next.

    Attributes:
        cases: their number.
        batch_size: cases in one step; more than there are means all.
        seed: of the shuffles.
        stream: different numbers give independent orders of the same seed, e.g. for labelled and unlabelled cases.
    """

    cases: int
    batch_size: int
    seed: int
    stream: int = 0

    def batch(self, step: int) -> list[int]:
        """Return the indices of the cases of a step; steps count from 0."""
        size = min(self.batch_size, self.cases)
        places = range(step * size, (step + 1) * size)
        orders = {epoch: self._shuffled(epoch) for epoch in {place // self.cases for place in places}}
        return [int(orders[place // self.cases][place % self.cases]) for place in places]

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, self.stream, epoch]).permutation(self.cases)


def linear_decay(step: int, steps: int, constant_share: float) -> float:
    """Return the factor of a learning rate that is constant at first and then falls linearly to 0.

    Args:
        step: counted from 0.
        steps: of the whole run; the factor would be 0 after the last.
        constant_share: share of the steps before the fall, 0 to 1. Half is the paper's 30 + 30 epochs.
    """
    constant = constant_share * steps
    return 1.0 if step < constant else (steps - step) / max(steps - constant, 1e-9)
