"""The quality of a generated cohort beside a reference cohort: one report of everything this room measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from FedSimCore.cohorts.working_grid import Heart
from FedSimCore.evaluation.feature_distances import Products
from FedSimCore.evaluation.hearts import Hearts
from FedSimCore.evaluation.intervals import Estimate, Index, estimate
from FedSimCore.evaluation.precision_recall import BETA, Curve, cluster_shares, prd_curve
from FedSimCore.evaluation.region_hounsfield import hounsfield_distances
from FedSimCore.evaluation.slice_features import PLANES, slice_features
from FedSimCore.evaluation.slice_jumps import compare_jumps, heart_jumps
from FedSimCore.evaluation.structural_similarity import Scale, scale_weights, scales_of, similarity
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.vgg import ImageFeatures
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes import Grid, Volume

SCHEMA = "fedsim/cohort-quality/1"
DRAWS = 200
_PRD_RUNS = 5
_ALL_COVERED = 0.95
_CURVE_POINTS = 21
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ComparedCohort(BaseModel):
    """Which cohort was compared: its name, its table's checksum, its hearts, and how many have labels."""

    model_config = _STRICT
    name: str
    sha256: str
    hearts: int
    labelled: int


class QualityReport(BaseModel):
    """A generated cohort beside a reference cohort; intervals are of 95 %, by bootstrap over hearts.

    Attributes:
        generated: the one.
        reference: the other.
        features: what the image features are; FID, MMD, precision and recall depend on them and can only be compared
            between reports with the same.
        fid: Fréchet distance of the features, mean of the three planes.
        fid_of_reference_halves: the same between two random halves of the reference, as far as chance alone goes at
            half the size; None with fewer than four hearts.
        mmd: squared maximum mean discrepancy of the features (KID's kernel), mean of the planes; 0 on average for
            cohorts of one distribution.
        ms_ssim_generated: mean similarity of two generated hearts; higher than the reference's, and they are less
            varied than real ones.
        ms_ssim_reference: the same of two reference hearts.
        ms_ssim_between: mean similarity of a generated and a reference heart.
        ms_ssim_scales: number of scales.
        precision: share of the generated that could be of the reference (PRD's F with weight 1/8).
        recall: share of the reference that is generated (F with weight 8).
        prd_curve: pairs (recall, precision) on the curve.
        hounsfield_hu: Wasserstein distance of the HU in each region, and in the ``surroundings`` of the heart.
        slice_jumps: how slices fit together, generated beside reference, see ``evaluation.slice_jumps``.
        settings: grid, slices, draws, seed.
        notes: what was left out, and why.
    """

    model_config = _STRICT
    generated: ComparedCohort
    reference: ComparedCohort
    features: str
    fid: Estimate
    fid_of_reference_halves: float | None
    mmd: Estimate
    ms_ssim_generated: Estimate
    ms_ssim_reference: Estimate
    ms_ssim_between: Estimate
    ms_ssim_scales: int
    precision: Estimate
    recall: Estimate
    prd_curve: tuple[tuple[float, float], ...]
    hounsfield_hu: dict[str, Estimate]
    slice_jumps: dict[str, dict[str, float]]
    settings: dict[str, float]
    notes: tuple[str, ...]

    def content(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return {"schema": SCHEMA, **self.model_dump(mode="json")}


def compare_cohorts(
    generated: Hearts,
    reference: Hearts,
    features: ImageFeatures,
    spacing_mm: float = 1.25,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> QualityReport:
    """Compare two cohorts of at least two hearts each, read on the same working grid.

    Args:
        generated: of which the quality is asked.
        reference: real, or what counts as real.
        features: of images, on the CPU.
        spacing_mm: of the working grid.
        draws: of every bootstrap.
        seed: of every bootstrap, and of the clusters.
        progress: told of every stage.
    """
    ours, theirs = generated.hearts, reference.hearts
    settings = {"size": ours[0].hu.shape[0], "spacing_mm": spacing_mm, "draws": draws, "seed": seed}
    x, y = (_features(hearts.hearts, features, hearts.name, progress) for hearts in (generated, reference))
    progress(0, 1, "comparing")
    report = {
        **_feature_measures(x, y, draws, seed),
        **_similarities(ours, theirs, draws, seed, progress),
        "hounsfield_hu": hounsfield_distances(generated.labelled, reference.labelled, draws, seed),
        "slice_jumps": _jumps(generated.labelled, reference.labelled, spacing_mm, seed),
    }
    progress(1, 1, "comparing")
    return QualityReport(
        generated=_compared(generated),
        reference=_compared(reference),
        features=features.name,
        settings={**settings, "slices_of_each_plane": x.shape[2]},
        notes=_notes(generated, reference),
        **report,
    )


def _compared(hearts: Hearts) -> ComparedCohort:
    return ComparedCohort(
        name=hearts.name, sha256=hearts.sha256, hearts=len(hearts.hearts), labelled=len(hearts.labelled)
    )


def _notes(generated: Hearts, reference: Hearts) -> tuple[str, ...]:
    edges = tuple(
        f"Scans of {hearts.name} reach {np.mean([heart.covered for heart in hearts.hearts]):.0%} of the grid; the rest "
        "counts as air. Lower --size or --spacing to compare what was scanned."
        for hearts in (generated, reference)
        if min(heart.covered for heart in hearts.hearts) < _ALL_COVERED
    )
    labels = tuple(
        f"Only {len(hearts.labelled)} of {len(hearts.hearts)} hearts of {hearts.name} have labels; regions and slices "
        "are compared by these."
        for hearts in (generated, reference)
        if len(hearts.labelled) < len(hearts.hearts)
    )
    return labels + edges


def _features(hearts: Sequence[Heart], features: ImageFeatures, name: str, progress: Progress) -> NDArray[np.float32]:
    """Return (hearts, 3, slices, D)."""
    found = []
    for number, heart in enumerate(hearts):
        progress(number, len(hearts), f"features of {name}")
        found.append(slice_features(heart.hu, features))
    progress(len(hearts), len(hearts), f"features of {name}")
    return np.stack(found)


def _feature_measures(x: NDArray[np.float32], y: NDArray[np.float32], draws: int, seed: int) -> dict[str, Any]:
    planes = [Products.of(x[:, plane], y[:, plane]) for plane in range(len(PLANES))]

    def fid(first: Index, second: Index) -> float:
        return float(np.mean([plane.frechet(first, second) for plane in planes]))

    def mmd(first: Index, second: Index) -> float:
        return float(np.mean([plane.kernel(first, second) for plane in planes]))

    sizes = len(x), len(y)
    return {
        "fid": estimate(fid, *sizes, draws, seed),
        "fid_of_reference_halves": _between_halves(y, seed),
        "mmd": estimate(mmd, *sizes, draws, seed, least=-np.inf),
        **_precision_and_recall(x, y, draws, seed),
    }


def _between_halves(y: NDArray[np.float32], seed: int, splits: int = 10) -> float | None:
    if len(y) < 4:
        return None
    rng = np.random.default_rng(seed)
    planes = [Products.of(y[:, plane], y[:, plane]) for plane in range(len(PLANES))]
    halves = [np.array_split(rng.permutation(len(y)), 2) for _ in range(splits)]
    return float(np.mean([plane.frechet(*half) for half in halves for plane in planes]))


def _precision_and_recall(x: NDArray[np.float32], y: NDArray[np.float32], draws: int, seed: int) -> dict[str, Any]:
    """Return precision, recall and the curve, mean over several clusterings as the authors do."""
    flat = [part.reshape(len(part), -1, part.shape[-1]) for part in (x, y)]
    runs = [cluster_shares(flat[0], flat[1], seed + run) for run in range(_PRD_RUNS)]

    def curves(first: Index, second: Index) -> list[Curve]:
        return [prd_curve(ours[first].mean(0), theirs[second].mean(0)) for ours, theirs in runs]

    def score(beta: float) -> Estimate:
        def statistic(first: Index, second: Index) -> float:
            return float(np.mean([curve.f_score(beta) for curve in curves(first, second)]))

        return estimate(statistic, len(x), len(y), draws, seed, most=1.0)

    whole = curves(np.arange(len(x)), np.arange(len(y)))
    points = np.linspace(0, len(whole[0].precision) - 1, _CURVE_POINTS).round().astype(int)
    recall, precision = (
        np.mean([getattr(curve, name) for curve in whole], 0)[points] for name in ("recall", "precision")
    )
    return {
        "precision": score(1 / BETA),
        "recall": score(BETA),
        "prd_curve": tuple(zip(recall.tolist(), precision.tolist(), strict=True)),
    }


def _similarities(
    ours: Sequence[Heart], theirs: Sequence[Heart], draws: int, seed: int, progress: Progress
) -> dict[str, Any]:
    scale = IntensityRange()
    prepared = [[scales_of(_from_0_to_1(heart.hu, scale)) for heart in hearts] for hearts in (ours, theirs)]
    n, m = len(ours), len(theirs)
    total, done = n * (n - 1) // 2 + m * (m - 1) // 2 + n * m, 0

    def compared(one: list[Scale], other: list[Scale]) -> float:
        nonlocal done
        progress(done, total, "structural similarity")
        done += 1
        return similarity(one, other)

    def within(volumes: list[list[Scale]]) -> NDArray[np.float64]:
        table = np.full((len(volumes), len(volumes)), np.nan)
        for i, j in combinations(range(len(volumes)), 2):
            table[i, j] = table[j, i] = compared(volumes[i], volumes[j])
        return table

    own, real = within(prepared[0]), within(prepared[1])
    between = np.empty((n, m))
    for i, j in product(range(n), range(m)):
        between[i, j] = compared(prepared[0][i], prepared[1][j])
    progress(total, total, "structural similarity")
    return {
        "ms_ssim_generated": estimate(lambda i, _: _mean_of_pairs(own, i), n, m, draws, seed, most=1.0),
        "ms_ssim_reference": estimate(lambda _, j: _mean_of_pairs(real, j), n, m, draws, seed, most=1.0),
        "ms_ssim_between": estimate(lambda i, j: float(between[np.ix_(i, j)].mean()), n, m, draws, seed, most=1.0),
        "ms_ssim_scales": len(scale_weights(min(ours[0].hu.shape))),
    }


def _from_0_to_1(hu: NDArray[np.float32], scale: IntensityRange) -> NDArray[np.float32]:
    share = (hu - scale.low_hu) / (scale.high_hu - scale.low_hu)
    return share.clip(0, 1).astype(np.float32)


def _mean_of_pairs(table: NDArray[np.float64], chosen: Index) -> float:
    """Return the mean over pairs of different hearts; a heart drawn twice is not compared with itself."""
    pairs = table[np.ix_(chosen, chosen)]
    return float(np.nanmean(pairs)) if np.isfinite(pairs).any() else 1.0


def _jumps(ours: Sequence[Heart], theirs: Sequence[Heart], spacing_mm: float, seed: int) -> dict[str, dict[str, float]]:
    if not ours or not theirs:
        return {}
    grid = Grid.centered(ours[0].hu.shape, spacing_mm)
    jumps = [
        [heart_jumps(Volume(h.hu, grid), Volume(h.labels, grid)) for h in hearts if h.labels is not None]
        for hearts in (ours, theirs)
    ]
    return {name: asdict(found) for name, found in compare_jumps(jumps[0], jumps[1], seed).items()}
