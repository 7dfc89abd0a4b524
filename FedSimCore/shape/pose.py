"""Poses as tensors: rotation vectors and similarity transforms."""

from __future__ import annotations

import torch

POSE_SIZE = 7
"""Rotation vector (3), translation (3), scale (1)."""


def rotation_matrix(rotation: torch.Tensor) -> torch.Tensor:
    """Return the rotations (B, 3, 3) of rotation vectors (B, 3) in radians, differentiable everywhere."""
    x, y, z = rotation.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotation.shape[:-1], 3, 3)
    return torch.linalg.matrix_exp(skew)


def apply_pose(points: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
    """Move points (B, V, 3) by poses (B, 7): ``x -> scale * R(rotation) x + translation``."""
    rotation = rotation_matrix(pose[:, :3])
    return torch.baddbmm(pose[:, None, 3:6], points, (pose[:, 6, None, None] * rotation).mT)
