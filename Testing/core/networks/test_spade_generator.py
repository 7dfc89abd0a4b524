"""GauGAN's generator: published weight counts, sizes on the way, gradient, seeds."""

import pytest
import torch
from torch import nn

from FedSimCore.errors import InputError
from FedSimCore.networks.spade_generator import SPADEGenerator


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(**changes):
    return SPADEGenerator(**{"condition_channels": 5, "channels": 2, "hidden": 4} | changes)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("condition", "millions"), [(36, 93.0), (151, 96.5)])
def test_weights_are_as_many_as_published_for_cityscapes_and_ade20k(condition, millions):
    # Li et al., GAN Compression (CVPR 2020), table 1; Sushko et al., OASIS (ICLR 2021), table on model sizes.
    with torch.device("meta"):
        generator = SPADEGenerator(condition, outputs=3)
    assert count(generator) / 1e6 == pytest.approx(millions, abs=0.05)


def test_blocks_work_at_4_8_8_16_32_64_and_128_pixels():
    generator, sizes = small(), []
    for block in generator.blocks:
        block.register_forward_hook(lambda _, given, result: sizes.append(tuple(result.shape[1:])))
    image = generator(noise(1, 5, 128, 128))
    assert sizes == [(32, 4, 4), (32, 8, 8), (32, 8, 8), (16, 16, 16), (8, 32, 32), (4, 64, 64), (2, 128, 128)]
    assert image.shape == (1, 1, 128, 128)
    assert float(image.detach().abs().max()) < 1


def test_the_gradient_reaches_condition_and_weights_and_is_right():
    generator = small().double().eval()
    condition, direction = noise(2, 5, 32, 32, dtype=torch.float64), noise(2, 5, 32, 32, seed=1, dtype=torch.float64)

    def loss(value):
        return generator(value).square().sum() * 1e6

    value = condition.clone().requires_grad_(True)
    loss(value).backward()
    with torch.no_grad():
        difference = (loss(condition + 1e-5 * direction) - loss(condition - 1e-5 * direction)) / 2e-5
    assert float((value.grad * direction).sum()) == pytest.approx(float(difference), rel=1e-4)
    assert all(p.grad is not None for p in generator.parameters())


def test_the_same_seed_makes_the_same_image_and_evaluation_leaves_the_state_alone():
    condition = noise(2, 5, 32, 32)
    one, same, other = (small(seed=seed).eval() for seed in (3, 3, 4))
    before = {key: value.clone() for key, value in one.state_dict().items()}
    assert torch.equal(one(condition), same(condition))
    assert not torch.equal(one(condition), other(condition))
    assert all(torch.equal(value, before[key]) for key, value in one.state_dict().items())


def test_a_state_that_was_saved_gives_the_same_image_again():
    condition = noise(2, 5, 32, 32)
    trained = small(seed=3)
    for _ in range(3):
        trained(condition)
    copy = small(seed=4)
    copy.load_state_dict(trained.state_dict())
    assert torch.equal(copy(condition), trained(condition))


def test_first_weights_have_xaviers_deviation_times_0_02():
    generator = SPADEGenerator(10, channels=16)
    weight = generator.blocks[0].spade_0.gamma.weight
    fans = weight.shape[0] * 9 + weight.shape[1] * 9
    assert float(weight.detach().std()) == pytest.approx(0.02 * (2 / fans) ** 0.5, rel=0.01)
    assert not any(bool(m.bias.any()) for m in generator.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)


@torch.no_grad()
def test_an_edge_that_moves_pixel_by_pixel_changes_the_image_evenly_only_if_the_condition_is_averaged():
    edges = range(58, 71)
    condition = torch.stack([(torch.arange(128) < edge).float().expand(1, 128, 128) for edge in edges])
    worst = {}
    for shrinking in ("nearest", "area"):
        generator = small(condition_channels=1, shrinking=shrinking)
        generator(condition)
        steps = generator.eval()(condition).diff(dim=0).abs().mean((1, 2, 3))
        worst[shrinking] = (edges[int(steps.argmax())], float(steps.max() / steps.median()))
    # Where the edge passes one of the four columns that are picked at the smallest size, everything changes.
    assert worst["nearest"][0] == 64
    assert worst["nearest"][1] > 20
    assert worst["area"][1] < 1.5


@pytest.mark.parametrize("shape", [(1, 4, 32, 32), (1, 5, 32, 48), (5, 32, 32)])
def test_other_conditions_are_refused(shape):
    with pytest.raises(InputError, match=r"but \(batch, 5, H, W\) with sides divisible by 32"):
        small()(torch.zeros(shape))
