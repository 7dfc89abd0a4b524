"""Looking twice: first everywhere, then once more with the heart in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.networks.segmenter import divisor
from FedSimCore.progress import Progress
from FedSimCore.segmentation.components import without_islands
from FedSimCore.segmentation.inference import OVERLAP, WINDOWS, Network, probabilities, window_count
from FedSimCore.segmentation.model_file import SegmenterHeader
from FedSimCore.volumes.resample import AIR_HU

LOOKING = "looking for the heart"
"""Stage that is told during the first look."""
MARGIN_MM = 24.0
"""Looked at round the heart that was found first."""
_FIRST_OVERLAP = 0.375
_HARDLY_LARGER = 1.05
"""Than a patch: a scan that was cut for the network is looked at as a whole."""
_LEAST_WEIGHT = 0.02
"""A place that counts for less is not looked at."""


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

    def at(self, hounsfield: Tensor, overlap: float, stage: str, progress: Progress | None = None) -> Tensor:
        """Return probabilities (classes, X, Y, Z) of (X, Y, Z) HU."""
        return probabilities(
            self.network,
            self.header,
            hounsfield,
            self.device,
            overlap=overlap,
            flips=self.flips,
            progress=progress or self.progress,
            stage=stage,
        )


class Stretch(NamedTuple):
    """Part of an axis, in voxels; it may reach beyond the scan.

    Attributes:
        start: first voxel.
        stop: one after the last.
        weight: of what is seen there.
    """

    start: int
    stop: int
    weight: float


def look_twice(look: Look, hounsfield: Tensor, first_voxel: Sequence[int]) -> Tensor:
    """Return the probabilities (classes, X, Y, Z), float16, of a scan on the working grid.

    A heart at a window's edge is hard to tell, so the heart that was found in a first look is looked at again with the
    heart in the middle; beyond what is seen then there is none.

    A network with strides tells other labels (Dice of the heart 0.986) when its window moves by one voxel, but nearly
    the same (0.994) when it moves by a multiple of all its strides but the last. So windows lie at such multiples in
    the world, whatever else the scan shows; along each axis at the two next to the heart's middle, which are weighted
    so that the result changes steadily with it.

    Args:
        look: how windows are computed.
        hounsfield: (X, Y, Z).
        first_voxel: place of its first voxel on the lattice of the working grid, whole numbers.
    """
    found = look.at(hounsfield, _FIRST_OVERLAP, LOOKING)
    cleaned = found.numpy().copy()
    heart = without_islands(cleaned) > 0
    if not heart.any():
        return found
    likely = np.where(heart, 1 - cleaned[0].astype(np.float32), 0)
    axes = [_stretches(look.header, likely, axis, int(first_voxel[axis])) for axis in range(3)]
    return _look_at(look, hounsfield, [*product(*axes)])


def _stretches(
    header: SegmenterHeader, likely: NDArray[np.float32], axis: int, first_voxel: int
) -> tuple[Stretch, ...]:
    """Return where to look along an axis; weights add up to nearly 1."""
    whole = divisor(header.channels)
    step, count = max(1, whole // 2), likely.shape[axis]
    profile = likely.sum(tuple({0, 1, 2} - {axis}))
    marked = np.flatnonzero(profile)
    margin = round(MARGIN_MM / header.spacing_mm)
    low, high = int(marked[0]) - margin, int(marked[-1]) + 1 + margin
    lowest = _multiple_below(0, step, first_voxel)
    if count - lowest > header.patch and count <= _HARDLY_LARGER * header.patch:
        return (Stretch(0, count, 1.0),)
    if high - low > header.patch:
        wanted = [Stretch(_multiple_below(low, whole, first_voxel), high, 1.0)]
    else:
        middle = float(profile @ np.arange(count)) / float(profile.sum()) + 0.5
        exact = middle - header.patch / 2
        start = _multiple_below(int(np.floor(exact)), step, first_voxel)
        share = (exact - start) / step
        wanted = [
            Stretch(start, start + header.patch, 1 - share),
            Stretch(start + step, start + step + header.patch, share),
        ]
    weights: dict[tuple[int, int], float] = {}
    for one in wanted:
        begin = max(one.start, lowest)
        end = begin + -(-(min(one.stop, count) - begin) // whole) * whole
        weights[begin, end] = weights.get((begin, end), 0.0) + one.weight
    return tuple(Stretch(*ends, weight) for ends, weight in weights.items() if weight > _LEAST_WEIGHT)


def _multiple_below(voxel: int, step: int, first_voxel: int) -> int:
    """Return the last voxel, up to this one, whose place on the lattice is a multiple of ``step``."""
    return voxel - (voxel + first_voxel) % step


def _look_at(look: Look, hounsfield: Tensor, places: Sequence[tuple[Stretch, ...]]) -> Tensor:
    """Return the probabilities at some places, blended where they overlap; everything else is background."""
    totals = [window_count([s.stop - s.start for s in place], look.header, OVERLAP) for place in places]
    hull = [
        slice(max(0, min(s.start for s in axis)), min(n, max(s.stop for s in axis)))
        for axis, n in zip(zip(*places, strict=True), hounsfield.shape, strict=True)
    ]
    near = hounsfield[tuple(hull)]
    blended, seen = torch.zeros(look.header.classes, *near.shape), torch.zeros(near.shape)
    for number, place in enumerate(places):
        at = [slice(s.start - h.start, s.stop - h.start) for s, h in zip(place, hull, strict=True)]
        within = tuple(slice(max(0, s.start), min(n, s.stop)) for s, n in zip(at, near.shape, strict=True))
        inner = tuple(slice(w.start - s.start, w.stop - s.start) for w, s in zip(within, at, strict=True))
        patch = torch.full([s.stop - s.start for s in place], AIR_HU)
        patch[inner] = near[within]
        before, total = sum(totals[:number]), sum(totals)

        def tell(done: int, _of: int, stage: str, before: int = before, total: int = total) -> None:
            look.progress(before + done, total, stage)

        weight = float(np.prod([s.weight for s in place]))
        found = look.at(patch, OVERLAP, WINDOWS, tell)[(slice(None), *inner)]
        blended[(slice(None), *within)] += weight * found.float()
        seen[within] += weight
    result = torch.zeros(look.header.classes, *hounsfield.shape, dtype=torch.float16)
    result[0] = 1
    there = seen > 0
    result[(slice(None), *hull)][:, there] = (blended[:, there] / seen[there]).half()
    return result
