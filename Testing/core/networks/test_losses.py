"""The losses against numbers worked out by hand, finite differences and a sphere."""

import math

import numpy as np
import pytest
import torch
import trimesh

from FedSimCore.errors import InputError
from FedSimCore.networks.discriminator import MultiScaleDiscriminator, compare
from FedSimCore.networks.losses import (
    EnhancerWeights,
    discriminator_loss,
    enhancer_losses,
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    iou_loss,
    material_loss,
    slice_jump_loss,
)
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.vgg import random_vgg19
from FedSimCore.shape.mesh import Topology
from FedSimCore.shape.voxelizer import region_occupancy
from FedSimCore.volumes import Grid


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(*values):
    """One scale with one layer of features and these scores of patches."""
    return [torch.zeros(1, 2, 2, 2), torch.tensor(values, dtype=torch.float64)[None, None, None]]


def test_iou_is_intersection_over_union_averaged_over_regions_and_samples():
    a, b = torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 2, 4, 4, 4)
    a[0, 0, :2], b[0, 0, 1:3] = 1, 1  # 16 of 48
    a[0, 1, 0], b[0, 1, 0] = 1, 1  # all
    assert float(iou_loss(a, b)) == pytest.approx(1 - (1 / 3 + 1) / 2)
    assert float(iou_loss(torch.cat((a, a)), torch.cat((b, a)))) == pytest.approx(1 - (1 / 3 + 1 + 2) / 4)


def test_a_region_empty_in_both_is_found_and_gives_no_gradient():
    occupancy = torch.zeros(1, 1, 4, 4, 4, requires_grad=True)
    loss = iou_loss(occupancy, torch.zeros(1, 1, 4, 4, 4))
    assert loss.item() == 0
    loss.backward()
    assert not occupancy.grad.any()


def test_the_gradient_of_iou_is_right_for_soft_occupancies():
    occupancy, target = noise(2, 2, 3, 3, 3).sigmoid().requires_grad_(True), (noise(2, 2, 3, 3, 3, seed=1) > 0).double()
    assert torch.autograd.gradcheck(lambda x: iou_loss(x, target), occupancy)


def test_the_gradient_of_iou_through_the_voxelizer_is_that_of_a_shrinking_sphere():
    # For a sphere of radius r inside one of radius R the IoU is (r / R)^3.
    surface = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    topology = Topology(np.asarray(surface.faces), np.ones(len(surface.faces), dtype=np.uint8))
    unit, grid = torch.tensor(np.asarray(surface.vertices)), Grid.centered(96, 1.0)
    radius = torch.tensor(30.0, dtype=torch.float64, requires_grad=True)
    target = region_occupancy(40 * unit, topology, grid, gradient=None)
    loss = iou_loss(region_occupancy(radius * unit, topology, grid), target)
    loss.backward()
    assert loss.item() == pytest.approx(1 - (30 / 40) ** 3, abs=2e-3)
    assert radius.grad.item() == pytest.approx(-3 * 30**2 / 40**3, rel=0.01)


def test_hinges_are_the_references():
    generated, real = [scores(-2.0, 0.5)], [scores(3.0, 0.2)]
    assert float(hinge_discriminator_loss(generated, real)) == pytest.approx((0 + 1.5) / 2 + (0 + 0.8) / 2)
    assert float(hinge_generator_loss(generated)) == pytest.approx(0.75)
    # Unbounded, unlike MONAI's, which takes the Tanh of scores first.
    assert float(hinge_generator_loss([scores(-50.0)])) == 50


def test_hinges_average_over_scales_of_any_size():
    generated, real = [scores(-2.0, 0.5), scores(1.0)], [scores(3.0, 0.2), scores(0.0)]
    assert float(hinge_discriminator_loss(generated, real)) == pytest.approx((1.15 + 3.0) / 2)
    assert float(hinge_generator_loss(generated)) == pytest.approx((0.75 - 1.0) / 2)


