from __future__ import annotations

import numpy as np

from FedSimCore.experiments.random_intensities import HIGH_HU, LOW_HU, random_heart, random_intensities


def test_structures_get_means_of_their_own_that_every_image_draws_anew():
    structures = np.zeros((24, 24, 24), dtype=np.uint8)
    structures[:, :, 12:] = 1
    means = []
    for seed in range(40):
        image = random_intensities(structures, np.random.default_rng(seed))
        assert image.shape == structures.shape
        assert image.min() >= LOW_HU
        assert image.max() <= HIGH_HU
        means.append((image[:, :, :9].mean(), image[:, :, 15:].mean()))
    first, second = np.array(means).T
    # Uniform over 2000 HU has a deviation of 577 HU; bias, gamma and clipping change it a little.
    assert 400 < first.std() < 750
    assert 400 < second.std() < 750
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.45


def test_a_heart_of_random_intensity_lies_in_the_middle_and_depends_on_seed_and_number_alone():
    image, label = random_heart(0, 1, 32, 6.0)
    again, _ = random_heart(0, 1, 32, 6.0)
    other, other_label = random_heart(0, 2, 32, 6.0)
    np.testing.assert_array_equal(image.array, again.array)
    assert (image.array != other.array).mean() > 0.5
    assert (label.array != other_label.array).any()
    assert set(np.unique(label.array)) == set(range(8))
    box = np.argwhere(label.array > 0)
    middle = label.grid.to_world((box.min(0) + box.max(0)) / 2)
    assert np.abs(middle).max() <= 6.0
