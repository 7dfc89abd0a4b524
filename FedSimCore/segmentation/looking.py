"""Looking twice: first everywhere, then once more with the heart in the middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from FedSimCore.progress import Progress
from FedSimCore.segmentation.components import without_islands
from FedSimCore.segmentation.inference import OVERLAP, WINDOWS, Network, probabilities
from FedSimCore.segmentation.model_file import SegmenterHeader

LOOKING = "looking for the heart"
"""Stage that is told during the first look."""
MARGIN_MM = 24.0
"""Looked at round the heart that was found first."""
_FIRST_OVERLAP = 0.375


@dataclass(frozen=True)
class Look:
    """How windows are computed.

    Attributes:
        network: on the device.
        header: of the segmenter.
        device: where windows are computed.
        flips: average over mirror images.
        progress: told of every window.
    """

    network: Network
    header: SegmenterHeader
    device: torch.device
    flips: bool
    progress: Progress

    def at(self, hounsfield: Tensor, overlap: float, stage: str) -> Tensor:
        """Return probabilities (classes, X, Y, Z) of (X, Y, Z) HU."""
        return probabilities(
            self.network,
            self.header,
            hounsfield,
            self.device,
            overlap=overlap,
            flips=self.flips,
            progress=self.progress,
            stage=stage,
        )


def look_twice(look: Look, hounsfield: Tensor) -> Tensor:
    """Return the probabilities (classes, X, Y, Z), float16, of a scan on the working grid (X, Y, Z).

    Where windows happen to lie depends on the scan's extent, and a heart at a window's edge is hard to tell. So the
    heart that was found in a first look is looked at again in windows round its middle, which are nearly the same
    whatever else the scan shows; beyond them there is none.
    """
    found = look.at(hounsfield, _FIRST_OVERLAP, LOOKING)
    heart = without_islands(found.numpy().copy()) > 0
    if not heart.any():
        return found
    margin = round(MARGIN_MM / look.header.spacing_mm)
    low, high = [], []
    for other in ((1, 2), (0, 2), (0, 1)):
        marked = np.flatnonzero(heart.any(axis=other))
        first, last = int(marked[0]) - margin, int(marked[-1]) + 1 + margin
        missing = max(0, look.header.patch - (last - first))
        low.append(first - missing // 2)
        high.append(last + missing - missing // 2)
    inner = tuple(slice(max(0, a), min(n, b)) for a, b, n in zip(low, high, hounsfield.shape, strict=True))
    result = torch.zeros_like(found)
    result[0] = 1
    result[(slice(None), *inner)] = look.at(hounsfield[inner], OVERLAP, WINDOWS)
    return result
