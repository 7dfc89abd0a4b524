"""Whether slices fit together, on volumes whose jumps are known."""

import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.evaluation.slice_jumps import compare_jumps, heart_jumps, slice_jumps
from FedSimCore.volumes import Grid, Volume

GRID = Grid.centered(32, 2.0)
SIZES = GRID.shape


def volume(array):
    return Volume(np.broadcast_to(array, SIZES).astype(np.float32), GRID)


def noisy(sd, seed=0, offset_sd=0.0):
    """White noise, and slices whose brightness varies."""
    rng = np.random.default_rng(seed)
    return volume(rng.normal(0, sd, SIZES) + rng.normal(0, offset_sd, 32))


def ball():
    i, j, k = np.indices(SIZES) - 15.5
    return np.sqrt(i**2 + j**2 + k**2) < 12


def test_a_ramp_jumps_by_its_slope_and_has_no_bands():
    i, j, k = np.indices(SIZES)
    jumps = slice_jumps(volume(7.0 * k + 2 * i - 4 * j))
    assert jumps.through_hu == pytest.approx(7)
    assert jumps.within_hu == pytest.approx(3)
    assert jumps.ratio == pytest.approx(7 / 3)
    assert jumps.banding_hu == pytest.approx(0, abs=1e-4)


def test_what_bends_along_the_axis_is_banded_by_its_second_difference():
    i, _, k = np.indices(SIZES)
    assert slice_jumps(volume(1.5 * k**2 + 30.0 * i)).banding_hu == pytest.approx(3, abs=1e-3)


def test_white_noise_jumps_alike_in_all_directions():
    # |X - Y| of two normal variables has the mean 2 sd / sqrt(pi).
    jumps = slice_jumps(noisy(20))
    assert jumps.through_hu == pytest.approx(40 / np.sqrt(np.pi), rel=0.02)
    assert jumps.ratio == pytest.approx(1, abs=0.02)


def test_slices_of_varying_brightness_are_banded_by_it_alone():
    # A second difference of normal offsets has root 6 times their deviation; noise is averaged over 64 voxels.
    many = [slice_jumps(noisy(20, seed, offset_sd=10)) for seed in range(20)]
    deviation = np.sqrt(6 * (10**2 + (20 / 8) ** 2))
    assert np.mean([j.banding_hu for j in many]) == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.1)
    assert np.mean([j.within_hu for j in many]) == pytest.approx(40 / np.sqrt(np.pi), rel=0.02)
    assert np.mean([j.ratio for j in many]) > 1.1


def test_patches_that_jump_are_seen_though_the_whole_slices_mean_does_not():
    k = np.indices(SIZES)[2]
    checker = np.where((np.indices(SIZES)[0] < 16) ^ (k % 2 == 0), 10.0, -10.0)
    jumps = slice_jumps(volume(checker))
    assert np.allclose(checker.mean((0, 1)), 0)
    assert jumps.banding_hu > 30


def test_only_pairs_with_both_voxels_in_the_region_count():
    heart = ball()
    image = volume(np.where(heart, 100.0 * (np.indices(SIZES)[2] % 2), 5000.0 * (np.indices(SIZES)[2] % 2)))
    jumps = heart_jumps(image, Volume(heart.astype(np.uint8) * 3, GRID))
    assert jumps.inside.through_hu == pytest.approx(100)
    assert jumps.outside.through_hu == pytest.approx(5000)
    assert jumps.inside.within_hu == 0
    assert jumps.inside.banding_hu == pytest.approx(200, rel=1e-5)
    assert jumps.outside.banding_hu == pytest.approx(10_000, rel=1e-5)


def test_comparing_tells_how_much_worse_generated_slices_fit_with_an_interval():
    heart = Volume(ball().astype(np.uint8), GRID)
    real = [heart_jumps(noisy(20, seed), heart) for seed in range(6)]
    generated = [heart_jumps(noisy(30, 100 + seed, offset_sd=15), heart) for seed in range(6)]
    compared = compare_jumps(generated, real)
    assert set(compared) == {f"{a}.{b}_hu" for a in ("inside", "outside") for b in ("through", "within", "banding")}
    within = compared["inside.within_hu"]
    assert within.ratio == pytest.approx(1.5, rel=0.03)
    assert within.low <= within.ratio <= within.high
    assert within.high < 1.6
    assert compared["inside.banding_hu"].low > 2
    assert compared["inside.through_hu"].ratio > within.ratio
    same = compare_jumps(real, real)["outside.through_hu"]
    assert same.ratio == 1
    assert same.low <= 1 <= same.high
    assert compare_jumps(generated, real) == compared


def test_too_little_heart_other_grids_and_no_volumes_are_refused():
    image = noisy(1)
    with pytest.raises(InputError, match="too small"):
        slice_jumps(image, np.zeros(SIZES, bool))
    with pytest.raises(InputError, match=r"The region is \(3, 3, 3\)"):
        slice_jumps(image, np.ones((3, 3, 3), bool))
    with pytest.raises(InputError, match="different grids"):
        heart_jumps(image, Volume(ball(), Grid.centered(32, 1.0)))
    with pytest.raises(InputError, match="at least one generated and one real"):
        compare_jumps([], [])
