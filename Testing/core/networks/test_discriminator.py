"""The discriminator: layers as in the reference's code, a true pyramid, one pass for both kinds of images."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from FedSimCore.errors import InputError
from FedSimCore.networks.discriminator import MultiScaleDiscriminator, compare


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**changes):
    return MultiScaleDiscriminator(**{"condition_channels": 3, "channels": 4} | changes)


def test_layers_and_weights_are_those_of_the_reference():
    with torch.device("meta"):
        discriminator = MultiScaleDiscriminator(10)
        features = discriminator(torch.empty(2, 10, 128, 128), torch.empty(2, 1, 128, 128))
    # floor((n + 2 * 2 - 4) / stride) + 1
    assert [tuple(x.shape[1:]) for x in features[0]] == [
        (64, 65, 65),
        (128, 33, 33),
        (256, 17, 17),
        (512, 18, 18),
        (1, 19, 19),
    ]
    assert [tuple(x.shape[1:]) for x in features[1]] == [
        (64, 33, 33),
        (128, 17, 17),
        (256, 9, 9),
        (512, 10, 10),
        (1, 11, 11),
    ]
    one_scale = (11 * 64 * 16 + 64) + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 512 * 16 + (512 * 16 + 1)
    assert sum(p.numel() for p in discriminator.parameters()) == 2 * one_scale == 5_544_066


def test_the_second_scale_sees_the_image_half_as_large():
    discriminator = small().eval()
    condition, image = noise(1, 3, 32, 32), noise(1, 1, 32, 32, seed=1)
    both = torch.cat((condition, image), 1)[0].numpy()
    # Mean of the pixels of 3 x 3 that lie in the image, at every second pixel.
    kernel = np.ones((1, 3, 3))
    mean = ndimage.correlate(both, kernel, mode="constant") / ndimage.correlate(
        np.ones_like(both), kernel, mode="constant"
    )
    half = torch.from_numpy(mean[:, ::2, ::2].copy())[None]
    expected = discriminator.scales[1](half)
    for ours, theirs in zip(discriminator(condition, image)[1], expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_comparing_gives_what_single_passes_give():
    discriminator = small().eval()
    condition, generated, real = noise(2, 3, 32, 32), noise(2, 1, 32, 32, seed=1), noise(2, 1, 32, 32, seed=2)
    of_generated, of_real = compare(discriminator, condition, generated, real)
    for features, image in ((of_generated, generated), (of_real, real)):
        for scale, expected in zip(features, discriminator(condition, image), strict=True):
            for x, y in zip(scale, expected, strict=True):
                torch.testing.assert_close(x, y, atol=1e-5, rtol=1e-4)


def test_while_training_both_kinds_are_judged_by_the_same_weights():
    discriminator, image = small(), noise(2, 1, 32, 32)
    of_generated, of_real = compare(discriminator, noise(2, 3, 32, 32, seed=1), image, image)
    for made, true in zip(of_generated, of_real, strict=True):
        for x, y in zip(made, true, strict=True):
            torch.testing.assert_close(x, y)


def test_scores_depend_on_the_condition_and_scales_have_weights_of_their_own():
    discriminator = small().eval()
    image = noise(1, 1, 32, 32)
    one, other = (discriminator(noise(1, 3, 32, 32, seed=seed), image)[0][-1] for seed in (1, 2))
    assert float((one - other).detach().abs().max()) > 1e-4
    first, second = (scale.layers[0][0].weight for scale in discriminator.scales)
    assert not torch.equal(first, second)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"The image \(2, 1, 16, 16\) is not one of the condition \(2, 3, 32, 32\)"):
        small()(noise(2, 3, 32, 32), noise(2, 1, 16, 16))
