"""How well latents describe hearts: ``python -m Testing.benchmarks.latent_reconstruction``.

A shape generator is trained on phantoms of three sites (recipe shape-generator, boundary gradient), with the paper's 14
modes and with 40: overlap of the hearts it was trained on, of hearts it has not seen after fitting their latents
alone, and of the best hearts the shape model itself can make, by fitting its parameters directly. Some six minutes of
one core for each number of modes, once the phantoms are there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from FedSimCore.benchmarks.harness import Goal, Report, write_report
from FedSimCore.benchmarks.machine import machine
from FedSimCore.cohorts import read_cohort
from FedSimCore.generation.generator_file import GeneratorHeader, HeartGenerator, TrainingCase
from FedSimCore.generation.latent_fit import fit_latents
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.networks.losses import iou_loss
from FedSimCore.progress import silent
from FedSimCore.shape.voxelizer import label_map, region_probabilities
from FedSimCore.training.hearts import WorkingGrid, read_hearts
from FedSimCore.training.shape_generator import ShapeGeneratorTask
from FedSimCore.training.shape_voxels import mean_iou
from Testing.benchmarks.glo_gradient import ROOT, SHARES, phantoms, task, trained

TRAINING_SEED, UNSEEN_SEED, UNSEEN = 600_000, 700_000, 16
MODES = (14, 40)
WANTED_IOU = 0.90
DIRECT_STEPS, DIRECT_RATE = 150, 0.05


def as_generator(learner: ShapeGeneratorTask, size: int, spacing_mm: float) -> HeartGenerator:
    """Return what was learnt as a generator with fixed materials, which has no material generator."""
    model, latents = learner.voxels.model, learner.modules["latents"].vectors.weight.detach()  # type: ignore[union-attr]
    header = GeneratorHeader(
        coarse="fixed-materials",
        latent_size=latents.shape[1],
        hidden=(256, 128),
        modes=model.mode_count,
        shape_model_sha256=model.checksum,
        size=size,
        spacing_mm=spacing_mm,
        cases=tuple(TrainingCase(id=name, site="phantoms") for name in learner.hearts.names),
    )
    shape = learner.modules["generator"]
    return HeartGenerator(header, model, shape, None, latents, LatentNormal.fitted(latents))  # type: ignore[arg-type]


@torch.no_grad()
def overlaps(generator: HeartGenerator, parameters: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean IoU over regions (N,), and that of the whole heart (N,), the paper's binary case."""
    made = torch.cat(
        [label_map(generator.model.vertices(one[None]), generator.model.topology, generator.grid) for one in parameters]
    )
    values = torch.arange(1, 8, dtype=torch.uint8)[:, None, None, None]
    regions = torch.cat(
        [mean_iou((a == values)[None].float(), (b == values)[None].float()) for a, b in zip(made, wanted, strict=True)]
    )
    return regions, mean_iou((made[:, None] > 0).float(), (wanted[:, None] > 0).float())


def directly_fitted(generator: HeartGenerator, wanted: Tensor) -> Tensor:
    """Return the shape model's own parameters (N, modes + 7) that overlap best within its limits: what is possible."""
    model, results = generator.model, []
    values = torch.arange(1, 8, dtype=torch.uint8)[:, None, None, None]
    for heart in wanted:
        target = (heart == values).float()
        present = target.flatten(1).any(1)
        free = torch.zeros(1, model.parameter_count, requires_grad=True)
        optimizer = torch.optim.Adam([free], lr=DIRECT_RATE)
        for step in range(DIRECT_STEPS):
            optimizer.param_groups[0]["lr"] = DIRECT_RATE * (1 - step / DIRECT_STEPS)
            optimizer.zero_grad()
            vertices = model.vertices(model.from_unit(free.tanh()))
            made = region_probabilities(vertices, model.topology, generator.grid)
            iou_loss(made[:, present], target[None, present]).backward()
            optimizer.step()
        results.append(model.from_unit(free.detach().tanh()))
    return torch.cat(results)


