"""Spatially adaptive normalization against its formula, and the residual block's spectral norm against an SVD."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from FedSimCore.networks.seeding import seeded
from FedSimCore.networks.spade import SPADE, SPADEResidualBlock


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolved(x, convolution):
    """What a 3 x 3 convolution gives for (C, H, W), by SciPy."""
    weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
    return np.stack(
        [
            sum(correlate2d(x[i], w[i], mode="same") for i in range(len(x))) + b
            for w, b in zip(weight, bias, strict=True)
        ]
    )


@pytest.mark.parametrize(("norm", "shrinking"), [("batch", "nearest"), ("instance", "nearest"), ("batch", "area")])
def test_spade_is_the_papers_formula(norm, shrinking):
    with seeded(0):
        spade = SPADE(4, 3, hidden=5, norm=norm, shrinking=shrinking).double()
    x, condition = noise(2, 4, 6, 8), noise(2, 3, 12, 16, seed=1)
    result = spade(x, condition).detach().numpy()
    values, axes = x.numpy(), (0, 2, 3) if norm == "batch" else (2, 3)
    mean, variance = values.mean(axes, keepdims=True), values.var(axes, keepdims=True)
    normalized = (values - mean) / np.sqrt(variance + 1e-5)
    for sample in range(2):
        pixels = condition[sample].numpy()
        small = pixels[:, ::2, ::2] if shrinking == "nearest" else pixels.reshape(3, 6, 2, 8, 2).mean((2, 4))
        hidden = np.maximum(convolved(small, spade.shared), 0)
        expected = normalized[sample] * (1 + convolved(hidden, spade.gamma)) + convolved(hidden, spade.beta)
        np.testing.assert_allclose(result[sample], expected, atol=1e-12)


def test_a_uniform_condition_still_scales_and_shifts():
    # With gamma and beta instance-normalized, as in MONAI's block, it would not inside the image.
    with seeded(0):
        spade = SPADE(4, 3, hidden=8, norm="instance").double()
    x = noise(1, 4, 12, 12)
    low, high = (spade(x, torch.full((1, 3, 12, 12), value, dtype=torch.float64)).detach() for value in (0.1, 0.9))
    slope = (high - low)[0, :, 3:-3, 3:-3]
    inside = spade.norm(x)[0, :, 3:-3, 3:-3]
    for channel in range(4):
        fit = np.polyfit(inside[channel].flatten().numpy(), slope[channel].flatten().numpy(), 1)
        assert np.abs(fit).max() > 0.01
        residual = slope[channel].numpy() - np.polyval(fit, inside[channel].numpy())
        assert np.abs(residual).max() < 1e-12


def test_spectral_norm_brings_the_largest_singular_value_to_1():
    with seeded(0):
        block = SPADEResidualBlock(6, 4, 3, hidden=5)
        block.normalize_spectrally()
    x, condition = noise(2, 6, 8, 8).float(), noise(2, 3, 8, 8).float()
    for _ in range(100):
        block(x, condition)
    for convolution in (block.conv_0, block.conv_1, block.conv_shortcut):
        matrix = convolution.weight.detach().flatten(1).numpy()
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


def test_a_block_that_keeps_its_channels_keeps_what_comes_in():
    block = SPADEResidualBlock(4, 4, 3, hidden=5)
    nn.init.zeros_(block.conv_1.weight)
    nn.init.zeros_(block.conv_1.bias)
    x = noise(2, 4, 8, 8).float()
    torch.testing.assert_close(block(x, noise(2, 3, 8, 8).float()), x)
    assert not block.has_learned_shortcut
    assert SPADEResidualBlock(4, 2, 3).conv_shortcut.bias is None


def test_the_gradient_of_a_block_is_right():
    with seeded(0):
        block = SPADEResidualBlock(3, 2, 2, hidden=3).double()
        block.normalize_spectrally()
    block.eval()
    x, condition = noise(1, 3, 4, 4).requires_grad_(True), noise(1, 2, 4, 4, seed=1).requires_grad_(True)
    assert torch.autograd.gradcheck(block, (x, condition))
