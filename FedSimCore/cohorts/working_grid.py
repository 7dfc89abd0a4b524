"""A case's CT and labels as arrays on the working grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.cohorts.case import Case
from FedSimCore.cohorts.load import load_case
from FedSimCore.errors import InputError
from FedSimCore.volumes.crop import crop_round_heart


@dataclass(frozen=True, eq=False)
class Heart:
    """One case on the working grid.

    Attributes:
        name: of the case.
        hu: (X, Y, Z) float32.
        labels: (X, Y, Z) uint8; None for an unlabelled case.
        covered: share of the grid that the scan reached; the rest is filled with air.
    """

    name: str
    hu: NDArray[np.float32]
    labels: NDArray[np.uint8] | None
    covered: float = 1.0


def read_heart(case: Case, size: int, spacing_mm: float) -> Heart:
    """Read a case with a CT onto a working grid round its heart.

    Without labels the heart is taken to lie at the case's ``center_mm``, or else in the middle of its image.

    Args:
        case: with an image.
        size: voxels along each side.
        spacing_mm: between voxels.

    Raises:
        InputError: it cannot be read, or is an MR image.
    """
    if case.modality != "CT":
        raise InputError(f"{case.id} is an MR image; only CTs have Hounsfield units to compare.")
    try:
        loaded = load_case(case)
        assert loaded.image is not None
        middle = None if loaded.label is not None else case.center_mm or loaded.image.grid.center_mm
        crop = crop_round_heart(loaded.image, loaded.label, size, spacing_mm, middle)
    except InputError as error:
        raise InputError(f"{case.id}: {error}") from error
    assert crop.image is not None
    labels = None if crop.label is None else crop.label.array.astype(np.uint8)
    return Heart(case.id, crop.image.array.astype(np.float32), labels, crop.covered)
