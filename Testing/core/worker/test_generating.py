"""Trained models in the worker, asked through a real process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore.ct.scanners import scanner
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.model_folder import GenerativeModel, write_model
from FedSimCore.generation.sampling import HeartSampler, draw
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.generation.walk import between
from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_events import RequestFailed
from Testing.core.generation.lively_model import lively_enhancer, write_lively_model
from Testing.core.generation.small_model import small_generator
from Testing.core.shape.small_model import small_model
from Testing.core.worker.conversation import Conversation, heart


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_lively_model(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> GenerativeModel:
    return GenerativeModel.load(folder)


def test_an_opened_model_tells_what_it_is(conversation: Conversation, folder: Path, model: GenerativeModel) -> None:
    (folder / "card.md").write_text("# Made of blobs\n")
    told = conversation.ask(p.OpenModelTask(folder=str(folder))).result
    assert told.generator_sha256 == model.generator.checksum
    assert (told.sites, told.modes, told.latent_size) == (("a", "b"), 3, 4)
    assert told.populations == ("a", "b")
    assert [case.id for case in told.cases] == ["case0", "case1", "case2", "case3"]
    assert told.card == "# Made of blobs\n"


def test_a_sampled_heart_is_that_of_fedsim_generate_with_its_trust(
    conversation: Conversation, folder: Path, model: GenerativeModel
) -> None:
    done = conversation.ask(p.SampleHeartTask(folder=str(folder), seed=3, number=2))
    drawn = draw(model.generator, 3, 2)
    assert done.result.latent == pytest.approx(drawn.latent[0].tolist(), abs=1e-6)
    assert done.result.parameters.vector() == pytest.approx(drawn.heart.vector(), abs=1e-5)
    trust = TrustMeter(model.generator).measure(drawn)
    assert done.result.trust.nearest_shape.case == trust.nearest_shape.case
    assert done.result.trust.nearest_shape.ratio == pytest.approx(trust.nearest_shape.ratio, rel=1e-3)
    assert done.result.concerns == trust.concerns()
    expected = model.generator.intensity.hounsfield(model.generator.coarse(drawn.latent))[0, 0].detach().numpy()
    np.testing.assert_allclose(done.arrays["coarse_hu"], expected, atol=0.1)
    assert done.result.coarse_grid.shape == (16, 16, 16)
    assert done.result.coarse_grid.grid().spacing_mm == pytest.approx(10.0)


def test_a_heart_is_drawn_like_those_of_a_site(
    conversation: Conversation, folder: Path, model: GenerativeModel
) -> None:
    done = conversation.ask(p.SampleHeartTask(folder=str(folder), seed=3, number=2, population="b"))
    drawn = draw(model.generator, 3, 2, population="b")
    assert done.result.latent == pytest.approx(drawn.latent[0].tolist(), abs=1e-6)
    trust = TrustMeter(model.generator).measure(drawn)
    assert done.result.trust.latent.distance == pytest.approx(trust.latent.distance, rel=1e-3)


def test_walking_ends_at_both_latents_and_is_the_generations_way(
    conversation: Conversation, folder: Path, model: GenerativeModel
) -> None:
    latents = [tuple(draw(model.generator, 0, number).latent[0].tolist()) for number in (0, 1)]
    way = [
        conversation.ask(p.WalkTask(folder=str(folder), first=latents[0], second=latents[1], share=share)).result
        for share in (0.0, 0.4, 1.0)
    ]
    assert way[0].latent == pytest.approx(latents[0], abs=1e-5)
    assert way[2].latent == pytest.approx(latents[1], abs=1e-5)
    first, second = (torch.tensor(latent)[None] for latent in latents)
    assert way[1].latent == pytest.approx(between(model.generator.normal, first, second, 0.4)[0].tolist(), abs=1e-5)
    assert way[1].trust is None
    assert way[1].parameters != way[0].parameters


def test_a_training_cases_heart_is_its_latents(
    conversation: Conversation, folder: Path, model: GenerativeModel
) -> None:
    told = conversation.ask(p.TrainingHeartTask(folder=str(folder), case="case2")).result
    assert told.latent == pytest.approx(model.generator.latents[2].tolist())


def test_at_step_1_the_enhanced_heart_is_the_generated_one(
    conversation: Conversation, folder: Path, model: GenerativeModel
) -> None:
    drawn = draw(model.generator, 0, 1)
    expected = HeartSampler(model, "b").make(drawn)
    done = conversation.ask(
        p.EnhanceTask(
            folder=str(folder), site="b", parameters=drawn.heart, latent=tuple(drawn.latent[0].tolist()), step=1
        )
    )
    np.testing.assert_array_equal(done.arrays["labels"], expected.label.array)
    assert np.corrcoef(done.arrays["hu"].ravel(), expected.image.array.ravel())[0, 1] > 0.999
    assert done.result.grid.grid().same_as(expected.image.grid)


def test_a_coarser_image_covers_the_same_box_wherever_the_heart_is(conversation: Conversation, folder: Path) -> None:
    center = (30.0, -20.0, 10.0)
    parameters = heart(0.5, modes=3, translation_mm=center)
    done = conversation.ask(p.EnhanceTask(folder=str(folder), site="a", parameters=parameters, center_mm=center))
    grid = done.result.grid.grid()
    assert (grid.shape, grid.spacing_mm.tolist()) == ((16, 16, 16), [10, 10, 10])
    assert grid.center_mm == pytest.approx(center)
    assert done.arrays["hu"].shape == (16, 16, 16)
    middle = conversation.ask(p.EnhanceTask(folder=str(folder), site="a", parameters=heart(0.5, modes=3)))
    np.testing.assert_array_equal(done.arrays["labels"], middle.arrays["labels"])
    np.testing.assert_allclose(done.arrays["hu"], middle.arrays["hu"], atol=0.5)


def test_with_fixed_materials_the_current_heart_is_scanned_for_its_enhancer(
    conversation: Conversation, tmp_path: Path
) -> None:
    generator = small_generator("fixed-materials")
    fixed = FixedMaterials(scanner=scanner("adult").with_changes(views=63))
    write_model(tmp_path, generator, [lively_enhancer(generator, "a", fixed_materials=fixed)])
    expected = HeartSampler(GenerativeModel.load(tmp_path), "a").make(draw(generator, 0, 1))
    sampled = conversation.ask(p.SampleHeartTask(folder=str(tmp_path), seed=0, number=1, trust=False))
    assert sampled.result.coarse_grid is None
    assert sampled.arrays == {}
    parameters = sampled.result.parameters
    done = conversation.ask(p.EnhanceTask(folder=str(tmp_path), site="a", parameters=parameters, step=1))
    assert np.corrcoef(done.arrays["hu"].ravel(), expected.image.array.ravel())[0, 1] > 0.99


def test_a_model_that_was_trained_on_is_read_again(conversation: Conversation, tmp_path: Path) -> None:
    write_lively_model(tmp_path)
    before = conversation.ask(p.SampleHeartTask(folder=str(tmp_path), seed=0, trust=False)).result
    path = tmp_path / "generator.safetensors"
    changed = GenerativeModel.load(tmp_path).generator
    changed.normal.mean += 1
    changed.save(path)
    os.utime(path, ns=(1, 1))
    after = conversation.ask(p.SampleHeartTask(folder=str(tmp_path), seed=0, trust=False)).result
    assert np.subtract(after.latent, before.latent) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (lambda f: p.OpenModelTask(folder=str(f / "absent")), "holds no generator.safetensors"),
        (lambda f: p.TrainingHeartTask(folder=str(f), case="nobody"), "no latent of a case 'nobody'"),
        (
            lambda f: p.WalkTask(folder=str(f), first=(0.0,), second=(0.0,) * 4, share=0.5),
            "A latent of 1 numbers is not of this model",
        ),
        (lambda f: p.EnhanceTask(folder=str(f), site="c", parameters=heart(modes=3)), "no enhancer of a site 'c'"),
        (
            lambda f: p.EnhanceTask(folder=str(f), site="a", parameters=heart(99.0, modes=3)),
            "Mode 1 is at 99 sigma",
        ),
    ],
)
def test_what_a_model_has_not_is_told_in_a_sentence(
    conversation: Conversation, folder: Path, task: object, sentence: str
) -> None:
    failed = conversation.ask(task(folder))  # type: ignore[operator]
    assert isinstance(failed, RequestFailed)
    assert failed.cause == "input"
    assert sentence in failed.sentence


def test_hearts_of_another_shape_model_are_refused(temporary_folder: Path) -> None:
    own = temporary_folder / "own.safetensors"
    small_model().save(own)
    write_lively_model(temporary_folder / "model")
    with Conversation(model=str(own)) as other:
        failed = other.ask(p.OpenModelTask(folder=str(temporary_folder / "model")))
    assert isinstance(failed, RequestFailed)
    assert "are of shape model" in failed.sentence
