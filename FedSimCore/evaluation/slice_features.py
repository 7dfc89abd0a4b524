"""Feature vectors of a heart's slices, for distances between cohorts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.vgg import ImageFeatures

PLANES = ("sagittal", "coronal", "axial")
SLICES = 8
"""Of each plane."""


@torch.no_grad()
def slice_features(
    hu: NDArray[np.float32], features: ImageFeatures, slices: int = SLICES, intensity: IntensityRange | None = None
) -> NDArray[np.float32]:
    """Describe slices of a heart by the means over each of a network's feature maps, all layers side by side.

    Features are of images, so a volume is seen in its three planes ("2.5D"), in slices spread evenly over the middle
    half of the grid, where the heart lies.

    Args:
        hu: (X, Y, Z) HU on the working grid.
        features: on the CPU.
        slices: of each plane.
        intensity: unit scale that the network sees; HU beyond it are clipped.

    Returns:
        (3, slices, D): planes as :data:`PLANES`.
    """
    volume = (intensity or IntensityRange()).clip(torch.from_numpy(hu))
    planes = []
    for axis, size in enumerate(hu.shape):
        chosen = ((torch.arange(slices) + 0.5) * (size / 2 / slices) + size / 4).long()
        images = volume.index_select(axis, chosen).movedim(axis, 0)[:, None]
        planes.append(torch.cat([layer.mean((2, 3)) for layer in features(images)], 1))
    return torch.stack(planes).numpy()
