"""A seven-region stand-in for a heart, for tests and benchmarks that must not depend on the built-in model."""

from __future__ import annotations

import numpy as np
import trimesh

from FedSimCore.shape.mesh import HeartMesh, Topology

# Label, centre and half axes in RAS mm: smooth overlapping blobs where the parts of a heart are.
_BLOBS = (
    (1, (-25.0, 5.0, -14.0), (24.0, 26.0, 38.0)),
    (2, (-25.0, 5.0, -16.0), (34.0, 36.0, 47.0)),
    (3, (12.0, 24.0, -14.0), (30.0, 24.0, 38.0)),
    (4, (-8.0, -28.0, 20.0), (30.0, 20.0, 24.0)),
    (5, (34.0, -8.0, 10.0), (22.0, 22.0, 28.0)),
    (6, (6.0, 2.0, 44.0), (14.0, 14.0, 26.0)),
    (7, (-12.0, 18.0, 42.0), (13.0, 16.0, 24.0)),
)


def heart_like_mesh() -> HeartMesh:
    """Return 4,494 vertices and 8,960 faces in seven closed, bumpy, overlapping surfaces."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    direction, triangles = np.asarray(ball.vertices), np.asarray(ball.faces)
    vertices, faces, regions = [], [], []
    for index, (label, center, half_axes) in enumerate(_BLOBS):
        bumps = 1 + 0.07 * np.sin(3 * direction[:, :1] + index) * np.cos(4 * direction[:, 1:2] - index)
        faces.append(triangles + index * len(direction))
        vertices.append(np.asarray(center) + direction * np.asarray(half_axes) * bumps)
        regions.append(np.full(len(triangles), label, dtype=np.uint8))
    return HeartMesh(np.concatenate(vertices), Topology(np.concatenate(faces), np.concatenate(regions)))
