"""Similarity transforms between corresponding points, and the mean of many shapes.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991;
Gower, "Generalized Procrustes analysis", Psychometrika 1975.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from FedSimCore.shape.parameters import Pose

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map ``x -> scale * rotation @ x + translation``.

    Attributes:
        rotation: (3, 3) proper rotation.
        translation: (3,) mm.
        scale: unitless, positive.
    """

    rotation: Array
    translation: Array
    scale: float

    def __call__(self, points: Array) -> Array:
        """Map points (..., 3)."""
        return self.scale * points @ self.rotation.T + self.translation

    def inverse(self) -> Similarity:
        """Return the inverse map."""
        scale = 1 / self.scale
        return Similarity(self.rotation.T, -scale * self.translation @ self.rotation, scale)

    def after(self, first: Similarity) -> Similarity:
        """Return the map that applies ``first`` and then this one."""
        return Similarity(self.rotation @ first.rotation, self(first.translation), self.scale * first.scale)

    def matrix(self) -> Array:
        """Return the homogeneous matrix (4, 4)."""
        result = np.eye(4)
        result[:3, :3] = self.scale * self.rotation
        result[:3, 3] = self.translation
        return result

    def pose(self) -> Pose:
        """Return the same map as pose parameters."""
        rotation = Rotation.from_matrix(self.rotation).as_rotvec()
        return Pose(
            rotation_rad=(float(rotation[0]), float(rotation[1]), float(rotation[2])),
            translation_mm=(float(self.translation[0]), float(self.translation[1]), float(self.translation[2])),
            scale=float(self.scale),
        )

    @classmethod
    def from_pose(cls, pose: Pose) -> Similarity:
        """Return the map a pose stands for."""
        rotation = Rotation.from_rotvec(pose.rotation_rad).as_matrix()
        return cls(rotation, np.array(pose.translation_mm), pose.scale)


def align(source: Array, target: Array, weights: Array | None = None, scale: float | None = None) -> Similarity:
    """Return the similarity that takes ``source`` to ``target`` with the least squared distance.

    Args:
        source: (n, 3) points, mm.
        target: (n, 3) points, mm.
        weights: (n,) weight of each pair; all alike by default.
        scale: fixed scale; estimated by default.
    """
    w = np.full(len(source), 1 / len(source)) if weights is None else weights / weights.sum()
    source_mean, target_mean = w @ source, w @ target
    centred = source - source_mean
    covariance = (w[:, None] * (target - target_mean)).T @ centred
    left, singular, right = np.linalg.svd(covariance)
    mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])  # never a reflection
    rotation = (left * mirror) @ right
    if scale is None:
        scale = float(singular @ mirror / (w @ (centred**2).sum(1)))
    return Similarity(rotation, target_mean - scale * rotation @ source_mean, scale)


@dataclass(frozen=True, eq=False)
class AlignedShapes:
    """Shapes with their pose taken off.

    Attributes:
        mean: (V, 3) mean shape, mm; its centroid is the origin, its orientation the mean of the cases'.
        shapes: (N, V, 3) shapes in the frame of the mean, mm.
        poses: N similarities that put the shapes back where they were.
    """

    mean: Array
    shapes: Array
    poses: list[Similarity]


def generalised_procrustes(vertices: Array, iterations: int = 20, tolerance_mm: float = 1e-6) -> AlignedShapes:
    """Align N shapes in correspondence to their common mean by similarity transforms.

    The frame is fixed so that the poses' mean rotation is the identity and the geometric mean of their scales
    is 1: the mean shape lies as the average patient does and has the average size.

    Args:
        vertices: (N, V, 3) RAS mm.
        iterations: at most this many rounds of aligning and averaging.
        tolerance_mm: stop when the mean moves less than this (root mean square).
    """
    mean = vertices[0] - vertices[0].mean(0)
    size = np.linalg.norm(mean)
    to_mean: list[Similarity] = []
    for _ in range(iterations):
        to_mean = [align(shape, mean) for shape in vertices]
        new = np.mean([map_(shape) for map_, shape in zip(to_mean, vertices, strict=True)], axis=0)
        new -= new.mean(0)
        new *= size / np.linalg.norm(new)
        change = float(np.sqrt(((new - mean) ** 2).sum(1).mean()))
        mean = new
        if change < tolerance_mm:
            break
    poses = [map_.inverse() for map_ in to_mean]
    turn = Rotation.from_matrix(np.stack([pose.rotation for pose in poses])).mean().as_matrix()
    scale = float(np.exp(np.mean([np.log(pose.scale) for pose in poses])))
    frame = Similarity(turn, np.zeros(3), scale)  # from the working frame to the one the docstring promises
    back = frame.inverse()
    shapes = np.stack([frame(map_(shape)) for map_, shape in zip(to_mean, vertices, strict=True)])
    return AlignedShapes(shapes.mean(0), shapes, [pose.after(back) for pose in poses])
