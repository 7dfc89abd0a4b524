"""How a label file's values name regions, and their translation to FedSim's labels 1 to 7."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.files import read_json

Scheme = str | Path | Mapping[int, str]
"""``"fedsim"``, ``"mmwhs"``, ``"imagechd"``, a JSON file, or a mapping of file value to region key."""

BACKGROUND_KEY = "background"


def scheme_values(scheme: Scheme) -> dict[int, int]:
    """Return which FedSim label each value of a file stands for; 0 is always background.

    A JSON file holds ``{"values": {"1": "lv", "9": "background", ...}}`` with region keys of ``anatomy.regions()``;
    several values may name one region.

    Raises:
        InputError: the scheme is unknown, or the mapping names an unknown region or a value that is no integer.
    """
    if scheme == "fedsim":
        pairs = [(region.label, region.label) for region in anatomy.regions()]
    elif scheme in ("mmwhs", "imagechd"):
        pairs = [(value, region.label) for region in anatomy.regions() for value in getattr(region, str(scheme))]
    elif isinstance(scheme, Mapping):
        pairs = [_pair(value, key, "The label scheme") for value, key in scheme.items()]
    elif Path(scheme).suffix.lower() == ".json":
        content = read_json(Path(scheme))
        values = content.get("values") if isinstance(content, dict) else None
        if not isinstance(values, dict) or not values:
            raise InputError(f'{scheme} is no label scheme; it needs {{"values": {{"1": "lv", ...}}}}.')
        pairs = [_pair(value, key, str(scheme)) for value, key in values.items()]
    else:
        raise InputError(
            f"There is no label scheme {str(scheme)!r}; give fedsim, mmwhs, imagechd or the path of a JSON file."
        )
    return {anatomy.BACKGROUND: anatomy.BACKGROUND, **dict(pairs)}


def _pair(value: object, key: object, source: str) -> tuple[int, int]:
    try:
        number = int(str(value))
    except ValueError:
        raise InputError(f"{source} maps {value!r}, which is no whole number; map the file's label values.") from None
    if key == BACKGROUND_KEY:
        return number, anatomy.BACKGROUND
    try:
        return number, anatomy.region(str(key)).label
    except InputError as error:
        raise InputError(f"{source}, value {number}: {error}") from None


def count_values(array: NDArray[np.generic], source: str = "The label map") -> dict[int, int]:
    """Return how many voxels have each value.

    Raises:
        InputError: values are not whole numbers.
    """
    values, counts = np.unique(array, return_counts=True)
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        odd = values[~np.isfinite(values) | (values != np.round(values))][0]
        raise InputError(f"{source} holds {odd:g}, which is no whole number; is it an image rather than a label map?")
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def translate(array: NDArray[np.generic], scheme: Scheme, source: str) -> NDArray[np.uint8]:
    """Return a label array in FedSim's labels.

    Args:
        array: whole-number values of a file.
        scheme: what they stand for.
        source: the file, for the message.

    Raises:
        InputError: values that the scheme doesn't know (named, with their counts), or no region at all.
    """
    known, counts = scheme_values(scheme), count_values(array, source)
    unknown = {value: count for value, count in counts.items() if value not in known}
    if unknown:
        listed = ", ".join(f"{value} ({count} voxels)" for value, count in list(unknown.items())[:12])
        more = f" and {len(unknown) - 12} more" if len(unknown) > 12 else ""
        raise InputError(
            f"{source} has label values that scheme {_name(scheme)} doesn't know: {listed}{more}; "
            f'name them in a JSON scheme, e.g. as "{BACKGROUND_KEY}".'
        )
    if not any(known[value] for value in counts):
        raise InputError(
            f"{source} holds none of the seven regions, only background; check its scheme {_name(scheme)}."
        )
    values = np.array(sorted(counts))
    table = np.array([known[int(value)] for value in values], dtype=np.uint8)
    return table[np.searchsorted(values, array)]


def _name(scheme: Scheme) -> str:
    return repr(str(scheme)) if isinstance(scheme, (str, Path)) else "given"
