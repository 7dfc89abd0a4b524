"""The way between two latents."""

import pytest
import torch

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.walk import between

ROOT = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
NORMAL = LatentNormal(torch.arange(6.0), ROOT @ ROOT.T + 0.1 * torch.eye(6))


def ends(seed=1):
    drawn = NORMAL.sample(2, torch.Generator().manual_seed(seed))
    return drawn[:1], drawn[1:]


def test_it_begins_and_ends_where_it_was_told_to():
    first, second = ends()
    torch.testing.assert_close(between(NORMAL, first, second, 0.0), first, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(between(NORMAL, first, second, 1.0), second, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_hearts_on_the_way_are_as_unusual_as_those_at_its_ends(share):
    first, second = ends()
    start, stop, here = (float(NORMAL.mahalanobis(z)) for z in (first, second, between(NORMAL, first, second, share)))
    assert here == pytest.approx((1 - share) * start + share * stop, rel=1e-4)
    straight = (1 - share) * first + share * second
    assert float(NORMAL.mahalanobis(straight)) < here


def test_it_moves_evenly_and_forth_and_back_are_the_same_way():
    first, second = ends(4)
    steps = [between(NORMAL, first, second, n / 20) for n in range(21)]
    back = [between(NORMAL, second, first, 1 - n / 20) for n in range(21)]
    torch.testing.assert_close(torch.cat(steps), torch.cat(back), rtol=1e-4, atol=1e-4)


def test_from_the_middle_outwards_and_to_the_opposite_side_it_is_straight():
    first, _ = ends()
    mean = NORMAL.mean[None]
    torch.testing.assert_close(between(NORMAL, mean, first, 0.25), 0.75 * mean + 0.25 * first)
    torch.testing.assert_close(between(NORMAL, first, 2 * mean - first, 0.5), mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(between(NORMAL, first, first, 0.3), first, rtol=1e-4, atol=1e-4)


def test_impossible_ways_are_refused():
    first, second = ends()
    with pytest.raises(InputError, match="no share of a way"):
        between(NORMAL, first, second, 1.5)
    with pytest.raises(InputError, match="two latents of 6 finite numbers"):
        between(NORMAL, first * float("nan"), second, 0.5)
    with pytest.raises(InputError, match="two latents of 6 finite numbers"):
        between(NORMAL, first[:, :5], second[:, :5], 0.5)
