"""Distances of HU between cohorts that differ in a known way."""

import numpy as np
import pytest

from FedSimCore.cohorts.working_grid import Heart
from FedSimCore.evaluation.region_hounsfield import hounsfield_distances

LV, AORTA = 1, 6


def heart(name, shift_hu=0.0, seed=0, regions=(LV, AORTA)):
    rng = np.random.default_rng(seed)
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    for number, label in enumerate(regions):
        labels[2:10, 2:10, 2 + 4 * number : 6 + 4 * number] = label
    hu = rng.normal(100.0 * labels - 50, 20)
    hu[labels == LV] += shift_hu
    return Heart(name, hu.astype(np.float32), labels)


def test_a_region_that_is_brighter_lies_as_far_as_it_is_brighter_and_no_other_does():
    real = [heart(f"r{n}", seed=n) for n in range(4)]
    made = [heart(f"m{n}", shift_hu=60, seed=10 + n) for n in range(3)]
    found = hounsfield_distances(made, real, draws=50, seed=0)
    assert found.keys() == {"surroundings", "lv", "ao"}
    assert found["lv"].value == pytest.approx(60, abs=2.5)
    assert found["lv"].low < 60 < found["lv"].high + 2.5
    assert max(found["ao"].value, found["surroundings"].value) < 4


def test_a_cohort_is_at_0_from_itself():
    hearts = [heart(f"r{n}", seed=n) for n in range(3)]
    assert all(distance.value == 0 for distance in hounsfield_distances(hearts, hearts, 20, 0).values())


def test_regions_that_hardly_any_heart_has_are_left_out():
    hearts = [heart("whole"), heart("another"), heart("part", regions=(LV,)), heart("more", regions=(LV,))]
    assert "ao" not in hounsfield_distances(hearts[1:], hearts, 20, 0)
    assert "ao" in hounsfield_distances(hearts, hearts, 20, 0)


def test_values_beyond_all_bins_count_at_the_ends():
    low, high = heart("a"), heart("b")
    low.hu[low.labels == LV] = -5000
    high.hu[high.labels == LV] = 9000
    found = hounsfield_distances([low, low], [high, high], 20, 0)
    assert found["lv"].value == pytest.approx(3072 + 1024 - 4)
