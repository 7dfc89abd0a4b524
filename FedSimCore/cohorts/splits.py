"""Who trains, validates and tests, in which fold, and whose labels are shown: drawn by seed, kept in a file.

Every labelled case of a site is tested in exactly one fold. The cases, in an order drawn from the seed and the site's
name, are cut into as many runs as there are folds; run k is the test set of fold k, the cases that follow it (the
first ones follow the last) are its validation set, the rest trains. Where the number of cases is no multiple of the
folds, the last runs are one case shorter and that case trains instead: the paper's 34 cases (train 20, val 7, test 7;
Li et al. 2020, table 1) become four folds of 20/7/7 and one of 21/7/6, since five test sets of 7 would test one case
twice. Where the cohort's table gives every labelled case of a site a ``fold``, these are the runs; where it gives each
a ``split``, there is one fold, as given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.errors import InputError
from FedSimCore.files import read_json, write_json
from FedSimCore.resources import resource_path

SCHEMA: Literal["fedsim/splits/1"] = "fedsim/splits/1"


class Fold(BaseModel):
    """Case ids of one fold of one site.

    Attributes:
        train: labelled cases for training, in the order in which their labels are uncovered.
        val: labelled cases for choosing and stopping.
        test: labelled cases that nothing of this fold has seen.
        labelled: size to those training cases whose labels are shown; smaller sets are contained in larger ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    labelled: dict[int, tuple[str, ...]]

    @model_validator(mode="after")
    def _no_case_is_in_two_sets(self) -> Fold:
        everyone = [*self.train, *self.val, *self.test]
        if len(set(everyone)) < len(everyone):
            raise ValueError("a case is in two of train, val and test")
        if not all(set(subset) <= set(self.train) for subset in self.labelled.values()):
            raise ValueError("a labelled subset holds a case that doesn't train")
        return self


class SiteSplit(BaseModel):
    """The folds of one site.

    Attributes:
        sizes: ``"paper"`` where the site and its number of cases are the paper's, else ``"even"``.
        folds: each labelled case is tested in one of them; none for a site without labels.
        unlabelled: cases without a label map; they may train in every fold, as images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    sizes: Literal["paper", "even"]
    folds: tuple[Fold, ...]
    unlabelled: tuple[str, ...]


class Splits(BaseModel):
    """The folds of all sites of a cohort.

    Attributes:
        schema_name: of the file.
        cohort: its name.
        cohort_sha256: ``Cohort.checksum()`` of the cohort that was split.
        seed: from which everything was drawn.
        sites: by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_name: Literal["fedsim/splits/1"] = SCHEMA
    cohort: str
    cohort_sha256: str
    seed: int
    sites: dict[str, SiteSplit]


class _PaperSizes(BaseModel):
    site: str
    aliases: tuple[str, ...]
    train: int
    val: int
    test: int
    labelled: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.train + self.val + self.test


def make_splits(
    cohort: Cohort,
    seed: int = 0,
    folds: int = 5,
    val: int | None = None,
    labelled: Sequence[int] | None = None,
) -> Splits:
    """Draw the folds of every site of a cohort.

    Args:
        cohort: its sites are split each by itself; a site's split depends on its own labelled cases only.
        seed: the same seed gives the same folds, whatever the order of the table.
        folds: number of folds.
        val: size of the validation sets; by default the paper's, or that of the test sets (half of the rest at most).
        labelled: sizes of the training subsets whose labels are shown; by default the paper's (4/8, 6/12, 6/12), or a
            third and two thirds of the training cases.

    Raises:
        InputError: a site has fewer labelled cases than folds, or too few to train after validation and test, or a
            subset is larger than the training set.
    """
    paper = _paper_sizes()
    sites = {}
    for site in cohort.sites:
        known = sorted((case for case in cohort.of_site(site) if case.label is not None), key=lambda case: case.id)
        unlabelled = sorted(case.id for case in cohort.of_site(site) if case.label is None)
        preset = paper.get(site.lower())
        val_size: int | None
        shown: Sequence[int] | None
        if preset is not None and (len(known), folds) == (preset.total, 5):
            val_size = preset.val if val is None else val
            shown = preset.labelled if labelled is None else labelled
        else:
            preset, val_size, shown = None, val, labelled
        made: tuple[Fold, ...]
        if not known:
            made = ()
        elif all(case.split is not None for case in known):
            made = (_given_fold(site, known, shown, _generator(seed, site)),)
        else:
            made = _folds(site, _runs(site, known, folds, _generator(seed, site)), val_size, shown, seed)
        sites[site] = SiteSplit(sizes="paper" if preset else "even", folds=made, unlabelled=tuple(unlabelled))
    return Splits(cohort=cohort.name, cohort_sha256=cohort.checksum(), seed=seed, sites=sites)


