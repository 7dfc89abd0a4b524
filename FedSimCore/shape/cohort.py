"""The labelled hearts of a cohort, read for a shape model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from FedSimCore.cohorts.load import load_case
from FedSimCore.cohorts.readers import read_cohort
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.labelled_heart import LabelledHeart


@dataclass(frozen=True, eq=False)
class Hearts:
    """What was read of a cohort.

    Attributes:
        cohort: its name.
        hearts: those with labels, in the cohort's order.
        sites: number of hearts of each site.
        skipped: one sentence for every case left out.
    """

    cohort: str
    hearts: list[LabelledHeart]
    sites: dict[str, int]
    skipped: list[str]


def read_hearts(
    path: Path, sites: Sequence[str] = (), skip_incomplete: bool = False, progress: Progress = silent
) -> Hearts:
    """Read the label maps of a cohort.

    Cases without labels are left out and named; a cohort is usually labelled in part.

    Args:
        path: folder or table of the cohort.
        sites: only these; all if empty.
        skip_incomplete: leave out, and name, cases that lack a region.
        progress: told of every case.

    Raises:
        InputError: the cohort or a label map cannot be read, or a region is missing.
    """
    cohort = read_cohort(path)
    cases = [case for site in sites for case in cohort.of_site(site)] if sites else list(cohort.cases)
    hearts: list[LabelledHeart] = []
    skipped: list[str] = []
    counts: Counter[str] = Counter()
    for number, case in enumerate(cases):
        progress(number, len(cases), "reading label maps")
        if case.label is None:
            skipped.append(f"{case.id} has no label map.")
            continue
        # Only the label map is opened, not the scan.
        label = load_case(case.model_copy(update={"image": None})).label
        assert label is not None  # case.label is set
        heart = LabelledHeart.from_volume(case.id, label)
        try:
            heart.require_all_regions()
        except InputError as error:
            if not skip_incomplete:
                raise
            skipped.append(str(error))
            continue
        hearts.append(heart)
        counts[case.site] += 1
    progress(len(cases), len(cases), "reading label maps")
    if not hearts:
        raise InputError(f"{path} has no labelled case to build a shape model of; give label maps to its cases.")
    return Hearts(cohort.name, hearts, dict(counts), skipped)
