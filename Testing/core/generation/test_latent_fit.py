"""Finding the latent of a heart that the generator can make."""

import pytest
import torch

from FedSimCore.errors import InputError
from FedSimCore.generation.latent_fit import fit_latents
from Testing.core.generation.small_model import small_generator


@pytest.fixture(scope="module")
def generator():
    """A generator whose latents move its hearts visibly."""
    small = small_generator()
    with torch.no_grad():
        small.shape[-2].weight *= 8
    return small


@pytest.fixture(scope="module")
def hearts(generator):
    latents = generator.normal.sample(2, torch.Generator().manual_seed(3))
    with torch.no_grad():
        return latents, generator.labels(latents)


@pytest.fixture(scope="module")
def fitted(generator, hearts):
    return fit_latents(generator, hearts[1], steps=60)


def test_hearts_of_known_latents_are_found_again(fitted, hearts, generator):
    assert float(fitted.start_iou.max()) < 0.8
    assert float(fitted.iou.min()) > 0.9
    with torch.no_grad():
        found, true = (generator.vertices(latents) for latents in (fitted.latents, hearts[0]))
    # A fifth of a voxel.
    assert float((found - true).norm(dim=2).mean()) < 1.0


def test_the_reported_overlap_is_that_of_the_returned_latents(fitted, hearts, generator):
    with torch.no_grad():
        made = generator.labels(fitted.latents)
    for heart in range(2):
        regions = [label for label in range(1, 8) if (hearts[1][heart] == label).any()]
        quotients = []
        for label in regions:
            ours, theirs = made[heart] == label, hearts[1][heart] == label
            quotients.append(float((ours & theirs).sum() / (ours | theirs).sum()))
        assert float(fitted.iou[heart]) == pytest.approx(sum(quotients) / len(regions), abs=1e-5)


def test_the_generator_stays_as_it_was_and_hearts_do_not_mix(generator, hearts, fitted):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    alone = fit_latents(generator, hearts[1][1:], steps=60)
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    torch.testing.assert_close(alone.latents[0], fitted.latents[1], atol=0.05, rtol=0.05)


def test_a_chamber_that_is_lacking_is_not_missed(generator, hearts):
    labels = hearts[1][:1].clone()
    labels[labels == 7] = 0
    assert float(fit_latents(generator, labels, steps=60).iou) > 0.85


def test_label_maps_that_do_not_fit_are_refused(generator):
    with pytest.raises(InputError, match="of the generator"):
        fit_latents(generator, torch.zeros(1, 16, 16, 16, dtype=torch.uint8))
    with pytest.raises(InputError, match="is empty"):
        fit_latents(generator, torch.zeros(1, 32, 32, 32, dtype=torch.uint8))
