"""From latents to shapes: the generators of Li et al. 2020, section 2.1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from FedSimCore.networks.seeding import seeded

LATENT_SIZE = 32
"""Numbers of a latent vector (Li et al. 2020, supplement, as issue 4 quotes it)."""
SHAPE_HIDDEN = (256, 128)
_LEAK = 0.2


class ShapeGenerator(nn.Sequential):
    """Multilayer perceptron from a latent to the shape model's parameters in [-1, 1].

    Linear layers with LeakyReLU between them and Tanh at the end, 32-256-128-21 by default;
    ``ShapeModel.from_unit`` makes weights and pose of the output.
    """

    def __init__(
        self, outputs: int = 21, latent_size: int = LATENT_SIZE, hidden: Sequence[int] = SHAPE_HIDDEN, seed: int = 0
    ) -> None:
        """Make the layers.

        Args:
            outputs: the shape model's parameter count, modes + 7.
            latent_size: numbers of a latent.
            hidden: widths of the hidden layers.
            seed: of the first weights.
        """
        layers: list[nn.Module] = []
        width = latent_size
        with seeded(seed):
            for next_width in hidden:
                layers += [nn.Linear(width, next_width), nn.LeakyReLU(_LEAK)]
                width = next_width
            super().__init__(*layers, nn.Linear(width, outputs), nn.Tanh())


class Latents(nn.Module):
    """One learnt latent vector for each case, drawn from the unit normal distribution (GLO: Bojanowski et al. 2017).

    Attributes:
        vectors: (cases, latent size).
    """

    def __init__(self, cases: int, latent_size: int = LATENT_SIZE, seed: int = 0) -> None:
        """Draw the latents.

        Args:
            cases: number of training cases.
            latent_size: numbers of a latent.
            seed: of the draw.
        """
        super().__init__()
        drawn = torch.randn(cases, latent_size, generator=torch.Generator().manual_seed(seed))
        self.vectors = nn.Embedding.from_pretrained(drawn, freeze=False)

    def forward(self, cases: Tensor) -> Tensor:
        """Return the latents (batch, latent size) of cases (batch,), given by their indices."""
        latents: Tensor = self.vectors(cases)
        return latents
