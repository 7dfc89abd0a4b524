"""The hearts of a cohort on one working grid, to be compared with those of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from FedSimCore.cohorts import Case, load_case, read_cohort
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes.crop import crop_round_heart


@dataclass(frozen=True, eq=False)
class Heart:
    """One case on the working grid.

    Attributes:
        name: of the case.
        hu: (X, Y, Z) float32.
        labels: (X, Y, Z) uint8; None for an unlabelled case.
    """

    name: str
    hu: NDArray[np.float32]
    labels: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Hearts:
    """What was read of a cohort.

    Attributes:
        name: of the cohort.
        sha256: the cohort's checksum (of its table, see ``Cohort.checksum``).
        hearts: those with a CT, in the cohort's order.
    """

    name: str
    sha256: str
    hearts: tuple[Heart, ...]

    @property
    def labelled(self) -> tuple[Heart, ...]:
        """The hearts that have labels."""
        return tuple(heart for heart in self.hearts if heart.labels is not None)


def read_hearts(
    path: Path, size: int = 128, spacing_mm: float = 1.25, site: str | None = None, progress: Progress = silent
) -> Hearts:
    """Read the CTs of a cohort onto a working grid round each heart.

    Without labels a heart is taken to lie at the case's ``center_mm``, or else in the middle of its image.

    Args:
        path: folder or table of the cohort.
        size: voxels along each side.
        spacing_mm: between voxels.
        site: only its cases.
        progress: told of every case.

    Raises:
        InputError: the cohort or a volume cannot be read, there are fewer than two CTs, or one is an MR image.
    """
    cohort = read_cohort(path)
    cases = [case for case in (cohort.of_site(site) if site else cohort.cases) if case.image is not None]
    if len(cases) < 2:
        raise InputError(f"{path} has {len(cases)} cases with an image; to compare cohorts each needs two at least.")
    hearts = []
    for number, case in enumerate(cases):
        progress(number, len(cases), f"reading {cohort.name}")
        hearts.append(read_heart(case, size, spacing_mm))
    progress(len(cases), len(cases), f"reading {cohort.name}")
    return Hearts(cohort.name, cohort.checksum(), tuple(hearts))


def read_heart(case: Case, size: int, spacing_mm: float) -> Heart:
    """Read one case with an image, see :func:`read_hearts`.

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
    return Heart(case.id, crop.image.array.astype(np.float32), labels)
