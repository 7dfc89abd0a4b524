"""Labelled and unlabelled hearts take turns; what judges them stays as it is."""

from __future__ import annotations

import shutil

import pytest
import torch

from FedSimCore.errors import CancelledError, InputError
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.networks.enhancer import slice_conditions
from FedSimCore.progress import silent
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory
from FedSimCore.tensor_files import read_weights
from FedSimCore.training.recipes import checked_config, read_recipe, with_settings
from FedSimCore.training.semi_supervised import build
from FedSimCore.training.semi_supervised_config import SemiSupervisedConfig
from FedSimCore.training.session import begin, resume
from FedSimCore.training.slices import SliceBatch
from Testing.core.training.small_runs import (
    assert_same_bits,
    enhancer_config,
    events_of,
    generator_config,
    semi_supervised_config,
    stop_after,
    weights_of,
)


@pytest.fixture
def task(ct_cohort, enhancer_run):
    return build(semi_supervised_config(ct_cohort, enhancer_run), silent)


@pytest.fixture(scope="module")
def full(ct_cohort, enhancer_run, tmp_path_factory):
    run = tmp_path_factory.mktemp("full") / "run"
    config = semi_supervised_config(ct_cohort, enhancer_run, steps=8, report_every=1, evaluate_every=4)
    begin(config, RunFolder(run))
    return run


def test_labelled_latents_are_the_learnt_ones_and_the_others_are_drawn_from_their_sites_normal(
    task, enhancer_run, ct_cohort
):
    generator = GenerativeModel.load(enhancer_run).generator
    known = torch.cat([generator.latent_of(name) for name in task.labelled.names])
    latents = task.modules["latents"].vectors.weight
    assert torch.equal(latents[:2], known)
    normal = generator.normals[semi_supervised_config(ct_cohort, enhancer_run).site]
    expected = normal.sample(1, torch.Generator().manual_seed(0))
    assert torch.equal(latents[2:], expected)
    assert task.unlabelled.labels is None
    assert set(task.unlabelled.names) == {"heart0", "heart2", "heart4"} - set(task.labelled.names)


def test_labelled_and_unlabelled_steps_take_turns_and_each_part_has_its_rate(task):
    assert [task.phases(step)[0].name for step in range(4)] == ["labelled", "unlabelled"] * 2
    groups = task.optimizers["adam"].param_groups
    assert len(groups) == 5  # shape, material and its last layer, latents, enhancer
    assert task.learning_rates(0) == {"adam": pytest.approx([1e-4, 1e-5, 1e-6, 1e-3, 1e-4])}
    assert task.learning_rates(3) == {"adam": pytest.approx([0.5e-4, 0.5e-5, 0.5e-6, 0.5e-3, 0.5e-4])}
    assert [group["betas"] for group in groups] == [(0.9, 0.999)] * 4 + [(0.0, 0.9)]
    learnt = {id(p) for group in groups for p in group["params"]}
    assert learnt == {id(p) for module in task.modules.values() for p in module.parameters()}
    assert not learnt & {id(p) for p in task.discriminator.parameters()}


def gradient_of(task, losses):
    for module in task.modules.values():
        module.zero_grad(set_to_none=True)
    losses["loss"].backward()
    return {
        name: sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)
        for name, module in task.modules.items()
    }


def test_an_unlabelled_heart_teaches_shape_material_latent_and_enhancer(task):
    phase = task.phases(1)[0]
    found = gradient_of(task, phase.losses(phase.load(phase.samples)))
    assert all(value > 0 for value in found.values())
    moved = task.modules["latents"].vectors.weight.grad.abs().sum(1)
    assert (moved > 0).tolist() == [False, False, True]
    assert all(p.grad is None for p in task.discriminator.parameters())


