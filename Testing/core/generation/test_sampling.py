"""Drawing and rendering hearts."""

import numpy as np
import pytest
import torch
from scipy import stats

from FedSimCore.ct.scanners import scanner
from FedSimCore.errors import InputError
from FedSimCore.generation.blending import blended
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.model_folder import GenerativeModel, write_model
from FedSimCore.generation.sampling import HeartSampler, draw, heart_seed, of_latent
from FedSimCore.networks.coarse_ct import coarse_slices
from FedSimCore.networks.enhancer import slice_conditions
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Volume
from Testing.core.generation.lively_model import lively_enhancer, write_lively_model
from Testing.core.generation.small_model import small_generator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_lively_model(folder)
    return GenerativeModel.load(folder)


@pytest.fixture(scope="module")
def sampler(model):
    return HeartSampler(model, "a")


def test_latents_come_from_the_fitted_normal():
    generator = small_generator()
    drawn = torch.cat([draw(generator, 3, number).latent for number in range(400)])
    distances = generator.normal.mahalanobis(drawn).numpy() ** 2
    assert stats.kstest(distances, stats.chi2(4).cdf).pvalue > 0.01


def test_latents_of_a_site_come_from_its_own_normal():
    generator = small_generator()
    drawn = [draw(generator, 3, number, population="b") for number in range(400)]
    assert {one.population for one in drawn} == {"b"}
    distances = generator.normal_of("b").mahalanobis(torch.cat([one.latent for one in drawn])).numpy() ** 2
    assert stats.kstest(distances, stats.chi2(4).cdf).pvalue > 0.01
    own = generator.latents[1::2].mean(0)
    assert torch.allclose(torch.cat([one.latent for one in drawn]).mean(0), own, atol=0.2)
    with pytest.raises(InputError, match="fewer than two hearts of 'c'; choose a population of a, b, all"):
        draw(generator, 3, 0, population="c")


def test_a_heart_depends_on_its_seed_and_number_alone():
    generator = small_generator()
    torch.manual_seed(99)
    one = draw(generator, 3, 7)
    for number in range(5):
        draw(generator, 3, number, "random")
    again = draw(generator, 3, 7)
    assert torch.equal(one.latent, again.latent)
    assert torch.equal(one.parameters, again.parameters)
    others = [draw(generator, *who).latent for who in ((3, 6), (4, 7), (7, 3))]
    assert not any(torch.equal(one.latent, other) for other in others)


def test_seeds_of_hearts_are_all_different():
    seeds = {heart_seed(seed, number, purpose) for seed in range(20) for number in range(50) for purpose in (0, 1)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_random_shapes_are_the_shape_models_own_and_leave_the_latent_as_it_is():
    generator = small_generator()
    learnt, random = (draw(generator, 0, 1, source) for source in ("learnt", "random"))
    assert torch.equal(learnt.latent, random.latent)
    weights = torch.cat([draw(generator, 0, n, "random").parameters[:, :3] for n in range(300)]).double()
    # Standard normal, truncated at the model's limit.
    limit = generator.model.header.limit_sigma
    expected = stats.truncnorm(-limit, limit).std()
    assert float(weights.std()) == pytest.approx(expected, rel=0.05)


def test_a_heart_is_its_parameters_voxelized_and_its_condition_enhanced(sampler):
    drawn = draw(sampler.generator, 0, 0)
    heart = sampler.make(drawn)
    generator = sampler.generator
    labels = label_map(generator.model.vertices(drawn.parameters), generator.model.topology, generator.grid)
    np.testing.assert_array_equal(heart.label.array, labels[0].numpy())
    with torch.no_grad():
        condition = slice_conditions(generator.coarse(drawn.latent), labels, torch.tensor([[13]]))
        slice_13 = sampler.enhancer.intensity.hounsfield(sampler.enhancer.network(condition))[0, 0].numpy()
    np.testing.assert_allclose(heart.image.array[:, :, 13], slice_13, atol=0.5)
    assert slice_13.std() > 50
    assert heart.image.grid.same_as(generator.grid)
    assert heart.seconds.keys() == {"shape and labels", "coarse CT", "enhancer"}
    assert drawn.heart.vector() == pytest.approx(drawn.parameters[0].numpy())


def test_the_same_heart_has_the_same_bits(sampler, model):
    first = sampler.make(draw(sampler.generator, 0, 2))
    again = HeartSampler(model, "a").make(draw(model.generator, 0, 2))
    assert first.image.array.tobytes() == again.image.array.tobytes()
    assert first.label.array.tobytes() == again.label.array.tobytes()


def test_another_sites_enhancer_shows_the_same_heart_otherwise(sampler, model):
    drawn = draw(sampler.generator, 0, 2)
    ours, theirs = sampler.make(drawn), HeartSampler(model, "b").make(drawn)
    np.testing.assert_array_equal(ours.label.array, theirs.label.array)
    assert np.abs(ours.image.array - theirs.image.array).mean() > 50


@pytest.mark.parametrize("how", ["alpha", "poisson"])
def test_blending_takes_the_heart_from_the_upsampled_coarse_ct(model, sampler, how):
    drawn = draw(sampler.generator, 0, 2)
    plain, mixed = sampler.make(drawn), HeartSampler(model, "a", how).make(drawn)
    coarse = sampler.generator.coarse(drawn.latent).detach()
    upsampled = coarse_slices(coarse, torch.arange(32)[None], (32, 32, 32))[0, :, 0].movedim(0, -1)
    simulated = sampler.enhancer.intensity.hounsfield(upsampled).numpy()
    heart = plain.label.array != 0
    np.testing.assert_allclose(mixed.image.array, blended(how, simulated, plain.image.array, heart), atol=1e-3)
    assert "blending" in mixed.seconds
    if how == "poisson":
        np.testing.assert_array_equal(mixed.image.array[~heart], plain.image.array[~heart])


def test_fixed_materials_condition_the_enhancer_with_a_scan_at_full_resolution(tmp_path):
    generator = small_generator("fixed-materials")
    fixed = FixedMaterials(scanner=scanner("adult").with_changes(views=30))
    enhancer = lively_enhancer(generator, "a", fixed_materials=fixed)
    write_model(tmp_path, generator, [enhancer])
    sampler = HeartSampler(GenerativeModel.load(tmp_path), "a")
    drawn = draw(sampler.generator, 0, 0)
    heart = sampler.make(drawn)
    scan = fixed.scan(Volume(heart.label.array, generator.grid)).array
    condition = sampler.enhancer.intensity.scale(torch.from_numpy(scan))[None, None]
    with torch.no_grad():
        expected = sampler.enhancer.enhance(condition, torch.from_numpy(heart.label.array)[None])[0, 0].numpy()
    np.testing.assert_allclose(heart.image.array, expected, atol=0.5)
    assert expected.std() > 50
    blood = heart.label.array == 1
    assert scan[blood].mean() > 150


def test_latents_that_do_not_fit_are_refused():
    generator = small_generator()
    for latent in (torch.zeros(1, 5), torch.zeros(2, 4), torch.full((1, 4), float("nan"))):
        with pytest.raises(InputError, match="finite numbers are needed"):
            of_latent(generator, latent)
    with pytest.raises(InputError, match="must be 0 or more"):
        draw(generator, -1, 0)


def test_a_site_without_an_enhancer_is_refused(model):
    with pytest.raises(InputError, match="no enhancer of a site 'c'; it has those of a, b"):
        HeartSampler(model, "c")
