"""The heart's surface: closed triangle meshes, one for each region, in one array of vertices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError


@dataclass(frozen=True, eq=False)
class Topology:
    """What stays the same when a heart changes shape.

    Each region is a closed, consistently oriented surface of its own: no vertex belongs to two
    regions. The myocardium's surface is the epicardium of the left ventricle and encloses the blood
    pool too; the label map makes a shell of it because the pool has priority.

    Attributes:
        faces: (F, 3) int64 vertex indices, counter-clockwise seen from outside.
        face_region: (F,) uint8 label value of each face's region.

    Raises:
        InputError: the arrays do not fit each other.
    """

    faces: NDArray[np.int64]
    face_region: NDArray[np.uint8]

    def __post_init__(self) -> None:
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        face_region = np.ascontiguousarray(self.face_region, dtype=np.uint8)
        if faces.ndim != 2 or faces.shape[1:] != (3,) or face_region.shape != faces.shape[:1] or not len(faces):
            raise InputError(f"Faces {faces.shape} and their regions {face_region.shape} are not (F, 3) and (F,).")
        if faces.min() < 0:
            raise InputError("A face names a negative vertex index.")
        object.__setattr__(self, "faces", faces)
        object.__setattr__(self, "face_region", face_region)

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Label values of the regions that have faces, ascending."""
        return tuple(int(v) for v in np.unique(self.face_region))

    @cached_property
    def vertex_count(self) -> int:
        """Number of vertices the faces refer to."""
        return int(self.faces.max()) + 1

    @cached_property
    def vertex_region(self) -> NDArray[np.uint8]:
        """(V,) label value of each vertex's region."""
        result = np.zeros(self.vertex_count, dtype=np.uint8)
        result[self.faces] = self.face_region[:, None]
        return result

    @cached_property
    def open_edges(self) -> dict[int, int]:
        """Number of edges by region label that are not shared by oppositely oriented faces.

        Empty if every region is a closed, consistently oriented surface.
        """
        ends = self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        forward = np.where(ends[:, 0] < ends[:, 1], 1, -1)
        key = np.column_stack((np.sort(ends, axis=1), np.repeat(self.face_region, 3)))[ends[:, 0] != ends[:, 1]]
        edges, edge_of = np.unique(key, axis=0, return_inverse=True)
        balance = np.zeros(len(edges), dtype=np.int64)
        np.add.at(balance, edge_of.reshape(-1), forward[ends[:, 0] != ends[:, 1]])
        labels, counts = np.unique(edges[balance != 0, 2], return_counts=True)
        return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


@dataclass(frozen=True, eq=False)
class HeartMesh:
    """A heart: vertices in RAS millimetres over a topology.

    Attributes:
        vertices: (V, 3) float64, RAS mm.
        topology: faces and their regions.
    """

    vertices: NDArray[np.float64]
    topology: Topology

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        if vertices.shape != (self.topology.vertex_count, 3):
            raise InputError(
                f"The mesh has vertices {vertices.shape} but its faces need ({self.topology.vertex_count}, 3)."
            )
        object.__setattr__(self, "vertices", vertices)

    def surface(self, label: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return one region's closed surface as its own vertices (v, 3) and faces (f, 3)."""
        faces = self.topology.faces[self.topology.face_region == label]
        used, compact = np.unique(faces, return_inverse=True)
        return self.vertices[used], compact.reshape(-1, 3)

    def trimesh(self, label: int) -> Any:
        """Return one region's surface as a ``trimesh.Trimesh`` (unprocessed, same vertex order)."""
        import trimesh

        vertices, faces = self.surface(label)
        return trimesh.Trimesh(vertices, faces, process=False)
