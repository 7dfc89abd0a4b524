"""Generative latent optimization with either gradient: ``python -m Testing.benchmarks.glo_gradient``.

The same generator is trained on the same phantoms for the same steps with the boundary gradient and with the paper's
finite differences: time of a step, and loss reached. Times are of the processor, all threads added up: they don't
depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from FedSimCore.benchmarks.harness import Contender, Goal, Report, race, write_report
from FedSimCore.benchmarks.machine import machine
from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.phantom import make_label_map
from FedSimCore.cohorts.table import write_cohort
from FedSimCore.progress import silent
from FedSimCore.training.shape_generator import ShapeGeneratorTask, build
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig
from FedSimCore.volumes.io import write_label_map

ROOT = Path(__file__).resolve().parents[2]
SHARES = {"adult": 0.5, "congenital-mild": 0.25, "congenital-severe": 0.25}
RACED = 8
GRADIENTS = ("boundary", "finite-differences")


def phantoms(folder: Path, count: int, first_seed: int) -> Path:
    """Write label maps of phantoms of all three sites, alternating; return the cohort's folder."""
    sites = [site for site, share in SHARES.items() for _ in range(round(share * count))]
    order = np.random.default_rng(0).permutation(len(sites))
    cases = []
    for number, site in enumerate(sites[index] for index in order):
        name = f"{site}-{first_seed + number}"
        path = folder / f"{name}.nii.gz"
        if not path.exists():
            write_label_map(make_label_map(site, first_seed + number, spacing_mm=1.25), path)
        cases.append(Case(id=name, label=path, site=site))
    write_cohort(Cohort(name=folder.name, cases=tuple(cases)), folder)
    return folder


def task(cohort: Path, **changes: object) -> ShapeGeneratorTask:
    """Make the recipe's task with its default rates."""
    return build(ShapeGeneratorConfig(cohort=cohort, seed=0, **changes), silent)  # type: ignore[arg-type]


def step(task: ShapeGeneratorTask, number: int) -> float:
    """Make one step as the training's loop does, and return its loss."""
    (phase,) = task.phases(number)
    optimizer = task.optimizers[phase.optimizer]
    for group, rate in zip(optimizer.param_groups, task.learning_rates(number)[phase.optimizer], strict=True):
        group["lr"] = rate
    optimizer.zero_grad()
    loss = phase.losses(phase.load(phase.samples))["loss"]
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def trained(task: ShapeGeneratorTask, steps: int) -> tuple[float, float]:
    """Train, and return the CPU seconds of a step and the loss at the end over all hearts (1 - mean IoU)."""
    began = time.process_time()
    for number in range(steps):
        step(task, number)
    seconds = (time.process_time() - began) / steps
    with torch.no_grad():
        return seconds, 1 - task.evaluate()["train/iou"]


def compare_gradients(report: Report, cohort: Path, size: int, spacing_mm: float, steps: int) -> None:
    """Train for equal steps with both gradients."""
    loss, seconds = {}, {}
    for gradient in GRADIENTS:
        learner = task(cohort, size=size, spacing_mm=spacing_mm, steps=steps, gradient=gradient)
        seconds[gradient], loss[gradient] = trained(learner, steps)
        report.values[f"{gradient}: CPU s a step of 4 hearts, {size} cubed"] = seconds[gradient]
        report.values[f"{gradient}: loss after {steps} steps"] = loss[gradient]
    ratio = seconds["finite-differences"] / seconds["boundary"]
    report.goals.append(Goal(f"step with boundary gradient, times as fast, {size} cubed", ratio, 5))
    excess = loss["boundary"] - loss["finite-differences"]
    report.goals.append(Goal("loss of boundary gradient less that of finite differences", excess, 0, at_least=False))


def compare_steps(report: Report, cohort: Path, size: int, spacing_mm: float) -> None:
    """Time single steps on a finer grid."""

    def contender(gradient: str) -> Contender:
        def prepare() -> object:
            learner = task(cohort, size=size, spacing_mm=spacing_mm, gradient=gradient)
            return lambda: step(learner, 0)

        return Contender(gradient, prepare, rounds=5 if gradient == "boundary" else 2)  # type: ignore[arg-type]

    timings = race([contender(gradient) for gradient in GRADIENTS])
    report.timings[f"One step of 4 hearts at {size} cubed"] = timings
    ratio = timings["finite-differences"].cpu_min_s / timings["boundary"].cpu_min_s
    report.goals.append(Goal(f"step with boundary gradient, times as fast, {size} cubed", ratio, 5))


def main() -> None:
    """Measure and write Testing/results/glo_gradient.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.glo_gradient", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for phantoms; kept")
    parser.add_argument("--size", type=int, default=64, help="voxels along each side of the working grid of 160 mm")
    parser.add_argument("--steps", type=int, default=150, help="of the comparison")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    size, spacing_mm = options.size, 160.0 / options.size
    report = Report(
        "Generative latent optimization with either gradient",
        {
            "working grid": f"{size} cubed, {spacing_mm:g} mm",
            "comparison": f"{RACED} phantoms, {options.steps} steps of 4",
            "threads": torch.get_num_threads(),
        },
    )
    raced = phantoms(options.data / "raced", RACED, 500_000)
    compare_gradients(report, raced, size, spacing_mm, options.steps)
    compare_steps(report, raced, 128, 1.25)
    command = " ".join(["python -m Testing.benchmarks.glo_gradient", *sys.argv[1:]])
    for path in write_report(report, machine(("torch", "numpy", "scipy")), options.out, "glo_gradient", command):
        print(path)


if __name__ == "__main__":
    main()
