import numpy as np
import torch
from scipy.spatial.transform import Rotation

from FedSimCore.shape.pose import apply_pose, rotation_matrix
from FedSimCore.shape.pose_statistics import pose_statistics
from FedSimCore.shape.procrustes import Similarity


def test_rotation_matrices_are_scipys_also_for_large_and_no_turns():
    vectors = np.random.default_rng(0).normal(0, 2, (20, 3))
    vectors[0] = 0
    found = rotation_matrix(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


def test_the_gradient_of_a_pose_is_right_even_at_no_rotation():
    points = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pose = torch.tensor([[0, 0, 0, 1, 2, 3, 1], [0.3, -0.2, 0.9, 4, 5, 6, 1.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(apply_pose, (points.requires_grad_(), pose.requires_grad_()))


def test_a_pose_moves_points_as_the_similarity_it_stands_for():
    rng = np.random.default_rng(1)
    similarity = Similarity(Rotation.from_rotvec([0.2, -0.5, 0.1]).as_matrix(), np.array([4.0, 5, -6]), 1.3)
    pose = similarity.pose()
    vector = torch.tensor([[*pose.rotation_rad, *pose.translation_mm, pose.scale]], dtype=torch.float64)
    points = rng.normal(0, 40, (9, 3))
    np.testing.assert_allclose(apply_pose(torch.from_numpy(points)[None], vector)[0], similarity(points), atol=1e-10)


def test_translations_count_from_the_cases_centre():
    poses = [Similarity(np.eye(3), np.array([x, 0.0, 0.0]), s) for x, s in ((101.0, 0.9), (205.0, 1.1))]
    found = pose_statistics(poses, [np.array([100.0, 0, 0]), np.array([200.0, 0, 0])])
    np.testing.assert_allclose(found.translation_mean_mm, (3, 0, 0))
    np.testing.assert_allclose(found.translation_sd_mm, (np.std([1, 5], ddof=1), 0, 0))
    np.testing.assert_allclose(found.log_scale_mean, np.log([0.9, 1.1]).mean())
