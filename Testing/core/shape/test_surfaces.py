import numpy as np
import pytest
import trimesh

from FedSimCore.shape.surfaces import (
    closed_surface,
    enclosed_centroid_mm,
    enclosed_volume_mm3,
    isosurface,
    mean_surface_distance_mm,
    solid,
    surface_area,
    vertex_normals,
)
from FedSimCore.volumes import Grid

CENTRE = np.array([7.0, -3.0, 11.0])


def a_flipped_grid_with_thick_slices() -> Grid:
    affine = np.diag([-0.8, 1.0, 1.5, 1.0])
    affine[:3, 3] = (40, -38, -28)
    return Grid((84, 72, 54), affine)


def distance_to_centre(grid: Grid) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    return np.linalg.norm(grid.to_world(ijk) - CENTRE, axis=-1)


@pytest.mark.parametrize("grid", [Grid.centered(60, 1.0, CENTRE), a_flipped_grid_with_thick_slices()])
def test_a_ball_of_voxels_becomes_a_sphere_looking_outward(grid):
    vertices, faces = closed_surface(distance_to_centre(grid) < 20, grid)
    sphere = trimesh.Trimesh(vertices, faces, process=False)
    assert sphere.is_watertight
    assert sphere.is_winding_consistent
    assert enclosed_volume_mm3(vertices, faces) == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.005)
    radius = np.linalg.norm(vertices - CENTRE, axis=1)
    assert np.abs(radius - 20).mean() < 0.1
    outward = np.einsum("nd,nd->n", vertex_normals(vertices, faces), vertices - CENTRE)
    assert (outward > 0).all()


def test_a_solid_at_the_border_of_its_map_is_still_closed():
    vertices, faces = closed_surface(np.ones((5, 6, 7), dtype=bool), Grid.centered((5, 6, 7), 2.0))
    assert trimesh.Trimesh(vertices, faces, process=False).is_watertight
    assert enclosed_volume_mm3(vertices, faces) == pytest.approx(5 * 6 * 7 * 8, rel=0.15)


def test_an_isosurface_lies_where_the_field_is_zero():
    grid = a_flipped_grid_with_thick_slices()
    vertices, faces = isosurface(distance_to_centre(grid) - 17, grid)
    np.testing.assert_allclose(np.linalg.norm(vertices - CENTRE, axis=1), 17, atol=0.05)
    assert enclosed_volume_mm3(vertices, faces) > 0


def test_volume_centroid_and_area_are_trimeshs():
    box = trimesh.creation.box((3, 4, 5))
    box.apply_translation((10, 20, 30))
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces)
    assert enclosed_volume_mm3(vertices, faces) == pytest.approx(60)
    np.testing.assert_allclose(enclosed_centroid_mm(vertices, faces), (10, 20, 30))
    assert surface_area(vertices, faces) == pytest.approx(box.area)


def test_two_concentric_spheres_are_as_far_apart_as_their_radii():
    inner, outer = (trimesh.creation.icosphere(4, r) for r in (10.0, 12.5))
    found = mean_surface_distance_mm((inner.vertices, inner.faces), (outer.vertices, outer.faces))
    assert found == pytest.approx(2.5, abs=0.03)


def test_the_solid_of_the_myocardium_contains_the_blood_pool():
    labels = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(solid(labels, 2), [False, True, True, False])
    np.testing.assert_array_equal(solid(labels, 1), [False, True, False, False])
