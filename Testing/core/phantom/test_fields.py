"""Implicit shapes, smooth noise and interpolation against analysis and SciPy."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.interpolate import BSpline

from FedSimCore.cohorts.phantom.artefacts import streaks
from FedSimCore.cohorts.phantom.fields import capsule, cut, ellipsoid, half_space, intersection, occupancy, tube, union
from FedSimCore.cohorts.phantom.patient import CHEST_EXTENT_MM, WARP_MM
from FedSimCore.cohorts.phantom.warp import Deformation, SmoothNoise, block_of, interpolated, mesh, spaced, within

EXTENT = ((-40.0, 40.0), (-35.0, 45.0), (-30.0, 50.0))


def volume(field, spacing):
    return float(occupancy(field, spacing).sum()) * spacing**3


def test_an_ellipsoid_has_its_volume_and_the_distance_of_a_sphere_is_exact():
    axes = spaced(EXTENT, 1.0)
    assert volume(ellipsoid(mesh(axes), (1, 2, 3), (20, 15, 10)), 1.0) == pytest.approx(
        4 / 3 * np.pi * 20 * 15 * 10, rel=0.01
    )
    points = np.array([[5.0, 30], [0, 0], [0, 0]], dtype=np.float32).reshape(3, 2, 1, 1)
    np.testing.assert_allclose(ellipsoid(points, (0, 0, 0), (12, 12, 12)).ravel(), (-7, 18), atol=1e-4)


def test_a_capsule_is_a_cylinder_with_half_spheres():
    field = capsule(mesh(spaced(EXTENT, 1.0)), (-20, 0, 0), (20, 0, 0), 8)
    assert volume(field, 1.0) == pytest.approx(np.pi * 64 * 40 + 4 / 3 * np.pi * 512, rel=0.01)


def test_a_tube_follows_a_ring():
    angle = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([20 * np.cos(angle), 20 * np.sin(angle) + 5, 0 * angle + 5], axis=1)
    field = tube(mesh(spaced(EXTENT, 1.0)), ring, 5.0)
    assert volume(field, 1.0) == pytest.approx(2 * np.pi**2 * 20 * 25, rel=0.01)


def test_set_operations_keep_and_remove_what_they_should():
    points = mesh(spaced(EXTENT, 1.0))
    ball, plane = capsule(points, (0, 0, 0), (0, 0, 0), 12), half_space(points, (0, 0, 0), (0, 0, 1))
    whole = volume(ball, 1.0)
    assert volume(intersection(ball, plane), 1.0) == pytest.approx(whole / 2, rel=0.02)
    assert volume(cut(ball, plane), 1.0) == pytest.approx(whole / 2, rel=0.02)
    other = capsule(points, (18, 0, 0), (18, 0, 0), 12)
    sharp, blended = volume(union(ball, other), 1.0), volume(union(ball, other, 6), 1.0)
    assert whole < sharp < blended < 2 * whole


def test_smooth_noise_has_unit_variance_and_is_the_same_on_any_lattice():
    noise = SmoothNoise.draw(((0, 200), (0, 200), (0, 200)), 10.0, np.random.default_rng(0))
    coarse, fine = (spaced(((20, 180), (20, 180), (20, 180)), mm) for mm in (4.0, 2.0))
    assert noise.on(coarse).mean() == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(noise.on(fine)[::2, ::2, ::2], noise.on(coarse), atol=1e-4)


def test_smooth_noise_is_a_cubic_b_spline():
    noise = SmoothNoise(np.zeros(3), 1.0, np.random.default_rng(1).normal(size=(9, 1, 1)) * np.ones((9, 9, 9)))
    x = np.linspace(0.5, 4, 8, dtype=np.float32)
    spline = BSpline(np.arange(-3.5, 9.5), noise.knots[:, 0, 0], 3)
    middle = np.array([2.0], dtype=np.float32)
    np.testing.assert_allclose(noise.on((x, middle, middle)).ravel(), spline(x), atol=1e-5)


def test_the_deformation_of_a_patient_never_folds():
    for seed in range(3):
        deformation = Deformation.draw(CHEST_EXTENT_MM, WARP_MM, np.random.default_rng(seed))
        moved = deformation.moved(spaced(((-70, 110), (-80, 80), (-60, 100)), 4.0)).astype(float)
        jacobian = np.stack([np.stack(np.gradient(component, 4.0), -1) for component in moved], -2)
        assert np.linalg.det(jacobian).min() > 0.2


def test_interpolation_agrees_with_scipy():
    rng = np.random.default_rng(2)
    coarse = tuple(np.linspace(0, 10, n, dtype=np.float32) for n in (6, 5, 11))
    fine = tuple(np.sort(rng.uniform(0, 10, 7)).astype(np.float32) for _ in range(3))
    field = rng.normal(size=(6, 5, 11)).astype(np.float32)
    index = [(f - c[0]) / (c[1] - c[0]) for f, c in zip(fine, coarse, strict=True)]
    expected = ndimage.map_coordinates(field, np.meshgrid(*index, indexing="ij"), order=1)
    np.testing.assert_allclose(interpolated(field, coarse, fine), expected, atol=1e-5)


def test_a_block_holds_the_whole_shape_and_little_else():
    coarse, fine = spaced(EXTENT, 4.0), spaced(EXTENT, 1.0)
    field = capsule(mesh(coarse), (5, 5, 5), (5, 5, 5), 9)
    block = block_of(field, coarse, fine, 1.0)
    whole, part = interpolated(field, coarse, fine) < 0, interpolated(field, coarse, within(fine, block)) < 0
    assert whole.sum() == part.sum()
    assert part.size < 0.2 * whole.size
    assert block_of(field + 100, coarse, fine, 1.0) is None


def test_streaks_fade_with_distance_and_spare_slices_without_contrast():
    center = np.full((6, 2), 32.0)
    strength = np.array([0, 100, 100, 100, 100, 0.0])
    image = streaks((64, 64, 6), center, strength, np.random.default_rng(0), 5.0)
    assert (image[:, :, [0, 5]] == 0).all()
    distance = np.hypot(*np.meshgrid(np.arange(64) - 32, np.arange(64) - 32, indexing="ij"))
    near, far = (image[:, :, 2][(distance > a) & (distance < a + 4)].std() for a in (6, 24))
    assert near > 1.8 * far
