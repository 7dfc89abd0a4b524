"""Means over folds, and tests of differences between two methods on the same patients."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DRAWS = 9999
LEVEL = 0.95
_FEWEST = 3
"""Cases below which a bootstrap says nothing."""


@dataclass(frozen=True)
class Summary:
    """A metric of a method in a column.

    Attributes:
        mean: of the folds' means.
        deviation: of the folds' means (n - 1); None with one fold.
        case_deviation: of all cases (n - 1); None with one case.
        folds: that are there.
        cases: in all of them.
    """

    mean: float
    deviation: float | None
    case_deviation: float | None
    folds: int
    cases: int


@dataclass(frozen=True)
class PairedTest:
    """A difference of two methods over the patients that both were tested on.

    Attributes:
        cases: patients.
        difference: mean of the one minus the other.
        low: of the 95 % interval of the mean difference (BCa bootstrap over patients); None where it can't be told.
        high: of the same.
        p: of the Wilcoxon signed-rank test, two-sided; None where no difference differs from 0.
    """

    cases: int
    difference: float
    low: float | None
    high: float | None
    p: float | None


def summarize(folds: Mapping[int, Sequence[float]]) -> Summary | None:
    """Summarize a metric.

    The paper reports "the mean and std. deviation of the test set performance" of five folds; this is the mean and
    standard deviation of the folds' means.

    Args:
        folds: fold to the values of its cases.

    Returns:
        None if there are no values.
    """
    parts = [np.asarray(values, dtype=float) for values in folds.values() if len(values)]
    if not parts:
        return None
    means, everything = np.array([part.mean() for part in parts]), np.concatenate(parts)
    return Summary(float(means.mean()), _deviation(means), _deviation(everything), len(parts), len(everything))


def _deviation(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def paired_test(one: Mapping[str, float], other: Mapping[str, float], seed: int = 0) -> PairedTest | None:
    """Test the difference of two methods.

    Args:
        one: case to value.
        other: likewise; cases that only one has are left out.
        seed: of the bootstrap.

    Returns:
        None without common cases.
    """
    common = sorted(one.keys() & other.keys())
    if not common:
        return None
    differences = np.array([one[case] - other[case] for case in common])
    low, high = _interval(differences, seed)
    p = float(stats.wilcoxon(differences).pvalue) if differences.any() else None
    return PairedTest(len(common), float(differences.mean()), low, high, p)


def _interval(differences: NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    if len(differences) < _FEWEST or np.ptp(differences) == 0:
        return None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            (differences,),
            np.mean,
            confidence_level=LEVEL,
            n_resamples=DRAWS,
            random_state=np.random.default_rng(seed),
        )
    low, high = float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
    return (low, high) if np.isfinite([low, high]).all() else (None, None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number (Holm 1979); those that are None don't count."""
    known = [(p, place) for place, p in enumerate(p_values) if p is not None]
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(sorted(known)):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[place] = highest
    return corrected
