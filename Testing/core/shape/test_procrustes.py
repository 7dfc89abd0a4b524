import numpy as np
from scipy.spatial.transform import Rotation

from FedSimCore.shape.procrustes import Similarity, align, generalised_procrustes


def a_similarity(rng: np.random.Generator) -> Similarity:
    return Similarity(Rotation.random(random_state=rng).as_matrix(), rng.normal(0, 50, 3), float(rng.uniform(0.5, 2)))


def test_align_finds_the_similarity_that_moved_the_points():
    rng = np.random.default_rng(0)
    points, truth = rng.normal(0, 30, (40, 3)), a_similarity(rng)
    found = align(points, truth(points))
    np.testing.assert_allclose(found.matrix(), truth.matrix(), atol=1e-9)


def test_align_turns_as_scipy_does_and_never_mirrors():
    rng = np.random.default_rng(1)
    source = rng.normal(size=(20, 3))
    target = source * [1, 1, -1] + 0.1 * rng.normal(size=(20, 3))
    weights = rng.uniform(0.1, 1, 20)
    found = align(source, target, weights, scale=1.0)
    w = weights / weights.sum()
    expected, _ = Rotation.align_vectors(target - w @ target, source - w @ source, weights)
    np.testing.assert_allclose(found.rotation, expected.as_matrix(), atol=1e-8)
    assert np.linalg.det(found.rotation) > 0


def test_a_similarity_after_its_inverse_moves_nothing():
    rng = np.random.default_rng(2)
    first, second = a_similarity(rng), a_similarity(rng)
    points = rng.normal(size=(5, 3))
    np.testing.assert_allclose(first.after(second)(points), first(second(points)))
    np.testing.assert_allclose(first.after(first.inverse())(points), points, atol=1e-12)
    np.testing.assert_allclose(Similarity.from_pose(first.pose())(points), first(points), atol=1e-9)


def test_one_shape_in_many_poses_has_no_variation_left_once_aligned():
    rng = np.random.default_rng(3)
    shape = rng.normal(0, 30, (50, 3))
    posed = np.stack([a_similarity(rng)(shape) for _ in range(6)])
    aligned = generalised_procrustes(posed)
    assert np.ptp(aligned.shapes, axis=0).max() < 1e-9
    for pose, original in zip(aligned.poses, posed, strict=True):
        np.testing.assert_allclose(pose(aligned.mean), original, atol=1e-8)


def test_the_frame_has_the_cases_mean_orientation_and_size():
    rng = np.random.default_rng(4)
    shape = rng.normal(0, 30, (50, 3))
    turns = Rotation.from_rotvec(rng.normal((0.5, 0, 0), 0.2, (8, 3)))
    scales = rng.uniform(0.7, 1.4, 8)
    posed = np.stack([Similarity(t.as_matrix(), np.ones(3), s)(shape) for t, s in zip(turns, scales, strict=True)])
    aligned = generalised_procrustes(posed)
    mean_turn = Rotation.from_matrix(np.stack([pose.rotation for pose in aligned.poses])).mean()
    assert mean_turn.magnitude() < 1e-6
    np.testing.assert_allclose(np.prod([pose.scale for pose in aligned.poses]), 1, rtol=1e-9)
    np.testing.assert_allclose(aligned.mean.mean(0), 0, atol=1e-9)
