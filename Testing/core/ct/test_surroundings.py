"""The thorax that the simulator puts around a heart."""

import numpy as np
import pytest

from FedSimCore.anatomy import region, regions
from FedSimCore.ct.materials import tissues
from FedSimCore.ct.surroundings import structures, surround, surrounding_tissues
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume

GRID = Grid.centered(64, 2.5, (5, -10, 20))


@pytest.fixture(scope="module")
def heart():
    """Seven balls where an adult's chambers and vessels lie."""
    balls = {
        "myo": ((-25, 0, -10), 38), "lv": ((-25, 0, -10), 27), "rv": ((10, 30, -8), 26), "la": ((2, -35, 20), 22),
        "ra": ((38, 2, 5), 24), "ao": ((16, 2, 45), 15), "pa": ((-8, 22, 42), 14),
    }  # fmt: skip
    points = GRID.to_world(np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1)) - GRID.center_mm
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for key, (center, radius) in balls.items():
        labels[np.linalg.norm(points - np.array(center), axis=-1) < radius] = region(key).label
    return Volume(labels, GRID)


@pytest.fixture(scope="module")
def body(heart):
    return surround(heart, "thorax", seed=1)


def label_of(key):
    return next(s.label for s in structures() if s.key == key)


def middle(volume, key):
    """Middle of a structure, RAS mm."""
    return volume.grid.to_world(np.argwhere(volume.array == label_of(key))).mean(axis=0)


def test_the_seven_regions_stay_as_they_were(heart, body):
    np.testing.assert_array_equal(np.where(body.inner.array <= 7, body.inner.array, 0), heart.array)
    assert body.inner.grid.same_as(heart.grid)


def test_every_label_has_a_tissue_that_ships_and_none_is_a_regions_label():
    assert set(surrounding_tissues().values()) <= set(tissues())
    assert not {s.label for s in structures()} & {r.label for r in regions()}


def test_nothing_around_the_heart_is_vacuum(body):
    inside = body.inner.array[16:-16, 16:-16, 16:-16]
    assert (inside > 0).all()


def test_organs_lie_where_a_radiologist_looks_for_them(heart, body):
    center = heart.grid.to_world(np.argwhere(heart.array > 0)).mean(axis=0)
    spine, sternum_side = middle(body.outer, "spinal_canal"), middle(body.outer, "skin")
    liver, stomach = middle(body.outer, "liver"), middle(body.outer, "stomach")
    descending, oesophagus = middle(body.inner, "descending_aorta"), middle(body.inner, "oesophagus")
    cava = middle(body.inner, "superior_vena_cava")
    left_atrium = heart.grid.to_world(np.argwhere(heart.array == region("la").label))
    assert spine[1] < center[1] - 60  # behind
    assert abs(spine[0] - sternum_side[0]) < 5  # in the middle of the body
    assert center[0] < spine[0]  # heart to the left
    assert liver[0] > spine[0] > stomach[0]
    assert liver[2] < center[2] > stomach[2]
    assert descending[0] < spine[0]
    assert oesophagus[1] < left_atrium[:, 1].mean()
    assert spine[1] < oesophagus[1]
    assert cava[0] > spine[0]
    assert cava[2] > center[2]


def test_walls_of_two_to_four_millimetres_surround_the_chambers_that_have_none(heart, body):
    wall = body.inner.array == label_of("wall")
    grown = np.zeros_like(wall)
    atrium = heart.array == region("ra").label
    for axis in range(3):
        for shift in (-1, 1):
            grown |= np.roll(atrium, shift, axis)
    shell = grown & (heart.array == 0)
    assert (wall & shell).sum() > 0.7 * shell.sum()


def test_the_coarse_body_wraps_the_fine_grid_and_its_borders_coincide(body):
    inner, outer = body.inner.grid, body.outer.grid
    low, high = outer.to_index(inner.to_world([[-0.5] * 3, [63.5] * 3]))
    np.testing.assert_allclose((low + 0.5) % 1, 0, atol=1e-6)
    np.testing.assert_allclose((high + 0.5) % 1, 0, atol=1e-6)
    assert (low > 5).all()
    assert (body.outer.array[0] == 0).all()
    assert (body.outer.array[:, 0] == 0).all()


def test_a_seed_is_a_person(heart, body):
    np.testing.assert_array_equal(surround(heart, "thorax", seed=1).inner.array, body.inner.array)
    assert (surround(heart, "thorax", seed=2).inner.array != body.inner.array).any()


def test_a_child_has_a_smaller_chest(heart):
    small = Grid(GRID.shape, GRID.affine @ np.diag([0.5, 0.5, 0.5, 1.0]))
    child = surround(Volume(heart.array, small), "thorax", seed=1)

    def width(body):
        across = np.argwhere((body.outer.array > 0).any(axis=(1, 2)))[:, 0]
        return np.ptp(across) * body.outer.grid.spacing_mm[0]

    assert width(child) == pytest.approx(0.5 * width(surround(heart, "thorax", seed=1)), rel=0.06)


def test_fat_and_vacuum_are_there_to_choose(heart):
    fat = surround(heart, "fat")
    assert fat.outer is None
    assert fat.inner.array[2, 32, 32] == label_of("mediastinal_fat")
    assert fat.inner.array[1, 1, 32] == 0
    bare = surround(heart, "none")
    np.testing.assert_array_equal(bare.inner.array, heart.array)


def test_a_heart_without_great_vessels_still_gets_a_thorax(heart):
    chambers = np.where(np.isin(heart.array, [1, 2, 3]), heart.array, 0).astype(np.uint8)
    body = surround(Volume(chambers, heart.grid), "thorax")
    assert (body.inner.array == label_of("lung")).sum() > 1000


def test_an_empty_label_map_is_refused():
    with pytest.raises(InputError, match="there is no heart to put a thorax around"):
        surround(Volume(np.zeros(GRID.shape, dtype=np.uint8), GRID))