def test_a_labelled_heart_has_the_losses_of_both_pre_trainings(task):
    phase = task.phases(0)[0]
    batch = phase.load(phase.samples)
    losses = phase.losses(batch)
    assert set(losses) == {
        "loss",
        "iou",
        "mse",
        "perceptual",
        "slice_adversarial",
        "slice_feature_matching",
        "slice_perceptual",
    }
    slices = sum(float(losses[f"slice_{name}"].detach()) for name in ("adversarial", "feature_matching", "perceptual"))
    expected = float((losses["iou"] + losses["mse"] + losses["perceptual"]).detach()) + 0.1 * slices
    assert float(losses["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_the_way_to_the_material_is_that_of_finite_differences(ct_cohort, enhancer_run):
    # Feature matching takes the real images' features for constants, though they depend on the condition too.
    task = build(semi_supervised_config(ct_cohort, enhancer_run, feature_matching=0), silent)
    for module in task.modules.values():
        module.eval()
    cases, index, real = task._load_unlabelled([0])
    regions = task.hearts.voxels.probabilities(task.modules["shape"](task.modules["latents"](cases))).detach()
    bias = task.modules["material"].layers.get_submodule("9").bias

    def loss():
        coarse = task.hearts.coarse(task.modules, task.modules["latents"](cases))
        batch = SliceBatch(slice_conditions(coarse, regions, index), real)
        return task.slices.losses(task.modules["enhancer"], task.discriminator, batch)["loss"]

    loss().backward()
    with torch.no_grad():
        bias += 2e-3
        above = float(loss())
        bias -= 4e-3
        below = float(loss())
    assert float(bias.grad) == pytest.approx((above - below) / 4e-3, rel=0.05)


def test_the_way_to_the_shape_points_where_finite_differences_do(task):
    """The heart as a whole is pushed along each axis; the loss is of the label maps alone, which the enhancer sees."""
    for module in task.modules.values():
        module.eval()
    latents = task.modules["latents"](torch.tensor([2])).detach()
    unit = task.modules["shape"](latents).detach()
    coarse = task.hearts.coarse(task.modules, latents).detach()
    index = torch.arange(0, 32, 2)[None]
    weights = torch.randn(32, 32, generator=torch.Generator().manual_seed(1)).cumsum(0).cumsum(1) / 50

    def loss(values):
        condition = slice_conditions(coarse, task.hearts.voxels.probabilities(values), index)
        return (condition[:, 1:8].sum(1) * weights).sum()

    values = unit.clone().requires_grad_()
    loss(values).backward()
    translations = range(unit.shape[1] - 4, unit.shape[1] - 1)
    for number in translations:
        step = torch.zeros_like(unit)
        step[0, number] = 6.25 / float(task.hearts.voxels.model.limits[number]) / 2
        with torch.no_grad():
            difference = float(loss(unit + step) - loss(unit - step)) / (2 * float(step[0, number]))
        assert float(values.grad[0, number]) == pytest.approx(difference, rel=0.35, abs=0.05 * abs(difference) + 20)


def test_the_discriminator_is_the_same_to_the_last_bit_and_everything_else_has_moved(full, enhancer_run):
    before, _ = read_weights(enhancer_run / "model" / "discriminator-a.safetensors", "site discriminator")
    after, header = read_weights(full / "model" / "discriminator-a.safetensors", "site discriminator")
    assert_same_bits(before, after)
    assert header["enhancer_sha256"] == GenerativeModel.load(full).enhancer("a").checksum
    old, new = (GenerativeModel.load(folder) for folder in (enhancer_run, full))
    assert old.generator.checksum != new.generator.checksum
    assert old.enhancer("a").checksum != new.enhancer("a").checksum
    assert not any(name.startswith("modules.discriminator") for name in weights_of(full))


def test_the_full_model_knows_whose_labels_it_has_seen(full):
    header = GenerativeModel.load(full).generator.header
    assert header.stage == "semi-supervised"
    assert [case.labelled for case in header.cases] == [True, True, False]
    assert {case.site for case in header.cases} == {"a"}
    unlabelled = header.cases[2].id
    assert f"{unlabelled} image" in header.data_sha256
    assert f"{unlabelled} label" not in header.data_sha256
    assert header.provenance["before"]["recipe"] == "generator"


def test_what_the_run_tells_names_labelled_and_unlabelled_hearts(full):
    names = set(RunHistory(RunFolder(full)).metric_names())
    assert {"labelled/loss", "unlabelled/loss", "labelled/iou_worst", "labelled/l1_hu", "unlabelled/l1_hu"} <= names
    shown = {event.name for event in events_of(full) if hasattr(event, "name")}
    assert shown == {"labelled-slices", "unlabelled-slices"}


def test_a_run_that_was_interrupted_draws_the_same_slices_and_ends_with_the_same_bits(
    ct_cohort, enhancer_run, tmp_path
):
    config = semi_supervised_config(ct_cohort, enhancer_run, steps=5, report_every=1, slice_jump=1)
    begin(config, RunFolder(tmp_path / "whole"))
    half = RunFolder(tmp_path / "half")
    with pytest.raises(CancelledError):
        begin(config, half, stop_after(half, 2))
    resume(half)
    assert_same_bits(weights_of(tmp_path / "half"), weights_of(tmp_path / "whole"))


def test_images_without_any_label_file_are_learnt_from_round_their_middle(ct_cohort, enhancer_run, tmp_path):
    cohort = tmp_path / "cohort"
    shutil.copytree(ct_cohort, cohort)
    rows = (cohort / "cohort.csv").read_text().splitlines()
    (cohort / "cohort.csv").write_text("\n".join([*rows, "extra,heart1_image.nii.gz,,a"]))
    task = build(semi_supervised_config(cohort, enhancer_run), silent)
    assert "extra" in task.unlabelled.names
    place = task.unlabelled.names.index("extra")
    # The image's own grid is 28 voxels of 7 mm; its middle is the working grid's.
    assert task.unlabelled.hounsfield[place].shape == (32, 32, 32)
    assert int(task.unlabelled.hounsfield[place, 16, 16, 16]) != -1000


def test_a_second_cohort_of_images_alone_is_learnt_from_too(ct_cohort, enhancer_run, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    for number in (1, 3):
        shutil.copy(ct_cohort / f"heart{number}_image.nii.gz", more / f"patient{number}.nii.gz")
    task = build(semi_supervised_config(ct_cohort, enhancer_run, images=str(more)), silent)
    assert len(task.unlabelled) == 3
    assert set(task.unlabelled.sites) == {"a"}
    shutil.copytree(ct_cohort, tmp_path / "same")
    with pytest.raises(InputError, match=r"is a case of .*same and of .*give every case its own id"):
        build(semi_supervised_config(ct_cohort, enhancer_run, images=str(tmp_path / "same")), silent)


def test_what_cannot_be_trained_on_is_told_in_one_sentence(ct_cohort, enhancer_run, generator_run, tmp_path):
    with pytest.raises(InputError, match=r"no enhancer of a site 'b'; it has those of a"):
        build(semi_supervised_config(ct_cohort, enhancer_run, site="b"), silent)
    with pytest.raises(InputError, match="no enhancer of a site 'a'; it has none"):
        build(semi_supervised_config(ct_cohort, generator_run), silent)
    model = tmp_path / "model"
    shutil.copytree(enhancer_run / "model", model)
    (model / "discriminator-a.safetensors").unlink()
    with pytest.raises(InputError, match=r"discriminator-a\.safetensors does not exist"):
        build(semi_supervised_config(ct_cohort, model), silent)
    whole, fixed = tmp_path / "whole", tmp_path / "fixed"
    begin(generator_config(ct_cohort, steps=1, sites=["a"]), RunFolder(whole))
    begin(enhancer_config(ct_cohort, whole, steps=1), RunFolder(tmp_path / "enhancer"))
    with pytest.raises(InputError, match="All cases of the site 'a' are labelled"):
        build(semi_supervised_config(ct_cohort, tmp_path / "enhancer"), silent)
    begin(generator_config(ct_cohort, steps=1, material="none"), RunFolder(fixed))
    with pytest.raises(InputError, match="has fixed materials"):
        build(semi_supervised_config(ct_cohort, fixed), silent)


def test_the_shipped_recipe_is_as_documented(tmp_path):
    fields, origin = read_recipe("semi-supervised")
    config = checked_config(with_settings(fields, [f"cohort={tmp_path}", f"model={tmp_path}", "site=a"]), origin)
    assert isinstance(config, SemiSupervisedConfig)
    assert (config.steps, config.batch_size, config.constant_share) == (360, 2, 0.5)
