"""Scans that end within the working grid: what lies beyond them is not air, and nothing is learnt there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from FedSimCore.cohorts import read_cohort
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.losses import discriminator_loss
from FedSimCore.progress import silent
from FedSimCore.training.enhancer import build as build_enhancer
from FedSimCore.training.field_of_view import UNSEEN_HU, on_unit_scale, seen_slices, where_seen
from FedSimCore.training.generator import build as build_generator
from FedSimCore.training.hearts import WorkingGrid, read_hearts
from FedSimCore.training.semi_supervised import build as build_semi_supervised
from FedSimCore.volumes.crop import crop_round_heart
from FedSimCore.volumes.io import read_label_map, read_volume
from FedSimCore.volumes.resample import inside
from Testing.core.training.small_runs import enhancer_config, generator_config, semi_supervised_config


def test_what_a_scan_did_not_reach_is_told_from_air(ct_cohort):
    # A scan of 196 mm on a working grid of 256.
    case, image = read_cohort(ct_cohort).case("heart0"), read_volume(ct_cohort / "heart0_image.nii.gz")
    hearts = read_hearts([case], WorkingGrid(32, 8.0), silent, labels=True, images=True)
    assert hearts.names[0] == "heart0"
    crop = crop_round_heart(image, read_label_map(ct_cohort / "heart0_label.nii.gz"), 32, 8.0)
    reached = torch.from_numpy(inside(image.grid, crop.grid))
    assert 0.2 < float(reached.float().mean()) < 0.6
    assert torch.equal(hearts.hounsfield[0] != UNSEEN_HU, reached)
    assert float(hearts.hounsfield[0][reached].min()) > -1000
    assert torch.equal(~torch.isnan(hearts.images(torch.tensor([0]), IntensityRange())[0, 0]), reached)


def test_slices_beyond_the_scan_are_no_samples(ct_cohort, generator_run):
    config = enhancer_config(ct_cohort, generator_run, slice_jump=1.0)
    slices = build_enhancer(config, silent).slices
    reached = [seen_slices(image) for image in slices.hearts.hounsfield]
    assert slices.samples == sum(len(seen) - 1 for seen in reached) < len(reached) * 31
    last = slices.batch([slices.samples - 1], torch.device("cpu"))
    assert torch.equal(last.condition[:, -1, 0, 0] * 32, torch.tensor([reached[-1][-2], reached[-1][-1]]).float())
    assert not torch.isnan(last.real).all((1, 2, 3)).any()


def test_unlabelled_hearts_show_only_slices_that_the_scan_reached(ct_cohort, enhancer_run):
    task = build_semi_supervised(semi_supervised_config(ct_cohort, enhancer_run, slices=64), silent)
    reached = [seen_slices(image) for image in task.unlabelled.hounsfield]
    for case, seen in enumerate(reached):
        index, _ = task._draw(task.unlabelled, [case])
        assert set(index.flatten().tolist()) <= set(seen)
        assert len(set(index.flatten().tolist())) > len(seen) / 2


def test_no_loss_of_an_enhancer_has_a_gradient_beyond_the_scan(ct_cohort, generator_run):
    task = build_enhancer(enhancer_config(ct_cohort, generator_run), silent)
    batch = task.slices.batch([0, 1, 2, 20], torch.device("cpu"))
    unseen = torch.isnan(batch.real)
    made = torch.zeros_like(batch.real).requires_grad_()
    losses = task.learning.losses(lambda _: made, task.modules["discriminator"], batch)
    losses["loss"].backward()
    assert float(made.grad[unseen].abs().max()) == 0 < float(made.grad[~unseen].abs().mean())
    other = torch.where(unseen, 0.7, 0.0)
    judged = [
        discriminator_loss(task.modules["discriminator"], batch.condition, *where_seen(image, batch.real))
        for image in (torch.zeros_like(other), other)
    ]
    assert float(judged[0].detach()) == float(judged[1].detach())


def test_the_coarse_ct_is_free_beyond_the_scan(ct_cohort):
    task = build_generator(generator_config(ct_cohort, spacing_mm=7.5), silent)
    target = task._targets[:2]
    made = torch.zeros_like(target).requires_grad_()
    losses = task.learning.material_losses(made, target)
    assert float(losses["mse"].detach()) == pytest.approx(np.nansum(target.numpy() ** 2) / target.numel())
    sum(losses.values()).backward()
    unseen = torch.isnan(target)
    assert float(made.grad[unseen].abs().max()) == 0 < float(made.grad[~unseen].abs().sum())


def test_a_volume_without_any_seen_voxel_has_no_slices():
    assert len(seen_slices(torch.full((4, 4, 4), UNSEEN_HU, dtype=torch.int16))) == 0
    image = torch.full((4, 4, 4), UNSEEN_HU, dtype=torch.int16)
    image[1, 2, 1:3] = 50
    unit = on_unit_scale(image, IntensityRange())
    assert seen_slices(image) == range(1, 3)
    assert float(unit[1, 2, 1]) == pytest.approx(0.05, abs=1e-6)
    assert int(torch.isnan(unit).sum()) == 62
