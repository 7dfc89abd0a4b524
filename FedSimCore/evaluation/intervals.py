"""A measure of two cohorts with its uncertainty, by bootstrap over hearts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

Index = NDArray[np.int64]
Statistic = Callable[[Index, Index], float]
"""A measure of the hearts with these numbers of one cohort and those of the other, repetitions allowed."""

_SD_OF_INTERVAL = 1.96


class Estimate(BaseModel):
    """A measure with its interval.

    Attributes:
        value: of the two cohorts as they are.
        low: of the 95 % interval.
        high: of the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the value and its interval for people."""
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def estimate(
    statistic: Statistic,
    count: int,
    other_count: int,
    draws: int,
    seed: int,
    least: float = 0.0,
    most: float = np.inf,
) -> Estimate:
    """Measure two cohorts and how far chance in their hearts could move the measure.

    The interval is the normal one, value ± 1.96 standard errors of the bootstrap (Efron and Tibshirani 1993, chapter
    13), within ``least`` and ``most``. Percentiles of the bootstrap are no use here: a heart that is drawn twice makes
    a cohort look less varied, so that distances of redrawn cohorts are larger than the cohorts' own.

    Args:
        statistic: the measure.
        count: hearts of one cohort.
        other_count: hearts of the other.
        draws: of the bootstrap.
        seed: of the bootstrap.
        least: smallest possible value.
        most: largest possible value.
    """
    value = statistic(np.arange(count), np.arange(other_count))
    drawn = stats.bootstrap(
        (np.arange(count), np.arange(other_count)),
        statistic,
        vectorized=False,
        n_resamples=draws,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    reach = _SD_OF_INTERVAL * float(drawn.standard_error)
    return Estimate(value=value, low=max(value - reach, least), high=min(value + reach, most))
