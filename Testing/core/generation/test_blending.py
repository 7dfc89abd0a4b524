"""Blending against analytic solutions."""

import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.generation.blending import EDGE_VOXELS, alpha_blend, blended, poisson_blend

SHAPE = (24, 26, 22)
X, Y, Z = (axis - size / 2 for axis, size in zip(np.indices(SHAPE), SHAPE, strict=True))
BALL = (np.sqrt(X**2 + Y**2 + Z**2) < 9)[...]
LATTICE_HARMONIC = {
    "x2 - y2": X**2 - Y**2,
    "x2 + y2 - 2 z2": X**2 + Y**2 - 2 * Z**2,
    "x y z": X * Y * Z / 10,
    "plane": 3 * X - 2 * Y + Z + 100,
}


@pytest.mark.parametrize("name", LATTICE_HARMONIC)
def test_a_flat_heart_in_a_harmonic_background_becomes_the_background(name):
    """These polynomials are harmonic also on the lattice of six neighbours, so the solution is exact."""
    background = LATTICE_HARMONIC[name].astype(np.float32)
    made = poisson_blend(np.full(SHAPE, 70, dtype=np.float32), background, BALL)
    np.testing.assert_allclose(made, background, atol=2e-3)


def test_a_heart_brighter_by_a_constant_is_brought_to_the_background_with_its_texture():
    texture = np.random.default_rng(0).normal(0, 30, SHAPE).astype(np.float32)
    made = poisson_blend(texture + 200, texture, BALL)
    np.testing.assert_allclose(made, texture, atol=2e-3)


def test_the_hearts_laplacian_stays_and_nothing_outside_changes():
    rng = np.random.default_rng(1)
    heart, background = (rng.normal(0, 50, SHAPE).astype(np.float32) for _ in range(2))
    made = poisson_blend(heart, background, BALL)
    np.testing.assert_array_equal(made[~BALL], background[~BALL])
    inside = np.zeros(SHAPE, dtype=bool)
    inside[1:-1, 1:-1, 1:-1] = BALL[1:-1, 1:-1, 1:-1]
    for axis in range(3):
        inside &= np.roll(BALL, 1, axis) & np.roll(BALL, -1, axis)

    def laplacian(image):
        return sum(np.roll(image, step, axis) for axis in range(3) for step in (1, -1)) - 6 * image

    np.testing.assert_allclose(laplacian(made)[inside], laplacian(heart)[inside], atol=2e-2)


def test_at_the_grids_faces_no_flux_passes():
    slab = np.zeros(SHAPE, dtype=bool)
    slab[:10] = True
    background = np.broadcast_to(np.float32(5), SHAPE)
    made = poisson_blend(np.full(SHAPE, 300, dtype=np.float32), background, slab)
    np.testing.assert_allclose(made, 5, atol=1e-4)


def test_alpha_falls_from_1_to_0_across_the_border_and_is_a_half_on_it():
    half_space = np.broadcast_to((np.arange(24) < 12)[:, None, None], SHAPE)
    made = alpha_blend(np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32), half_space)[:, 5, 5]
    expected = (0.5 + (11.5 - np.arange(24)) / EDGE_VOXELS).clip(0, 1)
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_images_that_do_not_fit_and_hearts_without_a_background_are_refused():
    image = np.zeros(SHAPE, np.float32)
    with pytest.raises(InputError, match="cannot be blended"):
        blended("alpha", image, image[1:], BALL)
    with pytest.raises(InputError, match="leaves no background"):
        blended("poisson", image, image, np.ones(SHAPE, dtype=bool))