def measure(report: Report, folder: Path, hearts: int, on: WorkingGrid, steps: int, modes: int) -> None:
    """Train with so many modes, and measure."""
    cohort = phantoms(folder / f"train{hearts}", hearts, TRAINING_SEED)
    learner = task(cohort, size=on.size, spacing_mm=on.spacing_mm, steps=steps, modes=modes)
    report.values[f"{modes} modes: training, CPU s a step of 4 hearts"], _ = trained(learner, steps)
    generator = as_generator(learner, on.size, on.spacing_mm)
    assert learner.hearts.labels is not None
    with torch.no_grad():
        known = generator.parameters_of(generator.latents)
    seen, _ = overlaps(generator, known, learner.hearts.labels)
    report.goals.append(Goal(f"IoU of {hearts} training hearts, {modes} modes", float(seen.mean()), WANTED_IOU))
    note(report, f"{modes} modes: training hearts", generator, known, learner.hearts.labels, learner.hearts.sites)
    cases = list(read_cohort(phantoms(folder / "unseen", UNSEEN, UNSEEN_SEED)).cases)
    unseen = read_hearts(cases, on, silent, labels=True, images=False)
    assert unseen.labels is not None
    began = time.process_time()
    fitted = fit_latents(generator, unseen.labels)
    report.values[f"{modes} modes: fitting a latent, CPU s a heart"] = (time.process_time() - began) / len(cases)
    unusual = generator.normal.mahalanobis(fitted.latents).median()
    report.values[f"{modes} modes: fitted latents, Mahalanobis distance, median"] = float(unusual)
    with torch.no_grad():
        found = generator.parameters_of(fitted.latents)
    note(report, f"{modes} modes: unseen hearts, latents fitted", generator, found, unseen.labels, unseen.sites)
    best = directly_fitted(generator, unseen.labels)
    note(report, f"{modes} modes: unseen hearts, shape model itself", generator, best, unseen.labels, unseen.sites)


def note(
    report: Report, what: str, generator: HeartGenerator, parameters: Tensor, wanted: Tensor, sites: tuple[str, ...]
) -> None:
    """Write down overlaps, all and by site."""
    regions, whole = overlaps(generator, parameters, wanted)
    report.values[f"{what}: IoU, mean of regions"] = float(regions.mean())
    for site in SHARES:
        own = torch.tensor([each == site for each in sites])
        report.values[f"{what}: IoU, {site}"] = float(regions[own].mean())
    report.values[f"{what}: IoU of the whole heart"] = float(whole.mean())


def main() -> None:
    """Measure and write Testing/results/latent_reconstruction.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.latent_reconstruction", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for phantoms; kept")
    parser.add_argument("--size", type=int, default=64, help="voxels along each side of the working grid of 160 mm")
    parser.add_argument("--hearts", type=int, default=48, help="to train on")
    parser.add_argument("--steps", type=int, default=1500, help="of four hearts")
    parser.add_argument("--modes", type=int, nargs="+", default=MODES, help="of the shape model, e.g. 14 alone")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    on = WorkingGrid(options.size, 160.0 / options.size)
    setting = {
        "working grid": f"{on.size} cubed, {on.spacing_mm:g} mm",
        "cohort": f"{options.hearts} phantoms of three sites, half of them adults; {UNSEEN} unseen",
        "training": f"{options.steps} steps of 4 hearts, rates of the recipe",
        "threads": torch.get_num_threads(),
    }
    report = Report("Hearts reconstructed from latents", setting)
    for modes in options.modes:
        measure(report, options.data, options.hearts, on, options.steps, modes)
    command = " ".join(["python -m Testing.benchmarks.latent_reconstruction", *sys.argv[1:]])
    described = machine(("torch", "numpy", "scipy"))
    for path in write_report(report, described, options.out, "latent_reconstruction", command):
        print(path)


if __name__ == "__main__":
    main()
