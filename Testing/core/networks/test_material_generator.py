"""The generator of material maps: its layers, its seeds, and that latents learn volumes through it."""

import pytest
import torch
from torch import nn

from FedSimCore.errors import InputError
from FedSimCore.networks.material_generator import MaterialGenerator, UpsampledConvolution


def latents(count):
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(1))


def test_the_layers_are_the_papers():
    generator = MaterialGenerator()
    convolutions = [m for m in generator.modules() if isinstance(m, nn.Conv3d)]
    assert [tuple(c.weight.shape) for c in convolutions] == [
        (256, 32, 3, 3, 3),
        (128, 256, 3, 3, 3),
        (1, 128, 5, 5, 5),
    ]
    assert [m.scale_factor for m in generator.modules() if isinstance(m, nn.Upsample)] == [4, 2]
    assert [m for m in generator.modules() if isinstance(m, UpsampledConvolution)] == convolutions[2:]
    by_hand = (32 * 256 * 27 + 256) + 2 * 256 + (256 * 128 * 27 + 128) + 2 * 128 + (128 * 125 + 1)
    assert sum(p.numel() for p in generator.parameters()) == by_hand == 1_123_073


def test_volumes_grow_from_1_to_4_to_8_to_16_voxels_along_each_side():
    generator, sizes = MaterialGenerator(), []
    for module in generator.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(lambda _, given, result: sizes.append(tuple(result.shape[1:])))
    result = generator(latents(2))
    assert sizes == [(256, 4, 4, 4), (128, 8, 8, 8), (1, 16, 16, 16)]
    assert result.shape == (2, 1, 16, 16, 16)
    assert float(result.detach().abs().max()) < 1


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_with_three_kernels_of_3_the_central_planes_are_equal_and_with_the_default_they_are_not(axis):
    def difference(generator):
        map_ = generator(latents(2)).detach()
        return float((map_.select(axis, 7) - map_.select(axis, 8)).abs().max())

    assert difference(MaterialGenerator(kernels=(3, 3, 3))) < 1e-6
    assert difference(MaterialGenerator()) > 0.01


def test_a_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = MaterialGenerator(seed=3), MaterialGenerator(seed=3), MaterialGenerator(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [nn.utils.parameters_to_vector(g.parameters()) for g in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_latents_and_weights_learn_volumes_together():
    axis = torch.linspace(-1, 1, 16)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    target = torch.stack([0.5 * x - 0.3 * y, 0.6 * (x**2 + y**2 + z**2) - 0.8])[:, None]
    generator, vectors = MaterialGenerator(), latents(2).requires_grad_(True)
    first = vectors.detach().clone()
    optimizer = torch.optim.Adam([{"params": generator.parameters(), "lr": 3e-4}, {"params": [vectors], "lr": 1e-2}])
    losses = []
    for _ in range(16):
        optimizer.zero_grad()
        loss = (generator(vectors) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert bool((vectors != first).all())


def test_latents_of_another_size_and_even_kernels_are_refused():
    with pytest.raises(InputError, match=r"The latents are \(2, 31\), but \(batch, 32\)"):
        MaterialGenerator()(torch.zeros(2, 31))
    with pytest.raises(InputError, match=r"three odd kernels, not \(3, 3, 4\)"):
        MaterialGenerator(kernels=(3, 3, 4))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_upsampling_and_convolution_in_one_are_both_one_after_the_other(kernel):
    layer = UpsampledConvolution(3, 2, kernel).double()
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    fine = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
    expected = torch.nn.functional.conv3d(fine, layer.weight, layer.bias, padding=kernel // 2)
    made = layer(x)
    assert made.shape == (2, 2, 8, 10, 12)
    assert torch.allclose(made, expected, atol=1e-12)
    probe = torch.randn(made.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, wanted = (torch.autograd.grad((y * probe).sum(), (x, layer.weight, layer.bias)) for y in (made, expected))
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(found, wanted, strict=True))
