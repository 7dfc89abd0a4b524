"""Which cases of a cohort a training learns from, and whose labels it may use. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from FedSimCore.cohorts import Case, Cohort, read_cohort
from FedSimCore.cohorts.splits import Splits, read_splits
from FedSimCore.errors import InputError

Labelled = int | tuple[int, ...] | None
"""Cases of each site whose labels may be used: one number for all sites, one for each in order, or None for all."""


@dataclass(frozen=True)
class ChosenCases:
    """The cases of some sites that a training may see.

    Attributes:
        labelled: those whose label map may be used.
        unlabelled: the other training cases with an image, whether or not they have a label map.
        held: validation cases with image and label map; nothing is learnt from them.
        forbidden: ids of validation and test cases.
    """

    labelled: tuple[Case, ...]
    unlabelled: tuple[Case, ...]
    held: tuple[Case, ...]
    forbidden: frozenset[str]


def choose_cases(
    path: Path,
    sites: Sequence[str] = (),
    labelled: Labelled = None,
    splits: Path | None = None,
    fold: int = 0,
    seed: int = 0,
) -> ChosenCases:
    """Choose a training's cases from a cohort.

    With a file of splits, its folds decide who trains and in which order labels are uncovered, so that fewer labelled
    cases are always among the more. Without one, the cohort's column ``split`` decides who trains (all where it is
    empty), and the order is drawn from the seed, for each site by itself.

    Args:
        path: folder or table of the cohort.
        sites: to choose from; none named: all.
        labelled: how many cases of each site show their labels.
        splits: file of ``fedsim cohort split``.
        fold: of the splits.
        seed: of the order.

    Raises:
        InputError: the cohort can't be read, it has no such site, there is no such fold, or more labels are asked for
            than there are.
    """
    cohort = read_cohort(path)
    folds = read_splits(splits, cohort) if splits is not None else None
    names = tuple(sites) or cohort.sites
    if isinstance(labelled, tuple) and len(labelled) != len(names):
        raise InputError(f"labelled has {len(labelled)} numbers, but there are {len(names)} sites: {', '.join(names)}.")
    counts = labelled if isinstance(labelled, tuple) else (labelled,) * len(names)
    parts = [_of_site(cohort, site, count, folds, fold, seed) for site, count in zip(names, counts, strict=True)]
    return ChosenCases(
        tuple(case for part in parts for case in part.labelled),
        tuple(case for part in parts for case in part.unlabelled),
        tuple(case for part in parts for case in part.held),
        frozenset().union(*(part.forbidden for part in parts)),
    )


def _of_site(cohort: Cohort, site: str, count: int | None, splits: Splits | None, fold: int, seed: int) -> ChosenCases:
    cases = {case.id: case for case in cohort.of_site(site)}
    val: Sequence[str]
    if splits is not None:
        folds = splits.sites[site].folds
        if folds and fold >= len(folds):
            raise InputError(f"The site {site} has {len(folds)} folds, numbered from 0; there is no fold {fold}.")
        train, val, test = (folds[fold].train, folds[fold].val, folds[fold].test) if folds else ((), (), ())
    else:
        train = _drawn([case for case in cases.values() if case.label and case.split in (None, "train")], site, seed)
        val, test = (tuple(case.id for case in cases.values() if case.split == role) for role in ("val", "test"))
    if count is not None and count > len(train):
        raise InputError(f"{count} labelled cases were asked of the site {site}, which trains on {len(train)}.")
    shown, forbidden = train[:count], frozenset([*val, *test])
    others = [case for case in cases.values() if case.image and case.id not in {*shown, *forbidden}]
    held = [cases[name] for name in val if cases[name].image and cases[name].label]
    in_order = tuple(case for case in cases.values() if case.id in shown)
    return ChosenCases(in_order, tuple(others), tuple(held), forbidden)


def _drawn(cases: Sequence[Case], site: str, seed: int) -> tuple[str, ...]:
    names = sorted(case.id for case in cases)
    digest = int.from_bytes(hashlib.sha256(site.encode()).digest()[:8], "little")
    return tuple(names[place] for place in np.random.default_rng([seed, digest]).permutation(len(names)))
