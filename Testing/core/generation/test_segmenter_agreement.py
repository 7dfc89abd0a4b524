"""A segmenter that finds a generated heart where its labels are adds to its trust; else there is a concern."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore.cohorts import read_cohort
from FedSimCore.generation.cohort import CohortGenerator, read_record
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import HeartSampler
from FedSimCore.generation.trust import SegmenterAgreement
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.segmentation.agreement import AgreementMeter
from FedSimCore.volumes import Volume
from Testing.core.generation.lively_model import write_lively_model
from Testing.core.segmentation.thresholds import heart_labels, painted, thresholds


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GenerativeModel:
    folder = tmp_path_factory.mktemp("model")
    write_lively_model(folder)
    return GenerativeModel.load(folder)


def generator_of(model: GenerativeModel, folder: Path, agreement=None) -> CohortGenerator:
    sampler = HeartSampler(model, "a", None, torch.device("cpu"))
    return CohortGenerator(model, sampler, TrustMeter(sampler.generator), folder, 0, agreement=agreement)


def counted(image: Volume, label: Volume) -> SegmenterAgreement:
    """Return the share of marked voxels, to tell that the right arrays were given."""
    assert image.grid.same_as(label.grid)
    return SegmenterAgreement(segmenter_sha256="x", found=True, dice={"heart": float((label.array > 0).mean())})


def test_agreement_is_dice_by_region_against_the_segmenters_labels():
    labels = heart_labels()
    meter = AgreementMeter(thresholds(spacing_mm=2.0), torch.device("cpu"))
    same = meter(painted(labels), labels)
    assert same.found
    assert min(same.dice.values()) > 0.98
    assert set(same.dice) == {"heart", "lv", "myo", "rv", "la", "ra", "ao", "pa"}
    without = Volume(np.where(labels.array == 3, 0, labels.array), labels.grid)
    assert meter(painted(labels), without).dice["rv"] == 0


def test_every_heart_of_a_cohort_gets_its_agreement(model: GenerativeModel, tmp_path: Path):
    records = generator_of(model, tmp_path, counted).generate(2)
    assert all(record.trust.segmenter.dice["heart"] > 0 for record in records)
    told = [case.extra["segmenter_dice"] for case in read_cohort(tmp_path).cases]
    assert told == [f"{record.trust.segmenter.dice['heart']:.3f}" for record in records]


def test_hearts_that_are_there_already_get_it_later(model: GenerativeModel, tmp_path: Path):
    (before,) = generator_of(model, tmp_path).generate(1)
    assert before.trust.segmenter is None
    (after,) = generator_of(model, tmp_path, counted).generate(1)
    assert after.trust.segmenter is not None
    assert after.latent == before.latent
    assert read_record(tmp_path / f"{after.recipe.case_id}.json") == after


def test_a_heart_that_is_found_elsewhere_or_not_at_all_is_a_concern(model: GenerativeModel, tmp_path: Path):
    (record,) = generator_of(model, tmp_path, counted).generate(1)
    for agreement, sentence in (
        (SegmenterAgreement(segmenter_sha256="x", found=False, dice={"heart": 0.0}), "finds no heart"),
        (SegmenterAgreement(segmenter_sha256="x", found=True, dice={"heart": 0.4}), "elsewhere"),
    ):
        trust = record.trust.model_copy(update={"segmenter": agreement})
        assert any(sentence in concern for concern in trust.concerns())
    good = record.trust.model_copy(
        update={"segmenter": SegmenterAgreement(segmenter_sha256="x", found=True, dice={"heart": 0.9})}
    )
    assert not any("segmenter" in concern for concern in good.concerns())
