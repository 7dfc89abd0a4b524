"""The hearts of a cohort on one working grid, to be compared with those of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.working_grid import Heart, read_heart
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent


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

    See :func:`~FedSimCore.cohorts.working_grid.read_heart` for unlabelled cases.

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
