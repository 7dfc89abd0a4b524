"""How far the Hounsfield units of each region lie from those of a reference cohort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from FedSimCore import anatomy
from FedSimCore.cohorts.working_grid import Heart
from FedSimCore.evaluation.intervals import Estimate, Index, estimate

Array = NDArray[np.float64]

LOW_HU, HIGH_HU, WIDTH_HU = -1024.0, 3072.0, 4.0
_EDGES = np.arange(LOW_HU, HIGH_HU + WIDTH_HU, WIDTH_HU)
_CENTRES = (_EDGES[1:] + _EDGES[:-1]) / 2

SURROUNDINGS = "surroundings"


def hounsfield_distances(
    generated: Sequence[Heart], reference: Sequence[Heart], draws: int, seed: int
) -> dict[str, Estimate]:
    """Return the Wasserstein distance between the HU of each region in two cohorts.

    It is in HU: how far voxels' values would have to be moved on average. Every heart counts alike, however large.
    Values are counted in bins of 4 HU from -1024 to 3072; those beyond count at the ends.

    Args:
        generated: labelled hearts.
        reference: labelled hearts.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Region key, or ``surroundings`` for what has no label, to distance; regions that fewer than two hearts of a
        cohort have are left out.
    """
    regions = {SURROUNDINGS: anatomy.BACKGROUND, **{region.key: region.label for region in anatomy.regions()}}
    found = {}
    for key, label in regions.items():
        ours, theirs = (_histograms(hearts, label) for hearts in (generated, reference))
        if min(len(ours), len(theirs)) >= 2:
            found[key] = _distance(ours, theirs, draws, seed)
    return found


def _distance(ours: Array, theirs: Array, draws: int, seed: int) -> Estimate:
    def statistic(first: Index, second: Index) -> float:
        weights = ours[first].mean(0), theirs[second].mean(0)
        return float(stats.wasserstein_distance(_CENTRES, _CENTRES, *weights))

    return estimate(statistic, len(ours), len(theirs), draws, seed)


def _histograms(hearts: Sequence[Heart], label: int) -> Array:
    """Return the share of each heart's voxels of a label in each bin, (hearts that have it, bins)."""
    rows = []
    for heart in hearts:
        values = heart.hu[heart.labels == label] if heart.labels is not None else heart.hu[:0]
        if len(values):
            counts, _ = np.histogram(values.clip(LOW_HU, HIGH_HU - WIDTH_HU / 2), _EDGES)
            rows.append(counts / len(values))
    return np.array(rows).reshape(-1, len(_CENTRES))