def _paper_sizes() -> Mapping[str, _PaperSizes]:
    entries = [_PaperSizes.model_validate(entry) for entry in read_json(resource_path("cohorts/splits.json"))["sites"]]
    return {name.lower(): entry for entry in entries for name in (entry.site, *entry.aliases)}


def _generator(seed: int, site: str) -> np.random.Generator:
    """Return a generator of its own for each site, so that adding a site changes no other one's folds."""
    digest = hashlib.sha256(site.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def _given_fold(
    site: str, cases: Sequence[Case], labelled: Sequence[int] | None, generator: np.random.Generator
) -> Fold:
    train, val, test = ([case.id for case in cases if case.split == role] for role in ("train", "val", "test"))
    if not train or not test:
        raise InputError(f"The table's splits leave the site {site} without training or test cases; correct them.")
    return _fold(site, train, val, test, labelled, generator)


def _runs(site: str, cases: Sequence[Case], folds: int, generator: np.random.Generator) -> list[list[str]]:
    """Return the test sets of the folds, in an order drawn from the generator."""
    order = [cases[place] for place in generator.permutation(len(cases))]
    if cases and all(case.fold is not None for case in cases):
        numbers = sorted({case.fold for case in cases if case.fold is not None})
        runs = [[case.id for case in order if case.fold == number] for number in numbers]
    elif len(cases) < folds:
        raise InputError(
            f"The site {site} has too few labelled cases ({len(cases)}) for {folds} folds; ask for fewer or add cases."
        )
    else:
        runs = [[order[place].id for place in run] for run in np.array_split(np.arange(len(order)), max(folds, 1))]
    if len(runs) < 2:
        raise InputError(f"One fold leaves the site {site} nothing to train on; give at least 2 folds.")
    return runs


def _folds(
    site: str, runs: list[list[str]], val: int | None, labelled: Sequence[int] | None, seed: int
) -> tuple[Fold, ...]:
    made = []
    for number, test in enumerate(runs):
        rest = [name for run in [*runs[number + 1 :], *runs[:number]] for name in run]
        size = min(len(test), len(rest) // 2) if val is None else val
        if not 0 <= size < len(rest):
            raise InputError(
                f"The site {site} has {len(rest) + len(test)} labelled cases: after {len(test)} for the test, {size} "
                "for validation leave none for training; ask for a smaller validation set or fewer folds."
            )
        generator = _generator(seed, f"{site}/{number}")
        made.append(_fold(site, rest[size:], rest[:size], test, labelled, generator))
    return tuple(made)


def _fold(
    site: str,
    train: list[str],
    val: list[str],
    test: list[str],
    labelled: Sequence[int] | None,
    generator: np.random.Generator,
) -> Fold:
    train = [train[place] for place in generator.permutation(len(train))]
    return Fold(train=tuple(train), val=tuple(val), test=tuple(test), labelled=_subsets(site, train, labelled))


def _subsets(site: str, train: list[str], sizes: Sequence[int] | None) -> dict[int, tuple[str, ...]]:
    if sizes is None:
        sizes = sorted({max(1, round(len(train) / 3)), max(1, round(2 * len(train) / 3))})
    for size in sizes:
        if not 1 <= size <= len(train):
            raise InputError(f"{size} labelled cases can't be shown: the site {site} trains on {len(train)} a fold.")
    return {size: tuple(train[:size]) for size in sorted(sizes)}


def write_splits(splits: Splits, path: Path) -> None:
    """Write the folds as JSON, atomically.

    Raises:
        DiskError: the file can't be written.
    """
    write_json(Path(path), splits.model_dump(mode="json"))


def read_splits(path: Path, cohort: Cohort | None = None) -> Splits:
    """Read a file of folds, and compare it with the cohort it is to be used on.

    Raises:
        InputError: the file is missing or damaged, of another version, or was made for other patients.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema_name") != SCHEMA:
        found = content.get("schema_name", "none") if isinstance(content, dict) else "none"
        raise InputError(
            f"{path} is no file of splits ({SCHEMA}; its schema is {found}); make it with fedsim cohort split."
        )
    try:
        splits = Splits.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path} is damaged at {where} ({first['msg']}); make it again with fedsim cohort split."
        ) from error
    if cohort is not None and splits.cohort_sha256 != cohort.checksum():
        raise InputError(
            f"{path} was made for another cohort ({splits.cohort}) or other patients than {cohort.name} now has; "
            "make it again with fedsim cohort split."
        )
    return splits
