"""Who wins where regions overlap.

The regions that a voxel lies in are written as a bit mask: bit r for the r-th label in ascending order. With at most
seven regions there are 128 masks, and everything about priority is a table over them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from FedSimCore import anatomy
from FedSimCore.errors import InputError

MOST_REGIONS = 7


class OverlapTables(NamedTuple):
    """Tables over masks (M = 2^R), on the CPU.

    Attributes:
        label: (M,) uint8 label of the region that wins, 0 for none.
        visible: (R, M) bool, whether region r would win there (were it in the mask, or because it is).
        behind: (R, M) int64, index of the region that wins if r is left out; R for none.
        higher: (R,) masks of the regions with priority over r.
    """

    label: Tensor
    visible: Tensor
    behind: Tensor
    higher: tuple[int, ...]


def by_priority(labels: tuple[int, ...]) -> list[int]:
    """Return the positions in ``labels``, the region that wins first.

    Raises:
        InputError: a label is unknown.
    """
    known = {region.label: region.priority for region in anatomy.regions()}
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise InputError(f"The mesh has regions with labels {unknown}; known are {sorted(known)}.")
    return sorted(range(len(labels)), key=lambda index: known[labels[index]])


@lru_cache(maxsize=16)
def overlap_tables(labels: tuple[int, ...]) -> OverlapTables:
    """Return the tables for regions with these labels.

    Raises:
        InputError: a label is unknown.
    """
    order = by_priority(labels)
    count = len(labels)
    masks = range(1 << count)

    def winner(mask: int) -> int:
        return next((index for index in order if mask >> index & 1), count)

    higher = tuple(sum(1 << other for other in order[: order.index(index)]) for index in range(count))
    return OverlapTables(
        label=torch.tensor([(*labels, 0)[winner(mask)] for mask in masks], dtype=torch.uint8),
        visible=torch.tensor([[not mask & higher[index] for mask in masks] for index in range(count)]),
        behind=torch.tensor([[winner(mask & ~(1 << index)) for mask in masks] for index in range(count)]),
        higher=higher,
    )
