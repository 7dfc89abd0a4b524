"""Trust figures on hearts whose distances are known."""

import numpy as np
import pytest
import torch
from scipy import stats

from FedSimCore.errors import InputError
from FedSimCore.generation.sampling import Drawn, draw, of_latent
from FedSimCore.generation.trust import Nearest, Trust, Unusualness
from FedSimCore.generation.trust_measures import (
    Neighbours,
    TrustMeter,
    image_vector,
    shape_vectors,
    training_images,
    unusualness,
)
from FedSimCore.networks.intensity import IntensityRange
from Testing.core.evaluation.cohorts_on_disk import write_blobs
from Testing.core.generation.small_model import small_generator


@pytest.fixture(scope="module")
def generator():
    return small_generator()


@pytest.fixture(scope="module")
def meter(generator):
    return TrustMeter(generator)


def points(*x):
    """Shapes of two vertices that are shifted along x."""
    return np.array([[[value, 0, 0], [value, 1, 1]] for value in x], dtype=np.float32)


def test_distances_are_told_relative_to_those_among_training_cases():
    # Nearest others are at 2, 2, 3 and 10 mm.
    training = Neighbours.of(["a", "b", "c", "d"], points(0, 2, 5, 15), "mm")
    found = training.nearest(points(7.75)[0])
    assert (found.case, found.distance, found.usual_distance) == ("c", 2.75, 2.5)
    assert found.ratio == pytest.approx(1.1)
    assert found.percentile == 50


def test_images_are_compared_by_their_root_mean_square():
    images = np.zeros((2, 4, 4, 4), dtype=np.float32)
    images[1] = 100
    training = Neighbours.of(["a", "b"], images, "HU")
    checkered = np.where(np.indices((4, 4, 4)).sum(0) % 2, 30.0, -30.0).astype(np.float32)
    found = training.nearest(checkered)
    assert (found.case, found.distance, found.usual_distance, found.percentile) == ("a", 30.0, 100.0, 0.0)


def test_a_training_cases_own_latent_is_at_0_from_it(generator, meter):
    trust = meter.measure(of_latent(generator, generator.latents[2:3]))
    assert trust.nearest_shape.case == "case2"
    assert trust.nearest_shape.distance == pytest.approx(0, abs=1e-4)
    assert trust.nearest_shape.percentile == 0
    assert "may be a copy" in trust.concerns()[0]


def test_place_and_direction_do_not_count_but_size_does(generator):
    model = generator.model
    parameters = model.sample(1, torch.Generator().manual_seed(0), pose=True)
    moved = parameters.clone()
    moved[:, 3:9] += torch.tensor([0.2, -0.1, 0.3, 4, 5, -6])
    np.testing.assert_array_equal(shape_vectors(model, parameters), shape_vectors(model, moved))
    larger = parameters.clone()
    larger[:, -1] *= 1.1
    np.testing.assert_allclose(shape_vectors(model, larger), 1.1 * shape_vectors(model, parameters), rtol=1e-5)


def test_mahalanobis_distances_have_chi_square_percentiles(generator, meter):
    drawn = draw(generator, 0, 4)
    trust = meter.measure(drawn)
    inverse = np.linalg.inv(generator.normal.covariance.double().numpy())
    offset = (drawn.latent[0] - generator.normal.mean).double().numpy()
    distance = float(np.sqrt(offset @ inverse @ offset))
    assert trust.latent.distance == pytest.approx(distance, rel=1e-5)
    assert trust.latent.percentile == pytest.approx(100 * stats.chi2(4).cdf(distance**2), rel=1e-5)
    weights = drawn.parameters[0, :3].double().numpy()
    assert trust.weights.distance == pytest.approx(float(np.linalg.norm(weights)), rel=1e-5)
    assert unusualness(0, 7).percentile == 0


def test_torn_surfaces_and_impossible_volumes_are_counted(generator, meter):
    usual = meter.measure(draw(generator, 0, 4))
    assert (usual.self_intersecting_faces, usual.inverted_faces) == (0, 0)
    torn = draw(generator, 0, 4).parameters.clone()
    torn[:, :3] = torch.tensor([12.0, -12.0, 12.0])
    worse = meter.measure(Drawn(draw(generator, 0, 4).latent, torn))
    assert worse.self_intersecting_faces + worse.inverted_faces > 0
    assert any("rarer than 99 in 100" in sentence for sentence in worse.concerns())
    large = draw(generator, 0, 4).parameters.clone()
    large[:, -1] = 1.5
    assert meter.measure(Drawn(draw(generator, 0, 4).latent, large)).outside_norms["lv_volume_ml"] == "high"


def test_a_training_image_is_found_again_among_the_cohorts(generator, tmp_path):
    cohort = write_blobs(tmp_path / "cohort", range(5))
    rows = (cohort / "cohort.csv").read_text().replace("\ncase4,", "\nstranger,")
    (cohort / "cohort.csv").write_text(rows)
    images = training_images(cohort, generator)
    assert images.cases == ("case0", "case1", "case2", "case3")
    found = images.nearest(images.vectors[3])
    assert (found.case, found.distance) == ("case3", 0)
    hu = np.full((32, 32, 32), -5000, dtype=np.float32)
    assert (image_vector(hu, IntensityRange()) == -1000).all()


def test_a_cohort_without_the_training_cases_is_refused(generator, tmp_path):
    cohort = write_blobs(tmp_path / "others", range(20, 23))
    with pytest.raises(InputError, match="CTs of 0 of the 4 cases that the model was trained on"):
        training_images(cohort, generator)
    with pytest.raises(InputError, match="two cases at least"):
        Neighbours.of(["a"], points(0), "mm")


def test_trust_survives_json():
    nearest = Nearest(case="a", distance=1, unit="mm", usual_distance=2, ratio=0.5, percentile=10)
    usual = Unusualness(distance=1.0, percentile=30)
    trust = Trust(
        nearest_shape=nearest,
        latent=usual,
        weights=usual,
        faces=10,
        self_intersecting_faces=0,
        inverted_faces=0,
        outside_norms={"lv_volume_ml": "low"},
    )
    assert Trust.model_validate_json(trust.model_dump_json()) == trust
    assert trust.concerns() == ()
