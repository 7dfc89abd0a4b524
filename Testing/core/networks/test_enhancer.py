"""What the enhancer sees of a slice, and whole volumes made of slices."""

import pytest
import torch
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.networks.enhancer import CONDITION_CHANNELS, Enhancer, slice_conditions


def hearts():
    """Two random label maps of 32 x 32 x 64 and their coarse CT."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 8, (2, 32, 32, 64), generator=generator, dtype=torch.uint8)
    return torch.rand(2, 1, 8, 8, 8, generator=generator) * 2 - 1, labels


def one_hot(labels):
    return functional.one_hot(labels.long(), 8).movedim(-1, 1)[:, 1:].float()


def tiny():
    return Enhancer(channels=2, hidden=4).eval()


def test_a_condition_is_background_regions_coarse_ct_and_place():
    coarse, labels = hearts()
    index = torch.tensor([[0, 16, 63], [5, 4, 3]])
    condition = slice_conditions(coarse, labels, index)
    assert condition.shape == (6, CONDITION_CHANNELS, 32, 32)
    assert CONDITION_CHANNELS == 10
    volume = functional.interpolate(coarse, size=(32, 32, 64), mode="trilinear", align_corners=False)
    for row, (sample, k) in enumerate([(0, 0), (0, 16), (0, 63), (1, 5), (1, 4), (1, 3)]):
        assert torch.equal(condition[row, :8].argmax(0), labels[sample, :, :, k].long())
        assert torch.equal(condition[row, :8].sum(0), torch.ones(32, 32))
        torch.testing.assert_close(condition[row, 8], volume[sample, 0, :, :, k])
        assert torch.equal(condition[row, 9], torch.full((32, 32), k / 64))


def test_probabilities_of_regions_give_the_same_condition_and_get_a_gradient():
    coarse, labels = hearts()
    index = torch.tensor([[1, 2], [3, 4]])
    probabilities = one_hot(labels).requires_grad_(True)
    condition = slice_conditions(coarse, probabilities, index)
    torch.testing.assert_close(condition, slice_conditions(coarse, labels, index))
    condition[:, 3].sum().backward()
    touched = probabilities.grad.nonzero()
    assert set(touched[:, 1].tolist()) == {2}
    assert {(int(b), int(k)) for b, k in touched[:, [0, 4]]} == {(0, 1), (0, 2), (1, 3), (1, 4)}


@torch.no_grad()
def test_a_volume_is_made_of_its_slices_whatever_the_batch():
    coarse, labels = hearts()
    enhancer, told = tiny(), []
    volume = enhancer.enhance(coarse, labels, batch=16, progress=lambda done, total, stage: told.append((done, total)))
    assert volume.shape == (2, 1, 32, 32, 64)
    torch.testing.assert_close(volume, enhancer.enhance(coarse, labels, batch=7), atol=1e-6, rtol=0)
    single = enhancer(slice_conditions(coarse, labels, torch.tensor([[40], [41]])))
    torch.testing.assert_close(volume[0, ..., 40], single[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(volume[1, ..., 41], single[1], atol=1e-6, rtol=0)
    assert told[0] == (0, 8)
    assert told[-1] == (8, 8)


def test_in_double_precision_slices_are_double():
    coarse, labels = hearts()
    image = tiny().double()(slice_conditions(coarse.double(), labels, torch.tensor([[3], [9]])))
    assert image.dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": torch.zeros(2, 32, 32, 64)}, r"The regions are \(2, 32, 32, 64\) torch.float32"),
        ({"regions": torch.zeros(2, 6, 32, 32, 64)}, r"floating \(batch, 7, X, Y, Z\)"),
        ({"coarse": torch.zeros(1, 1, 8, 8, 8)}, "don't fit a batch of 2"),
        ({"index": torch.tensor([[0], [64]])}, "Slices 0 to 64 were asked of volumes with 64 slices"),
        ({"index": torch.tensor([[-1], [3]])}, "Slices -1 to 3"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    coarse, labels = hearts()
    given = {"coarse": coarse, "regions": labels, "index": torch.tensor([[0], [1]])} | change
    with pytest.raises(InputError, match=message):
        slice_conditions(**given)
