"""The cases that a segmenter learns from, in memory on its working grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from FedSimCore.cohorts import Case, load_case
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress
from FedSimCore.segmentation.anatomies import VERSION, Anatomy, Source, make_anatomies
from FedSimCore.segmentation.augmentation import TrainingVolume
from FedSimCore.segmentation.working import to_working_grid
from FedSimCore.training.case_choice import choose_cases
from FedSimCore.training.hearts import checksum_of
from FedSimCore.training.segmenter_config import SegmenterConfig
from FedSimCore.volumes.resample import resample_labels

SITES = ("adult", "adult", "adult", "adult", "congenital-mild")
"""Of the phantoms among random chests, over and over."""
HELD_SEED = 500_000
"""Random chests for validation have seeds so much higher."""


@dataclass(frozen=True, eq=False)
class SegmenterCases:
    """What is learnt from and measured on.

    Attributes:
        cohort: cases of the cohort.
        synthetic: chests made at random.
        held: validation cases: the cohort's, or, where it has none, random chests.
        held_is_synthetic: whether the validation cases are random chests.
        sha256: checksums of the data.
        trained_on: a sentence for each source.
    """

    cohort: tuple[TrainingVolume, ...]
    synthetic: tuple[TrainingVolume, ...]
    held: tuple[TrainingVolume, ...]
    held_is_synthetic: bool
    sha256: dict[str, str]
    trained_on: tuple[str, ...]


def read_cases(config: SegmenterConfig, spacing_mm: float, progress: Progress) -> SegmenterCases:
    """Read a cohort's cases, and make random chests.

    Raises:
        InputError: a case can't be used; the sentence begins with its id.
    """
    sha256: dict[str, str] = {}
    told: list[str] = []
    learnt: Sequence[Case] = ()
    held_cases: Sequence[Case] = ()
    if config.cohort is not None:
        chosen = choose_cases(config.cohort, config.sites, config.labelled, config.splits, config.fold, config.seed)
        learnt, held_cases = chosen.labelled, chosen.held[: config.held_cases]
        if not learnt:
            raise InputError(f"{config.cohort} has no labelled training case; label some, or lower the folds.")
        sites = ", ".join(sorted({case.site for case in learnt}))
        told.append(f"{len(learnt)} labelled cases of {sites}")
    cohort = tuple(_read(learnt, spacing_mm, sha256, progress, "reading cases"))
    held = tuple(_read(held_cases, spacing_mm, sha256, progress, "reading validation cases"))
    made = _random_chests(config, spacing_mm, config.synthetic_seed, config.synthetic, progress)
    if config.synthetic:
        sha256["synthetic"] = f"v{VERSION} {config.synthetic_source} {config.synthetic_seed} {config.synthetic}"
        told.append(f"{config.synthetic} chests made at random ({config.synthetic_source}), version {VERSION}")
    synthetic_held = not held and config.synthetic > 0
    if synthetic_held:
        first = config.synthetic_seed + HELD_SEED
        held = tuple(_random_chests(config, spacing_mm, first, config.held_cases, progress))
    return SegmenterCases(cohort, tuple(made), held, synthetic_held, sha256, tuple(told))


def _random_chests(
    config: SegmenterConfig, spacing_mm: float, first: int, count: int, progress: Progress
) -> list[TrainingVolume]:
    wanted: list[tuple[Source, str, int]] = []
    for number in range(count):
        source: Source = "model" if number % 2 else "phantom"
        if config.synthetic_source != "both":
            source = config.synthetic_source
        wanted.append((source, SITES[number // 2 % len(SITES)] if source == "phantom" else "", first + number))
    return [_volume(anatomy) for anatomy in make_anatomies(wanted, spacing_mm, config.anatomies, progress)]


def _volume(anatomy: Anatomy) -> TrainingVolume:
    parts = (torch.from_numpy(a) if a is not None else None for a in (anatomy.structures, anatomy.hounsfield))
    return TrainingVolume(anatomy.name, torch.from_numpy(anatomy.label), *parts)


def _read(
    cases: Sequence[Case], spacing_mm: float, sha256: dict[str, str], progress: Progress, stage: str
) -> list[TrainingVolume]:
    read = []
    for number, case in enumerate(cases):
        progress(number, len(cases), stage)
        try:
            read.append(_read_case(case, spacing_mm))
        except InputError as error:
            raise InputError(f"{case.id}: {error}") from error
        for kind, path in (("image", case.image), ("label", case.label)):
            assert path is not None
            sha256[f"{case.id} {kind}"] = checksum_of(path)
    if cases:
        progress(len(cases), len(cases), stage)
    return read


def _read_case(case: Case, spacing_mm: float) -> TrainingVolume:
    if case.image is None or case.label is None:
        raise InputError(f"it has no {'image' if case.image is None else 'label map'}.")
    if case.modality != "CT":
        raise InputError(f"it is {case.modality}, but Hounsfield units are learnt; leave out its site.")
    loaded = load_case(case)
    assert loaded.image is not None
    assert loaded.label is not None
    image = to_working_grid(loaded.image, spacing_mm)
    label = resample_labels(loaded.label, image.grid).array
    if not label.any():
        raise InputError(f"no voxel is labelled at {spacing_mm:g} mm; lower spacing_mm.")
    limits = np.iinfo(np.int16)
    hounsfield = np.clip(np.rint(image.array), limits.min, limits.max).astype(np.int16)
    return TrainingVolume(case.id, torch.from_numpy(label.astype(np.uint8)), hounsfield=torch.from_numpy(hounsfield))
