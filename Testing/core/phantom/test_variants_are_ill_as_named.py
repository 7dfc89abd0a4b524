"""Congenital variants against normal hearts."""

import numpy as np
import pytest
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom import make_label_map
from FedSimCore.cohorts.phantom.measure import volumes_ml
from FedSimCore.cohorts.phantom.sites import site, sites, variants


def heart(variant, seed=11):
    return make_label_map("congenital-severe", seed, variant=variant, spacing_mm=1.2)


def contact_voxels(label, a, b):
    first, second = label.array == anatomy.region(a).label, label.array == anatomy.region(b).label
    return int((ndimage.binary_dilation(first) & second).sum())


def center(label, key):
    return label.grid.to_world(np.argwhere(label.array == anatomy.region(key).label)).mean(0)


@pytest.fixture(scope="module")
def normal():
    return heart("normal")


@pytest.mark.parametrize("seed", [11, 12])
def test_transposition_swaps_the_great_arteries(seed):
    label = heart("tga", seed)
    assert contact_voxels(label, "rv", "ao") > 30
    assert contact_voxels(label, "lv", "pa") > 30
    assert contact_voxels(label, "lv", "ao") == 0
    aorta = label.grid.to_world(np.argwhere(label.array == 6))
    trunk = label.grid.to_world(np.argwhere(label.array == 7))
    level = aorta[:, 2].min() + 8
    in_front = aorta[np.abs(aorta[:, 2] - level) < 4].mean(0) - trunk[np.abs(trunk[:, 2] - level) < 4].mean(0)
    assert in_front[1] > 10


def test_both_arteries_of_a_double_outlet_leave_the_right_ventricle():
    label = heart("dorv")
    assert contact_voxels(label, "rv", "ao") > 30
    assert contact_voxels(label, "rv", "pa") > 15
    assert contact_voxels(label, "lv", "ao") == 0
    assert contact_voxels(label, "lv", "rv") > 10


def test_septal_defects_join_the_pools_of_both_sides(normal):
    assert contact_voxels(normal, "la", "ra") == 0
    assert contact_voxels(normal, "lv", "rv") == 0
    assert contact_voxels(heart("asd"), "la", "ra") > 20
    assert contact_voxels(heart("vsd"), "lv", "rv") > 10
    canal = heart("avsd")
    assert contact_voxels(canal, "la", "ra") > 10
    assert contact_voxels(canal, "lv", "rv") > 5


def test_chambers_and_vessels_are_enlarged_or_small_as_the_diagnosis_says(normal):
    usual = volumes_ml(normal)
    small_left, small_right = volumes_ml(heart("hypoplastic_left")), volumes_ml(heart("hypoplastic_right"))
    assert small_left["lv"] < 0.6 * usual["lv"]
    assert small_left["rv"] > 1.4 * usual["rv"]
    assert small_right["rv"] < 0.6 * usual["rv"]
    fallot = volumes_ml(heart("tetralogy"))
    assert fallot["pa"] < 0.7 * usual["pa"]
    assert fallot["ao"] > 1.3 * usual["ao"]
    thick = volumes_ml(heart("aortic_stenosis"))
    assert thick["myo"] > 1.25 * usual["myo"]


def test_a_loaded_right_ventricle_flattens_the_septum(normal):
    """The left pool narrows from septum to free wall more than from front to back."""

    def narrowness(label):
        pool = label.grid.to_world(np.argwhere(label.array == 1))
        spread = np.sqrt(np.linalg.eigvalsh(np.cov(pool.T)))
        return spread[0] / spread[1]

    assert narrowness(heart("pulmonary_hypertension")) < narrowness(normal) - 0.03


# The others are made by the tests above or differ from these by sizes only.
USUAL = {"aortic_stenosis", "avsd", "dorv", "tetralogy"}


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in sorted(variants())]
)
def test_every_variant_has_seven_regions_in_one_piece_each(name):
    label = make_label_map("congenital-mild", 4, variant=name, spacing_mm=1.2)
    for region in anatomy.regions():
        assert ndimage.label(label.array == region.label)[1] == 1, region.key


def test_sites_name_known_variants_and_the_congenital_ones_span_infants_to_adults():
    assert list(sites()) == ["adult", "congenital-mild", "congenital-severe"]
    for each in sites().values():
        assert set(each.variants) <= set(variants())
    assert site("CT34MC").name == "congenital-severe"
    assert site("ct20").name == "adult"
    assert site("ct34lc").age_years == pytest.approx((1 / 12, 21), abs=0.01)
