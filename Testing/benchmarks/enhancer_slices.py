"""What makes an enhancer's slices fit together: ``python -m Testing.benchmarks.enhancer_slices``.

Small enhancers are trained for few steps on three adult phantoms, once as GauGAN does and once with each of our two
means, and enhance a fourth phantom. They are far from converged; the bands between slices show all the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from FedSimCore.benchmarks.harness import Goal, Report, write_report
from FedSimCore.benchmarks.machine import machine
from FedSimCore.cohorts.phantom.model import make_phantom
from FedSimCore.evaluation.slice_jumps import SliceJumps, heart_jumps
from FedSimCore.networks.coarse_ct import downsample
from FedSimCore.networks.discriminator import MultiScaleDiscriminator
from FedSimCore.networks.enhancer import CONDITION_CHANNELS, Enhancer, slice_conditions
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.losses import EnhancerWeights, discriminator_loss, enhancer_losses
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.spade import Shrinking
from FedSimCore.networks.vgg import random_vgg19
from FedSimCore.pictures.slices import SliceRow, slice_panel, write_figure
from FedSimCore.volumes import Volume
from FedSimCore.volumes.crop import crop_round_heart

ROOT = Path(__file__).resolve().parents[2]
SITE, SEEDS = "adult", (1, 2, 3, 4)
RATE, BETAS = 4e-4, (0.0, 0.9)
VARIANTS: dict[str, tuple[Shrinking, float]] = {
    "nearest (GauGAN)": ("nearest", 0.0),
    "nearest, slice jump loss 10": ("nearest", 10.0),
    "area": ("area", 0.0),
}


@dataclass(frozen=True)
class Hearts:
    """Phantoms on their working grids; the last is not trained on."""

    images: tuple[Volume, ...]
    labels: tuple[Volume, ...]
    unit: Tensor
    coarse: Tensor
    regions: Tensor

    @classmethod
    def made(cls) -> Hearts:
        phantoms = [make_phantom(SITE, seed, spacing_mm=1.25) for seed in SEEDS]
        crops = [crop_round_heart(p.image, p.label, spacing_mm="fit") for p in phantoms]
        images = tuple(crop.image for crop in crops if crop.image is not None)
        labels = tuple(crop.label for crop in crops if crop.label is not None)
        unit = torch.stack([IntensityRange().clip(torch.from_numpy(image.array))[None] for image in images])
        regions = torch.stack([torch.from_numpy(label.array.astype(np.uint8)) for label in labels])
        return cls(images, labels, unit, downsample(unit), regions)


def trained(hearts: Hearts, shrinking: Shrinking, slice_jump: float, steps: int) -> Enhancer:
    """Train on pairs of neighbouring slices of two hearts a step."""
    enhancer = Enhancer(channels=8, hidden=32, shrinking=shrinking)
    discriminator = MultiScaleDiscriminator(CONDITION_CHANNELS, channels=16)
    perceptual, weights = PerceptualLoss(random_vgg19()), EnhancerWeights(slice_jump=slice_jump)
    optimizers = [torch.optim.Adam(n.parameters(), RATE, betas=BETAS) for n in (enhancer, discriminator)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        case = torch.randperm(len(SEEDS) - 1, generator=generator)[:2]
        first = torch.randint(0, hearts.unit.shape[-1] - 1, (2, 1), generator=generator)
        index = torch.cat((first, first + 1), 1)
        condition = slice_conditions(hearts.coarse[case], hearts.regions[case], index)
        real = hearts.unit.movedim(-1, 1)[case[:, None], index].flatten(0, 1)
        generated = enhancer(condition)
        losses = enhancer_losses(discriminator, perceptual, condition, generated, real, weights, slices=2)
        optimizers[0].zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        discriminator_loss(discriminator, condition, generated, real).backward()
        optimizers[1].step()
    return enhancer.eval()


def note(report: Report, name: str, jumps: SliceJumps) -> None:
    """Write down one volume's jumps inside its heart."""
    report.values[f"{name}: through, HU"] = jumps.through_hu
    report.values[f"{name}: within, HU"] = jumps.within_hu
    report.values[f"{name}: banding, HU"] = jumps.banding_hu


def measure(report: Report, steps: int, picture: Path | None) -> None:
    """Train, enhance the last heart and measure it."""
    hearts = Hearts.made()
    truth, label = hearts.images[-1], hearts.labels[-1]
    clipped = np.clip(truth.array, -1000, 1000)
    real = heart_jumps(truth, label).inside
    note(report, "the phantom's CT", real)
    rows = [SliceRow("phantom", truth)]
    for name, (shrinking, slice_jump) in VARIANTS.items():
        start = time.perf_counter()
        enhancer = trained(hearts, shrinking, slice_jump, steps)
        report.values[f"{name}: training, s a step"] = (time.perf_counter() - start) / steps
        unit = enhancer.enhance(hearts.coarse[-1:], hearts.regions[-1:])
        image = Volume(IntensityRange().hounsfield(unit)[0, 0].numpy(), truth.grid)
        jumps = heart_jumps(image, label).inside
        note(report, name, jumps)
        report.values[f"{name}: mean absolute error, HU"] = float(np.abs(image.array - clipped).mean())
        rows.append(SliceRow(name, image))
        if shrinking == "area":
            ratio = jumps.banding_hu / real.banding_hu
            report.goals.append(Goal("banding of area / of the phantom", ratio, 1.0, at_least=False))
    if picture:
        write_figure(picture, slice_panel(rows))


def main() -> None:
    """Measure and write Testing/results/enhancer_slices.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.enhancer_slices", description=__doc__)
    parser.add_argument("--steps", type=int, default=120, help="training steps of four slices")
    parser.add_argument("--picture", type=Path, help="PNG of the fourth phantom and what was made of it")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    setting = {"phantoms": f"{SITE} {SEEDS}", "steps": options.steps, "rate": RATE, "threads": torch.get_num_threads()}
    report = Report("Slices of enhanced hearts", {**setting, "features": random_vgg19().name})
    measure(report, options.steps, options.picture)
    command = " ".join(["python -m Testing.benchmarks.enhancer_slices", *sys.argv[1:]])
    for path in write_report(report, machine(("torch", "numpy", "scipy")), options.out, "enhancer_slices", command):
        print(path)


if __name__ == "__main__":
    main()
