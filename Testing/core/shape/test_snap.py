import numpy as np
import trimesh

from FedSimCore.shape.snap import snap
from FedSimCore.shape.surfaces import mean_surface_distance_mm


def test_a_sphere_is_pulled_onto_an_ellipsoid_with_a_bump():
    source = trimesh.creation.icosphere(3, 20.0)
    target = trimesh.creation.icosphere(6, 1.0)
    direction = np.asarray(target.vertices)
    bump = 8 * np.exp(-((direction - [0, 0, 1]) ** 2).sum(1) / 0.03)
    dense = direction * [22, 18, 20] + bump[:, None] * direction
    before = mean_surface_distance_mm((source.vertices, source.faces), (dense, target.faces))
    moved = snap(np.asarray(source.vertices), np.asarray(source.faces), (dense, np.asarray(target.faces)))
    after = mean_surface_distance_mm((moved, source.faces), (dense, target.faces))
    assert before > 0.8
    assert after < 0.1
    assert moved[:, 2].max() > 24  # the narrow tip, at 28 mm, has drawn vertices up from 20 mm


def test_what_already_fits_stays_where_it_is():
    sphere = trimesh.creation.icosphere(4, 20.0)
    vertices, faces = np.asarray(sphere.vertices), np.asarray(sphere.faces)
    moved = snap(vertices, faces, (vertices, faces))
    assert np.linalg.norm(moved - vertices, axis=1).max() < 0.05
