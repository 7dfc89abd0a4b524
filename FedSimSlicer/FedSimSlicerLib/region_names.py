"""Which region a name or a label value means."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path

SCHEMES = ("fedsim", "mmwhs", "imagechd")
"""Label schemes that are known, see :mod:`FedSimCore.volumes.labels`."""


def region_of_name(name: str) -> anatomy.Region | None:
    """Return the region that a segment's name means in one of the usual spellings, or None."""
    return _spellings().get(_plain(name))


def number_in(name: str) -> int | None:
    """Return the label value at the end of a name such as ``"Segment_500"`` or ``"205"``, or None."""
    found = re.fullmatch(r"(?:\D*[\s_-])?(\d{1,4})", name.strip())
    return int(found[1]) if found else None


def likely_scheme(values: Collection[int], array: NDArray[np.generic]) -> str | None:
    """Return the label scheme of a label map.

    FedSim and ImageCHD both use 1 to 7 and begin with the left ventricle; the myocardium is 2 in the one and 5 in the
    other. It is what most of the left ventricle's surface touches, in every heart.

    Args:
        values: that occur, without background.
        array: the label map (i, j, k).

    Returns:
        A scheme that knows all the values, or None.
    """
    wanted = {scheme: {v for r in anatomy.regions() for v in _values(r, scheme)} for scheme in SCHEMES}
    fitting = [scheme for scheme in SCHEMES if values and set(values) <= wanted[scheme]]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    touching = _voxels_touching(array, anatomy.region("lv").label)
    walls = {scheme: touching.get(_values(anatomy.region("myo"), scheme)[0], 0) for scheme in fitting}
    return max(fitting, key=lambda scheme: walls[scheme])  # FedSim's, the first, where nothing touches


def _values(region: anatomy.Region, scheme: str) -> tuple[int, ...]:
    return (region.label,) if scheme == "fedsim" else getattr(region, scheme)


def _voxels_touching(array: NDArray[np.generic], value: int) -> dict[int, int]:
    """Return how many voxels of each other value have a face in common with ``value``."""
    box = ndimage.find_objects((array == value).astype(np.uint8))
    if not box or box[0] is None:
        return {}
    near = array[tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box[0])]
    shell = ndimage.binary_dilation(near == value) & (near != value)
    values, counts = np.unique(near[shell], return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


@lru_cache(maxsize=1)
def _spellings() -> dict[str, anatomy.Region]:
    listed = read_json(resource_path("anatomy/spellings.json"))["spellings"]
    return {
        _plain(name): region
        for region in anatomy.regions()
        for name in (region.key, region.name, region.code.meaning, *listed[region.key])
    }


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