def test_feature_matching_sums_over_layers_leaves_scores_out_and_averages_over_scales():
    made = [[torch.full((2, 3, 4, 4), 1.0), torch.full((2, 5, 2, 2), 2.0), torch.full((2, 1, 2, 2), 99.0)]] * 2
    true = [[torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 2, 2), torch.zeros(2, 1, 2, 2)]]
    close = [[torch.ones(2, 3, 4, 4), torch.full((2, 5, 2, 2), 2.5), torch.zeros(2, 1, 2, 2)]]
    assert float(feature_matching_loss(made, true + close)) == pytest.approx((3.0 + 0.5) / 2)


def test_slice_jumps_are_differences_between_steps():
    real = torch.tensor([0.0, 1.0, 3.0])[None, :, None, None].expand(1, 3, 2, 2)
    assert float(slice_jump_loss(real + 5, real)) == 0
    assert float(slice_jump_loss(torch.zeros_like(real), real)) == pytest.approx((1 + 2) / 2)
    with pytest.raises(InputError, match="2 or more slices"):
        slice_jump_loss(real[:, :1], real[:, :1])


def test_the_material_loss_is_mean_squared_error_and_perceptual_distance():
    perceptual = PerceptualLoss(random_vgg19().double())
    coarse, target = noise(2, 1, 16, 16, 16).tanh(), noise(2, 1, 16, 16, 16, seed=1).tanh()
    losses = material_loss(coarse, target, perceptual)
    assert losses["mse"].item() == pytest.approx(float(((coarse - target) ** 2).numpy().mean()))
    assert losses["perceptual"].item() == perceptual.volumes(coarse, target).item() > 0


def test_the_enhancers_losses_have_gaugans_weights_and_train_the_generator_only_through_its_image():
    discriminator = MultiScaleDiscriminator(3, channels=4).double().eval()
    perceptual = PerceptualLoss(random_vgg19().double())
    condition, real = noise(4, 3, 32, 32), noise(4, 1, 32, 32, seed=1).tanh()
    generated = noise(4, 1, 32, 32, seed=2).tanh().requires_grad_(True)
    losses = enhancer_losses(discriminator, perceptual, condition, generated, real)
    assert set(losses) == {"adversarial", "feature_matching", "perceptual"}
    of_generated, of_real = compare(discriminator, condition, generated, real)
    assert losses["adversarial"].item() == pytest.approx(hinge_generator_loss(of_generated).item())
    assert losses["feature_matching"].item() == pytest.approx(10 * feature_matching_loss(of_generated, of_real).item())
    assert losses["perceptual"].item() == pytest.approx(10 * perceptual(generated, real).item())
    with_jumps = enhancer_losses(
        discriminator, perceptual, condition, generated, real, EnhancerWeights(slice_jump=2.0), slices=2
    )
    pairs = [slice_jump_loss(*(x[i : i + 2].movedim(1, 0) for x in (generated, real))).item() for i in (0, 2)]
    assert with_jumps["slice_jump"].item() == pytest.approx(2 * sum(pairs) / 2)
    sum(losses.values()).backward()
    assert bool(generated.grad.abs().gt(0).all())


def test_the_discriminator_learns_without_a_gradient_to_the_generator():
    discriminator = MultiScaleDiscriminator(3, channels=4).double().eval()
    generated = noise(2, 1, 32, 32).requires_grad_(True)
    loss = discriminator_loss(discriminator, noise(2, 3, 32, 32, seed=1), generated, noise(2, 1, 32, 32, seed=2))
    # Scores start near 0: both hinges are near 1.
    assert loss.item() == pytest.approx(2, abs=0.2)
    loss.backward()
    assert generated.grad is None
    assert all(math.isfinite(p.grad.abs().sum()) for p in discriminator.parameters())


def test_tensors_that_are_not_alike_are_refused():
    with pytest.raises(InputError, match="are not alike"):
        iou_loss(torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4))
