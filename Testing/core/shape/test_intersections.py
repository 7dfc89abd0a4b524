import numpy as np
import pytest
import trimesh

from FedSimCore.shape.intersections import inverted_faces, self_intersecting_faces


def a_sphere(subdivisions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    sphere = trimesh.creation.icosphere(subdivisions, 10.0)
    return np.asarray(sphere.vertices), np.asarray(sphere.faces)


def test_a_sphere_does_not_cut_itself_and_has_no_inverted_face():
    vertices, faces = a_sphere()
    assert not self_intersecting_faces(vertices, faces).any()
    assert not inverted_faces(vertices, faces, vertices).any()


def test_a_vertex_pushed_through_the_far_side_cuts_it():
    vertices, faces = a_sphere()
    pushed = vertices.copy()
    pushed[0] *= -1.3
    cut = self_intersecting_faces(pushed, faces)
    assert 6 <= cut.sum() <= 60
    assert cut[(faces == 0).any(1)].all()


@pytest.mark.parametrize("seed", range(4))
def test_libigl_finds_the_same_faces_where_noise_folds_a_surface(seed):
    vertices, faces = a_sphere(2)
    noisy = vertices + np.random.default_rng(seed).normal(0, 1.3, vertices.shape)
    found = self_intersecting_faces(noisy, faces)
    pairs = _igl_pairs(noisy, faces)
    # libigl also counts faces that share one vertex and cut; ours leaves neighbours to `inverted_faces`.
    apart = [(a, b) for a, b in pairs if not set(faces[a]) & set(faces[b])]
    expected = np.zeros(len(faces), dtype=bool)
    expected[np.array(apart).ravel()] = True
    assert expected.sum() > 20
    np.testing.assert_array_equal(found, expected)


def _igl_pairs(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    from igl.copyleft import cgal

    return np.asarray(cgal.remesh_self_intersections(vertices, faces, detect_only=True)[2])


def test_a_face_turned_over_among_its_neighbours_is_inverted():
    vertices, faces = a_sphere()
    folded = vertices.copy()
    a, b, c = faces[100]
    folded[a] += 1.6 * ((vertices[b] + vertices[c]) / 2 - vertices[a])
    assert inverted_faces(folded, faces, vertices)[100]


def test_a_turned_or_stretched_surface_has_no_inverted_face():
    vertices, faces = a_sphere()
    turn = trimesh.transformations.rotation_matrix(2.5, [1, 2, 3])[:3, :3]
    assert not inverted_faces(vertices @ turn.T * [1.0, 2.0, 0.5], faces, vertices).any()
