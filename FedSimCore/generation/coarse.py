"""The ways to the coarse CT that the enhancer is told of (docs/networks.md)."""

from __future__ import annotations

from typing import Literal

import torch

from FedSimCore.ct.material_map import PAPER_SIZE, MaterialMapRenderer
from FedSimCore.networks.coarse_ct import CoarseCT, RenderedCoarseCT, read_directly
from FedSimCore.networks.intensity import IntensityRange

LearntCoarse = Literal["rendered", "read"]
Coarse = Literal["rendered", "read", "fixed-materials"]
"""``"rendered"``: the material map is scanned, as in the paper; ``"read"``: it is the image; ``"fixed-materials"``: the
label map is scanned at full resolution with tissues from tables, the paper's Fix-Mat."""

COARSE_SIZE = PAPER_SIZE


def coarse_ct(
    coarse: LearntCoarse, field_of_view_mm: float, intensity: IntensityRange, device: torch.device | str = "cpu"
) -> CoarseCT:
    """Return what makes coarse CT of material maps.

    Args:
        coarse: the way.
        field_of_view_mm: side of the working grid.
        intensity: scale of map and image.
        device: where the maps are.

    Raises:
        InputError: the working grid does not fit the scanner.
    """
    if coarse == "read":
        return read_directly
    renderer = MaterialMapRenderer(size=COARSE_SIZE, field_of_view_mm=field_of_view_mm, device=device)
    return RenderedCoarseCT(renderer, intensity)
