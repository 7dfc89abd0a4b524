"""The latent of a heart that the generator has never seen, found by fitting it alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.networks.losses import iou_loss
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.voxelizer import label_map

STEPS = 150
RATE = 0.1


@dataclass(frozen=True, eq=False)
class FittedLatents:
    """Latents of hearts.

    Attributes:
        latents: (B, L).
        iou: (B,) mean IoU over the regions each heart has, of the fitted label map.
        start_iou: (B,) of the mean latent, from which the fit began.
    """

    latents: Tensor
    iou: Tensor
    start_iou: Tensor


def fit_latents(
    generator: HeartGenerator, labels: Tensor, steps: int = STEPS, rate: float = RATE, progress: Progress = silent
) -> FittedLatents:
    """Find the latents whose shapes meet label maps best; the generator stays as it is.

    It begins with the mean of the latents' distribution and moves by the IoU loss's boundary gradient (Adam, rate
    falling linearly to 0); the best latent on the way is kept. Nothing holds it within the distribution:
    :meth:`LatentNormal.mahalanobis <FedSimCore.generation.latent_normal.LatentNormal.mahalanobis>` tells how far it
    went.

    Args:
        generator: on any device.
        labels: (B, X, Y, Z) uint8 on the working grid, each heart in its middle.
        steps: of the optimizer.
        rate: of the first step, in the latent's units.
        progress: told of every step.

    Raises:
        InputError: the label maps are not on the working grid, or one is empty.
    """
    if labels.ndim != 4 or tuple(labels.shape[1:]) != generator.grid.shape:
        raise InputError(f"Label maps {tuple(labels.shape)} are not (batch, *{generator.grid.shape}) of the generator.")
    if not bool(labels.flatten(1).any(1).all()):
        raise InputError("A label map is empty, so there is no heart to fit a latent to.")
    device = generator.latents.device
    values = torch.tensor(generator.model.topology.labels, dtype=torch.uint8, device=device)[:, None, None, None]
    wanted = (labels.to(device)[:, None] == values).float()
    # A chamber that a patient lacks cannot be fitted.
    present = wanted.flatten(2).any(2)
    latents = generator.normal.mean.detach().repeat(len(labels), 1).clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=rate)
    best, best_iou = latents.detach().clone(), torch.full((len(labels),), -1.0, device=device)
    start = best_iou
    for step in range(steps + 1):
        progress(step, steps, "fitting latents")
        iou = _iou(generator, latents.detach(), wanted)
        start = iou if step == 0 else start
        better = iou > best_iou
        best, best_iou = torch.where(better[:, None], latents.detach(), best), torch.where(better, iou, best_iou)
        if step == steps:
            break
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        made = generator.probabilities(latents)
        # Added up, not averaged: a heart's step does not depend on those beside it.
        losses = [
            iou_loss(one[has][None], true[has][None]) for one, true, has in zip(made, wanted, present, strict=True)
        ]
        torch.stack(losses).sum().backward()
        optimizer.step()
    return FittedLatents(best, best_iou, start)


@torch.no_grad()
def _iou(generator: HeartGenerator, latents: Tensor, wanted: Tensor) -> Tensor:
    made = label_map(generator.vertices(latents), generator.model.topology, generator.grid)
    values = torch.tensor(generator.model.topology.labels, dtype=torch.uint8, device=made.device)[:, None, None, None]
    found = (made[:, None] == values).float()
    both = (found * wanted).flatten(2).sum(2)
    union = found.flatten(2).sum(2) + wanted.flatten(2).sum(2) - both
    present = wanted.flatten(2).any(2)
    return ((both / union.clamp_min(1)) * present).sum(1) / present.sum(1).clamp_min(1)
