"""Measure what trainings cost, for the estimates before they start: ``python -m Testing.benchmarks.training_costs``.

Each recipe is trained for some steps with several sizes of its case, batch and cohort, every time in a process of its
own with one thread, on phantom hearts. Least squares over the peaks and the paces give the numbers of
``Resources/training/costs.json``; see ``FedSimCore/training/estimate.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls

if TYPE_CHECKING:
    from FedSimCore.training.estimate import Units

ROOT = Path(__file__).resolve().parents[2]
COSTS = ROOT / "Resources" / "training" / "costs.json"
CASES = 6
FEW, STEPS = 2, 24
"""Steps to warm up, and steps that are measured: enough for the start of a process to matter little."""
WIDTH_MM = 190.0
"""Of the working grid: every phantom fits in."""


@dataclass(frozen=True)
class Measured:
    """One training.

    Attributes:
        units: of a case: memory, time and voxels kept.
        at_once: cases computed at once.
        cases: in the cohort.
        peak_mb: of the process.
        step_s: processor seconds for a step.
    """

    units: Units
    at_once: int
    cases: int
    peak_mb: float
    step_s: float


def measure(fields: Mapping[str, Any], folder: Path) -> Measured:
    """Train a config twice, some steps and more, and return what that took.

    The processor time of one thread counts, in which other programs hardly matter; that of the start, of reading and of
    the first steps is in both and goes out.
    """
    from FedSimCore.training.estimate import estimate, units_of_a_case
    from FedSimCore.training.recipes import checked_config

    short, _peak = _train({**fields, "steps": FEW}, folder.with_name(f"{folder.name}-short"))
    long, peak_mb = _train({**fields, "steps": FEW + STEPS}, folder)
    config = checked_config({**fields, "steps": FEW}, "the benchmark")
    units = units_of_a_case(config)
    assert units is not None
    at_once = config.micro_batch or config.batch_size
    return Measured(units, at_once, estimate(config).cases or 0, peak_mb, (long - short) / STEPS)


def _train(fields: Mapping[str, Any], folder: Path) -> tuple[float, float]:
    """Train in a process of its own; returns its processor time, seconds, and its peak of memory, MB."""
    recipe = folder.with_suffix(".json")
    recipe.write_text(json.dumps({"schema": "fedsim/recipe/1", **fields}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "FedSimCore.cli.main", "train", str(recipe), "-o", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"training {recipe} failed; see {folder}/log.txt")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def fitted(found: Sequence[Measured]) -> dict[str, float]:
    """Return the costs that explain the measurements best, none of them below 0.

    They are fitted relative to what was measured, so that small trainings count as much as large ones.
    """
    peaks, steps = (np.array([getattr(m, name) for m in found]) for name in ("peak_mb", "step_s"))
    at_once = np.array([m.at_once * m.units.memory for m in found]) / 1e6
    kept = np.array([m.cases * m.units.kept for m in found]) / 1e6
    work = np.array([m.at_once * m.units.time for m in found]) / 1e6
    memory, _ = nnls(np.stack([np.ones(len(found)), at_once, kept], axis=1) / peaks[:, None], np.ones(len(found)))
    time, _ = nnls(np.stack([np.ones(len(found)), work], axis=1) / steps[:, None], np.ones(len(found)))
    names = ("base_mb", "unit_bytes", "case_bytes", "step_s", "unit_s")
    return {n: float(f"{v:.3g}") for n, v in zip(names, (*memory, time[0], time[1] / 1e6), strict=True)}


SIZES = ((32, 2), (32, 6), (48, 4), (64, 2), (64, 4), (96, 2))
"""Voxels along each side of the working grid, and hearts in a step."""


def hearts_configs(recipe: str, cohort: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> list[dict[str, Any]]:
    """Return small and middle-sized trainings of whole hearts."""
    common = {
        "recipe": recipe,
        "cohort": str(cohort),
        "report_every": 1,
        "evaluate_every": 1000,
        "picture_every": 1000,
        "checkpoint_every": 1000,
        "threads": 1,
        "device": "cpu",
    }
    return [{**common, "size": size, "spacing_mm": WIDTH_MM / size, "batch_size": batch} for size, batch in sizes]


def enhancer_configs(cohort: Path) -> list[dict[str, Any]]:
    """Return enhancers of several widths, of generators that were trained for a step, which decides nothing here."""
    found = []
    for size, channels, hidden, batch in ((64, 8, 32, 2), (64, 8, 32, 8), (64, 16, 64, 4), (128, 8, 32, 2)):
        run = cohort.parent / f"generator-of-{size}"
        if not run.exists():
            (fields,) = (f for f in hearts_configs("generator", cohort, ((size, 2),)))
            _train({**fields, "steps": 1}, run)
        common = {name: value for name, value in fields.items() if name not in ("size", "spacing_mm")}
        changed = {"recipe": "enhancer", "generator": str(run), "site": "adult", "channels": channels, "hidden": hidden}
        widths = {"discriminator_channels": 4 * channels, "batch_size": batch, "held_cases": 0}
        found.append({**common, **changed, **widths})
    return found


def segmenter_configs(cohort: Path) -> list[dict[str, Any]]:
    """Return segmenters of several widths, on patches of several sizes."""
    (fields,) = hearts_configs("segmenter", cohort, ((64, 2),))
    common = {name: value for name, value in fields.items() if name not in ("size", "spacing_mm", "batch_size")}
    sizes = ((48, 16, 2), (64, 16, 3), (64, 32, 2), (96, 16, 2), (96, 32, 1))
    return [
        {
            **common,
            "spacing_mm": WIDTH_MM / patch,
            "patch": patch,
            "channels": [width, 2 * width, 4 * width, 8 * width],
            "batch_size": batch,
            "held_cases": 0,
        }
        for patch, width, batch in sizes
    ]


RECIPES: Mapping[str, Callable[[Path], list[dict[str, Any]]]] = {
    **{name: partial(hearts_configs, name) for name in ("shape-generator", "generator")},
    "enhancer": enhancer_configs,
    "segmenter": segmenter_configs,
}


def main() -> None:
    """Measure, fit and write."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.training_costs", description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), action="append", help="only this one (repeat it)")
    parser.add_argument("--out", type=Path, default=COSTS)
    options = parser.parse_args()
    from FedSimCore.cohorts.phantom import make_cohort
    from FedSimCore.machine import cpu_name

    table = json.loads(options.out.read_text()) if options.out.exists() else {"recipes": {}}
    table["machine"] = f"one core of {cpu_name()}"
    with tempfile.TemporaryDirectory() as name:
        cohort = Path(name) / "hearts"
        make_cohort("adult", CASES, 0, cohort, spacing_mm=2.5)
        for recipe in options.recipe or sorted(RECIPES):
            found = []
            for number, fields in enumerate(RECIPES[recipe](cohort)):
                found.append(measure(fields, Path(name) / f"{recipe}-{number}"))
                print(recipe, found[-1], flush=True)
            table["recipes"][recipe] = fitted(found)
            print(table["recipes"][recipe])
    options.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
