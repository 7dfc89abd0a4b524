"""Structural similarity against MONAI's."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from FedSimCore.errors import InputError
from FedSimCore.evaluation.structural_similarity import WEIGHTS, scale_weights, scales_of, similarity


def texture(seed, shape=(52, 48, 50)):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 3) * 30 + noise * 0.2
    return (0.5 + 0.1 * smooth).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_it_is_monais_where_that_fits(share):
    metrics = pytest.importorskip("monai.metrics.regression", reason="MONAI is not installed (extra 'test')")
    one, other = texture(0), share * texture(0) + (1 - share) * texture(1)
    weights = scale_weights(48)
    assert len(weights) == 3
    pair = [torch.from_numpy(image.astype(np.float32))[None, None] for image in (one, other)]
    theirs = metrics.compute_ms_ssim(*pair, spatial_dims=3, weights=weights)
    assert similarity(scales_of(one), scales_of(other)) == pytest.approx(float(theirs), abs=1e-4)


def test_a_volume_is_wholly_similar_to_itself_and_the_measure_is_symmetric():
    one, other = scales_of(texture(0)), scales_of(texture(1))
    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, other) == pytest.approx(similarity(other, one))
    assert similarity(one, other) < 0.9


def test_opposite_volumes_have_nothing_in_common():
    image = texture(0)
    assert similarity(scales_of(image), scales_of(1 - image)) == 0


@pytest.mark.parametrize(("size", "scales"), [(11, 1), (44, 3), (128, 4), (176, 5), (512, 5)])
def test_there_are_as_many_scales_as_the_window_fits_and_their_weights_sum_to_1(size, scales):
    weights = scale_weights(size)
    assert len(weights) == scales
    assert sum(weights) == pytest.approx(1)
    assert weights[0] / sum(weights) == pytest.approx(WEIGHTS[0] / sum(WEIGHTS[:scales]))


def test_volumes_too_small_or_of_other_shape_are_refused():
    with pytest.raises(InputError, match="too small"):
        scales_of(np.zeros((40, 10, 40), dtype=np.float32))
    with pytest.raises(InputError, match="cannot be compared"):
        similarity(scales_of(texture(0)), scales_of(texture(0, (52, 48, 52))))
