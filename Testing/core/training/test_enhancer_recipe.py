"""An enhancer learns a site's look from labels and the generator's coarse CT, against a discriminator."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import torch

from FedSimCore.errors import CancelledError, InputError
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.progress import silent
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory, status
from FedSimCore.training.enhancer import BETAS, build
from FedSimCore.training.enhancer_config import EnhancerConfig
from FedSimCore.training.field_of_view import seen_slices
from FedSimCore.training.recipes import checked_config, read_recipe, with_settings
from FedSimCore.training.session import begin, resume
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import crop_round_heart
from FedSimCore.volumes.io import read_label_map, read_volume
from FedSimCore.volumes.resample import inside
from Testing.core.training.killing import Trainings
from Testing.core.training.small_runs import (
    assert_same_bits,
    enhancer_config,
    events_of,
    generator_config,
    stop_after,
    weights_of,
)


@pytest.fixture
def task(ct_cohort, generator_run):
    return build(enhancer_config(ct_cohort, generator_run), silent)


def test_slices_come_with_their_labels_their_coarse_ct_and_their_place(task, ct_cohort, generator_run):
    name, k = task.slices.hearts.names[1], 17
    first, second = (seen_slices(image) for image in task.slices.hearts.hounsfield[:2])
    batch = task.slices.batch([3, len(first) + second.index(k)], torch.device("cpu"))
    assert batch.condition.shape == (2, 10, 32, 32)
    image, label = (read(ct_cohort / f"{name}_{kind}.nii.gz") for read, kind in PARTS)
    crop = crop_round_heart(image, label, 32, 6.25)
    reached = inside(image.grid, crop.grid)[:, :, k]
    expected = np.where(reached, np.clip(np.rint(crop.image.array[:, :, k]) / 1000, -1, 1), np.nan)
    assert batch.real[1, 0].numpy() == pytest.approx(expected, abs=1e-6, nan_ok=True)
    for region in range(1, 8):
        assert np.array_equal(batch.condition[1, region].numpy(), crop.label.array[:, :, k] == region)
    assert torch.all(batch.condition[1, 9] == k / 32)
    generator = GenerativeModel.load(generator_run).generator
    with torch.no_grad():
        coarse = generator.coarse(generator.latent_of(name))
    upsampled = torch.nn.functional.interpolate(coarse, size=(32, 32, 32), mode="trilinear")
    assert torch.allclose(batch.condition[1, 8], upsampled[0, 0, :, :, k], atol=1e-5)


PARTS = ((read_volume, "image"), (read_label_map, "label"))


def test_the_discriminator_moves_first_and_neither_moves_the_other(task):
    first, second = task.phases(0)
    assert (first.name, second.name) == ("discriminator", "enhancer")
    assert first.samples == second.samples
    batch, nets = first.load(first.samples), task.modules
    loss = first.losses(batch)["loss"]
    loss.backward()
    assert all(p.grad is None for p in nets["enhancer"].parameters())
    assert all(p.grad is not None for p in nets["discriminator"].parameters())
    nets["discriminator"].zero_grad(set_to_none=True)
    losses = second.losses(batch)
    losses["loss"].backward()
    assert all(p.grad is None for p in nets["discriminator"].parameters())
    assert all(p.requires_grad for p in nets["discriminator"].parameters())
    assert sum(float(p.grad.abs().sum()) for p in nets["enhancer"].parameters()) > 0
    parts = [float(value.detach()) for name, value in losses.items() if name != "loss"]
    assert float(losses["loss"].detach()) == pytest.approx(sum(parts), rel=1e-6)
    assert set(losses) == {"loss", "adversarial", "feature_matching", "perceptual"}


def test_the_adversaries_gradients_are_those_of_finite_differences(task, enhancer_run):
    learnt = GenerativeModel.load(enhancer_run)  # an untrained one draws zeros, where the features have a kink
    task.modules = {"enhancer": learnt.enhancer("a").network, "discriminator": learnt.discriminator("a").network}
    batch = task.phases(0)[0].load([5, 40])
    for module in task.modules.values():
        module.eval().double()  # the statistics and singular vectors of evaluation do not move
    batch = type(batch)(*(tensor.double() for tensor in batch))
    task.learning.perceptual.features.double()
    enhancer, judge = task.modules["enhancer"], task.modules["discriminator"]
    bias = enhancer.generator.last.bias
    scored = judge.scales[0].layers[-1].bias

    def of_enhancer():
        return task.learning.losses(enhancer, judge, batch)["loss"]

    def of_judge():
        return task._discriminator_losses(batch)["loss"]

    for weight, loss in ((bias, of_enhancer), (scored, of_judge)):
        task.modules["enhancer"].zero_grad(), task.modules["discriminator"].zero_grad()
        loss().backward()
        with torch.no_grad():
            values = []
            for step in (1e-6, -2e-6):
                weight += step
                values.append(float(loss()))
            weight += 1e-6
        assert float(weight.grad) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-3, abs=1e-6)


def test_rates_and_betas_are_gaugans_and_fall_in_the_second_half(ct_cohort, generator_run):
    task = build(enhancer_config(ct_cohort, generator_run, steps=100), silent)
    assert task.learning_rates(0) == {"enhancer": [1e-4], "discriminator": [4e-4]}
    assert task.learning_rates(49) == task.learning_rates(0)
    assert task.learning_rates(75)["enhancer"][0] == pytest.approx(0.5e-4)
    assert task.learning_rates(99)["enhancer"][0] == pytest.approx(0.02e-4)
    assert all(optimizer.param_groups[0]["betas"] == BETAS == (0.0, 0.9) for optimizer in task.optimizers.values())


def test_every_slice_is_seen_once_an_epoch_and_neighbours_together_where_jumps_count(ct_cohort, generator_run):
    task = build(enhancer_config(ct_cohort, generator_run, batch_size=8), silent)
    count = task.slices.samples
    seen = [sample for step in range(8) for sample in task.phases(step)[0].samples][:count]
    assert 50 < count <= 2 * 32
    assert sorted(seen) == list(range(count))
    pairs = build(enhancer_config(ct_cohort, generator_run, slice_jump=3), silent)
    assert pairs.slices.samples == count - 2
    first = seen_slices(pairs.slices.hearts.hounsfield[0])
    batch = pairs.slices.batch([len(first) - 1 + 16], torch.device("cpu"))
    k = seen_slices(pairs.slices.hearts.hounsfield[1])[16]
    assert (batch.condition[:, 9, 0, 0] * 32).tolist() == [k, k + 1]
    losses = pairs.phases(0)[1].losses(batch)
    with torch.no_grad():
        made = pairs.modules["enhancer"](batch.condition)[:, 0]
    jump = (made[1] - made[0]) - (batch.real[1, 0] - batch.real[0, 0])
    jumps = float(jump.abs().nansum()) / jump.numel()
    assert float(losses["slice_jump"].detach()) == pytest.approx(3 * jumps, rel=0.1)


def test_slices_come_nearer_to_the_real_ones_while_it_learns(enhancer_run):
    history = RunHistory(RunFolder(enhancer_run))
    errors = history.curve("train/l1_hu")[1]
    assert errors[-1] < 250  # a picture of nothing but zeros is 390 HU off
    assert history.curve("enhancer/perceptual")[1][-1] < 0.6 * history.curve("enhancer/perceptual")[1][0]
    assert history.curve("discriminator/loss")[1][0] == pytest.approx(2, abs=0.01)  # it knows nothing yet
    assert history.curve("discriminator/loss")[1][-1] < 1.9
    assert {event.name for event in events_of(enhancer_run) if hasattr(event, "name")} == {"slices"}


def test_the_model_folder_has_the_generator_the_enhancer_and_its_discriminator(enhancer_run, generator_run, ct_cohort):
    model, before = GenerativeModel.load(enhancer_run), GenerativeModel.load(generator_run)
    assert model.generator.checksum == before.generator.checksum
    enhancer = model.enhancer("a")
    assert enhancer.header.site == "a"
    assert enhancer.header.cases == tuple(c.id for c in model.generator.header.cases if c.site == "a")
    assert model.discriminator("a").header.channels == 4
    task = build(enhancer_config(ct_cohort, generator_run), silent)
    task.modules["enhancer"] = enhancer.network
    found = task.evaluate()
    assert found["train/l1_hu"] == pytest.approx(enhancer.header.metrics["train/l1_hu"], rel=1e-4)
    assert "Enhancer of a" in (enhancer_run / "model" / "card.md").read_text()


def test_a_gan_that_was_interrupted_ends_with_the_bits_of_an_unbroken_one(ct_cohort, generator_run, tmp_path):
    config = enhancer_config(ct_cohort, generator_run, steps=6, report_every=1, slice_jump=1)
    begin(config, RunFolder(tmp_path / "whole"))
    half = RunFolder(tmp_path / "half")
    with pytest.raises(CancelledError):
        begin(config, half, stop_after(half, 3))
    resume(half)
    assert status(half).state == "finished"
    assert_same_bits(weights_of(tmp_path / "half"), weights_of(tmp_path / "whole"))


def test_a_gan_that_is_killed_at_random_steps_ends_with_the_same_bits(ct_cohort, generator_run, tmp_path):
    config = enhancer_config(ct_cohort, generator_run, steps=12, report_every=1, checkpoint_every=2)
    begin(config, RunFolder(tmp_path / "whole"))
    trainings, rng, killed = Trainings(), random.Random(0), tmp_path / "killed"
    assert [trainings.kill_at_step(step, config, killed, rng.uniform(0, 0.05)) for step in (3, 8)] == [False, False]
    trainings.kill_after(120, config, killed)
    assert status(RunFolder(killed)).state == "finished"
    assert_same_bits(weights_of(killed), weights_of(tmp_path / "whole"))


def test_validation_cases_are_measured_from_labels_and_downsampled_ct_and_never_learnt_from(
    ct_cohort, generator_run, tmp_path
):
    split = with_split(ct_cohort, tmp_path, generator_run, "val")
    task = build(enhancer_config(split, generator_run), silent)
    assert len(task.held.hearts) == 1
    assert not set(task.held.hearts.names) & set(task.slices.hearts.names)
    image = task.held.hearts.hounsfield[0].float().clamp(-1000, 1000).reshape(16, 2, 16, 2, 16, 2).mean((1, 3, 5))
    assert torch.allclose(task.held.coarse[0, 0] * 1000, image, atol=0.1)
    found = task.evaluate()
    assert {"train/l1_hu", "held/l1_hu"} <= set(found)
    assert set(task.pictures()) == {"slices", "held-slices"}


def with_split(ct_cohort, folder, generator_run, role):
    """Copy the cohort; the case of site a whose labels the generator has not seen gets a role."""
    learnt = {case.id for case in GenerativeModel.load(generator_run).generator.header.cases}
    copied = folder / "cohort"
    shutil.copytree(ct_cohort, copied)
    lines = (copied / "cohort.csv").read_text().splitlines()
    rows = [f"{line},{role if line.split(',')[0] not in learnt else 'train'}" for line in lines[1:]]
    (copied / "cohort.csv").write_text("\n".join([f"{lines[0]},split", *rows]))
    return copied


def test_with_fixed_materials_the_condition_is_a_scan_at_full_resolution(ct_cohort, tmp_path):
    generator, run = tmp_path / "generator", tmp_path / "run"
    begin(generator_config(ct_cohort, material="none", steps=1, sites=["a"]), RunFolder(generator))
    told = []
    config = enhancer_config(ct_cohort, generator, steps=1, surroundings="none")
    task = build(config, lambda done, total, stage: told.append(stage))
    assert "scanning hearts with fixed materials" in told
    assert task.slices.coarse.shape == (3, 1, 32, 32, 32)
    label = task.slices.hearts.labels[0]
    fixed = FixedMaterials.model_validate(task._header.fixed_materials.model_dump())
    assert fixed.scanner.key == "adult"
    scan = fixed.scan(Volume(label.numpy(), Grid.centered(32, 6.25)))
    condition = task.slices.of_heart(0, [16]).condition[0, 8]
    assert condition.numpy() == pytest.approx(np.clip(scan.array[:, :, 16] / 1000, -1, 1), abs=1e-3)
    blood, air = scan.array[label.numpy() == 1].mean(), scan.array[:3, :3].mean()
    assert blood > 150
    assert air < -900
    begin(config, RunFolder(run))
    assert GenerativeModel.load(run).enhancer("a").header.fixed_materials == fixed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"site": "c"}, "no site 'c'"),
        ({"generator": "/nowhere"}, r"holds no generator\.safetensors"),
        ({"cohort": "/nowhere"}, "does not exist"),
        ({"vgg19": "/nowhere.pth"}, "no file"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_sentence(ct_cohort, generator_run, changes, sentence):
    config = enhancer_config(**{"cohort": ct_cohort, "generator": generator_run, **changes})
    with pytest.raises(InputError, match=sentence) as told:
        build(config, silent)
    assert "\n" not in str(told.value)


def test_cases_that_are_gone_changed_or_meant_for_testing_are_refused(ct_cohort, generator_run, tmp_path):
    learnt = [c.id for c in GenerativeModel.load(generator_run).generator.header.cases if c.site == "a"]
    changed = tmp_path / "changed"
    shutil.copytree(ct_cohort, changed)
    shutil.copy(changed / "heart1_image.nii.gz", changed / f"{learnt[0]}_image.nii.gz")
    with pytest.raises(InputError, match=f"{learnt[0]} image in .* is not the one that the generator has learnt from"):
        build(enhancer_config(changed, generator_run), silent)
    table = (changed / "cohort.csv").read_text()
    without = "\n".join(line for line in table.splitlines() if not line.startswith(learnt[0]))
    (changed / "cohort.csv").write_text(without)
    with pytest.raises(InputError, match=f"lacks the case {learnt[0]}"):
        build(enhancer_config(changed, generator_run), silent)
    rows = table.splitlines()
    tested = [f"{row},{'test' if row.startswith(learnt[0]) else ''}" for row in rows[1:]]
    (changed / "cohort.csv").write_text("\n".join([f"{rows[0]},split", *tested]))
    with pytest.raises(InputError, match=f"learnt from {learnt[0]}, which is a validation or test case"):
        build(enhancer_config(changed, generator_run), silent)


def test_a_grid_that_the_enhancer_cannot_halve_five_times_is_refused(ct_cohort, tmp_path):
    run = tmp_path / "run"
    begin(generator_config(ct_cohort, material="none", steps=1, size=24, spacing_mm=9.0), RunFolder(run))
    with pytest.raises(InputError, match=r"24 voxels .* multiple of 32; train the generator with size = 32"):
        build(enhancer_config(ct_cohort, run), silent)


def test_a_generator_file_that_is_a_pickle_is_not_run(ct_cohort, generator_run, tmp_path):
    import pickle

    model = tmp_path / "model"
    shutil.copytree(generator_run / "model", model)
    (model / "generator.safetensors").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(InputError, match="no safetensors file"):
        begin(enhancer_config(ct_cohort, model), RunFolder(tmp_path / "run"))
    assert not RunFolder(tmp_path / "run").exists


def test_the_shipped_recipe_is_gaugans(tmp_path):
    fields, origin = read_recipe("enhancer")
    paths = [f"cohort={tmp_path}", f"generator={tmp_path}", "site=a"]
    config = checked_config(with_settings(fields, paths), origin)
    assert isinstance(config, EnhancerConfig)
    assert (config.channels, config.hidden, config.discriminator_channels) == (64, 128, 64)
    assert (config.learning_rate, config.discriminator_learning_rate, config.constant_share) == (1e-4, 4e-4, 0.5)
    assert (config.feature_matching, config.perceptual, config.slice_jump) == (10, 10, 0)
