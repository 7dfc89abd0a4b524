"""How well the shape model fits label maps: hearts it was built from, unseen phantoms, and a real heart."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from FedSimCore.anatomy import BACKGROUND, region
from FedSimCore.benchmarks.harness import Goal, Report
from FedSimCore.cohorts.phantom import make_label_map
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.builtin import builtin_recipe
from FedSimCore.shape.fit import FitResult, fit
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.model import ShapeModel
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_volume

UNSEEN_SEED = 90_000
"""Far from every seed of the built-in model's recipe."""
# mesh_cemrg's label map: 1 LV 2 RV 3 LA 4 RA 5 aorta 6 pulmonary artery 7 LV wall; 8, all other wall, is no region.
_CEMRG_KEYS = {1: "lv", 2: "rv", 3: "la", 4: "ra", 5: "ao", 6: "pa", 7: "myo"}


def bench_fit(
    model: ShapeModel,
    each: int,
    sites: tuple[str, ...],
    limit_sigma: float | None = None,
    real_heart: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Fit the built-in model.

    Args:
        model: the built-in model.
        each: phantoms of each site, seen and unseen.
        sites: of the phantoms, as the model's recipe names them.
        limit_sigma: limit of the weights; the model's by default.
        real_heart: label map of ../shared/data/mesh_cemrg; left out if None.
        progress: told of every fit.

    Raises:
        InputError: the recipe has no such site.
    """
    seeds = {group.site: group.first_seed for group in builtin_recipe().phantoms}
    unknown = sorted(set(sites) - set(seeds))
    if unknown:
        raise InputError(f"The built-in model has no phantoms of site {unknown[0]!r}; its sites are {sorted(seeds)}.")
    setting = {
        "model": model.checksum[:12],
        "modes": model.mode_count,
        "limit of the weights, sigma": limit_sigma or model.header.limit_sigma,
        "phantoms of each site, seen and unseen": each,
    }
    report = Report("Fit of the shape model to label maps", setting)
    jobs = [(site, kind) for site in sites for kind in ("built from", "unseen")]
    for number, (site, kind) in enumerate(jobs):
        progress(number, len(jobs) + 1, "fitting")
        first = seeds[site] if kind == "built from" else UNSEEN_SEED
        hearts = (LabelledHeart.from_volume(f"{site}-{n}", make_label_map(site, n)) for n in range(first, first + each))
        results = [_timed_fit(report, model, heart, limit_sigma) for heart in hearts]
        _record(report, f"{site}, {kind}", results)
        goal = 0.93 if kind == "built from" else 0.90
        report.goals.append(Goal(f"{site}, {kind}: mean Dice", float(np.mean([r.mean_dice for r in results])), goal))
    progress(len(jobs), len(jobs) + 1, "fitting")
    if real_heart is not None:
        _record(report, "real heart mesh_cemrg", [_timed_fit(report, model, cemrg_heart(real_heart), limit_sigma)])
        beyond = 3.0
        result = fit(model, cemrg_heart(real_heart), beyond)
        report.values[f"real heart mesh_cemrg, weights to {beyond:g} sigma: mean Dice"] = result.mean_dice
    progress(len(jobs) + 1, len(jobs) + 1, "fitting")
    return report


def cemrg_heart(path: Path) -> LabelledHeart:
    """Read the label map of ../shared/data/mesh_cemrg, which has a labelling of its own, in FedSim's labels."""
    volume = read_volume(path)
    values = np.full(256, BACKGROUND, dtype=np.uint8)
    for value, key in _CEMRG_KEYS.items():
        values[value] = region(key).label
    return LabelledHeart.from_volume(str(path), Volume(values[volume.array.astype(np.uint8)], volume.grid))


def _timed_fit(report: Report, model: ShapeModel, heart: LabelledHeart, limit_sigma: float | None) -> FitResult:
    start = time.perf_counter()
    result = fit(model, heart, limit_sigma)
    report.values[f"{Path(heart.name).name}: mean Dice"] = result.mean_dice
    report.values[f"{Path(heart.name).name}: seconds"] = time.perf_counter() - start
    return result


def _record(report: Report, name: str, results: list[FitResult]) -> None:
    for key in results[0].dice:
        report.values[f"{name}: Dice {key}"] = float(np.mean([r.dice[key] for r in results]))
        report.values[f"{name}: surface distance {key}, mm"] = float(np.mean([r.distance_mm[key] for r in results]))
    report.values[f"{name}: mean Dice"] = float(np.mean([r.mean_dice for r in results]))
