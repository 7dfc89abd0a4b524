"""The cases of a cohort that a trained generator has latents of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from FedSimCore.cohorts import Case
from FedSimCore.errors import InputError
from FedSimCore.generation.generator_file import GeneratorHeader
from FedSimCore.training.case_choice import ChosenCases, choose_cases
from FedSimCore.training.enhancer_config import SlicesConfig


def labelled_cases(header: GeneratorHeader, config: SlicesConfig) -> tuple[list[Case], ChosenCases]:
    """Return a site's cases whose labels the generator has learnt from, and all that may be used of the site.

    Raises:
        InputError: the generator has learnt none of the site, one is not in the cohort any more, or is a validation or
            test case.
    """
    chosen = choose_cases(config.cohort, (config.site,), None, config.splits, config.fold, config.seed)
    known = {case.id: case for case in (*chosen.labelled, *chosen.unlabelled)}
    learnt = [case.id for case in header.cases if case.labelled and case.site == config.site]
    if not learnt:
        sites = sorted({case.site for case in header.cases if case.labelled})
        raise InputError(
            f"The generator has learnt no labelled case of the site {config.site!r}, but of {', '.join(sites)}."
        )
    for name in learnt:
        if name in chosen.forbidden:
            raise InputError(
                f"The generator has learnt from {name}, which is a validation or test case of this fold; give the "
                "splits and the fold that it was trained with."
            )
        if name not in known:
            raise InputError(f"{config.cohort} lacks the case {name} that the generator has learnt from; restore it.")
    return [known[name] for name in learnt], chosen


def require_same_files(header: GeneratorHeader, sha256: Mapping[str, str], cohort: Path) -> None:
    """Check that the files are those the generator has learnt from.

    Raises:
        InputError: one has changed.
    """
    changed = [name for name, value in sha256.items() if header.data_sha256.get(name, value) != value]
    if changed:
        raise InputError(
            f"{changed[0]} in {cohort} is not the one that the generator has learnt from; restore it, or train the "
            "generator again."
        )
