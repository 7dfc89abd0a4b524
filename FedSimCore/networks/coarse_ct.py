"""The paper's coarse CT of 16^3: what a material map means, and how it meets the volumes of 128^3.

A value t of the generator's Tanh stands for the attenuation of a Hounsfield number, ``intensity.hounsfield(t)``, and so
for a density of ``1 + HU / 1000`` in units of water's: with the default range the density is 1 + t and the number
1000 t. This is the paper's "combined representation of tissue properties, attenuation coefficient and density" in one
channel; bone and contrast medium are dense water in it.

There are two ways from the map to the coarse CT:

- :class:`RenderedCoarseCT` scans the map: projection, polychromatic beam, filtered back projection, as the paper does.
- :func:`read_directly` takes the map for the image. At 10 mm a voxel there is little physics left that the generator
  could not learn along with the map, and a step costs a fraction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from FedSimCore.ct.material_map import MaterialMapRenderer
from FedSimCore.errors import InputError
from FedSimCore.networks.intensity import IntensityRange

CoarseCT = Callable[[Tensor], Tensor]
"""From material maps (B, 1, X, Y, Z), -1 to 1, to coarse CT of the same shape on the unit scale."""


def read_directly(material: Tensor) -> Tensor:
    """Take material maps (B, 1, X, Y, Z) for the coarse CT itself."""
    return material


class RenderedCoarseCT:
    """Scans material maps.

    Args:
        renderer: the scanner; its grid is the maps'.
        intensity: scale of map and image.
    """

    def __init__(self, renderer: MaterialMapRenderer, intensity: IntensityRange | None = None) -> None:
        self.renderer = renderer
        self.intensity = intensity or IntensityRange()

    def __call__(self, material: Tensor) -> Tensor:
        """Scan maps (B, 1, X, Y, Z), -1 to 1, without noise; the result is on the unit scale, not clipped."""
        density = 1 + self.intensity.hounsfield(material) / 1000
        return self.intensity.scale(self.renderer(density))


def downsample(image: Tensor, size: int = 16, average: bool = False) -> Tensor:
    """Bring CT volumes to the coarse grid: the paper's "trilinearly downsampled real CT" (section 2.2).

    Both grids cover the same box. Trilinear sampling takes the eight voxels next to each coarse centre, so noise is
    averaged over 8 voxels only; ``average`` takes all that a coarse voxel covers.

    Args:
        image: (B, C, X, Y, Z).
        size: voxels along each coarse axis.
        average: mean over the coarse voxel instead.

    Raises:
        InputError: not a batch of volumes.
    """
    if image.ndim != 5:
        raise InputError(f"The images are {tuple(image.shape)}, but (batch, channel, x, y, z) is needed.")
    if average:
        return functional.adaptive_avg_pool3d(image, size)
    return functional.interpolate(image, size=(size, size, size), mode="trilinear", align_corners=False)


def coarse_slices(coarse: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return axial slices of trilinearly upsampled volumes without making the volumes.

    Args:
        coarse: (B, C, x, y, z).
        index: (B, S) numbers of slices along the third axis of the fine grid.
        shape: the fine grid (X, Y, Z), which covers the same box.

    Returns:
        (B, S, C, X, Y).
    """
    batch, slices = index.shape
    depth, fine = coarse.shape[-1], shape[2]
    position = ((index.to(coarse.dtype) + 0.5) * (depth / fine) - 0.5).clamp(0, depth - 1)
    below = position.floor().long()
    above = (below + 1).clamp_max(depth - 1)
    # (B, z, C, x, y), so that slices are picked along the second axis.
    planes = coarse.movedim(-1, 1)
    sample = torch.arange(batch, device=coarse.device)[:, None]
    share = (position - below)[..., None, None, None]
    picked = planes[sample, below] * (1 - share) + planes[sample, above] * share
    upsampled = functional.interpolate(picked.flatten(0, 1), size=shape[:2], mode="bilinear", align_corners=False)
    return upsampled.unflatten(0, (batch, slices))
