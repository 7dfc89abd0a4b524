"""The shape model in Slicer's own process: NumPy only, fast enough for every move of a slider.

The worker has the same model in torch; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.model_file import read_model
from FedSimCore.shape.parameters import HeartParameters

BUILTIN = "shape/heart.safetensors"
PAPER_MODES = 14
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionPart:
    """Which part of the heart's arrays is one region's.

    Attributes:
        region: the region.
        vertices: (v,) indices into the heart's vertices.
        faces: (f, 3) indices into the region's own vertices.
    """

    region: anatomy.Region
    vertices: NDArray[np.int64]
    faces: NDArray[np.int64]


class HeartSurface:
    """Mean and modes of a model file.

    Attributes:
        checksum: of the file.
        header: limits, statistics of poses, provenance.
        topology: faces and regions.
        parts: the seven regions in the order of their labels.
        explained: (K,) share of the cohort's variance of each mode.

    Args:
        path: a model file; the built-in model by default.

    Raises:
        InputError: the file is missing or damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        arrays, self.header, self.checksum = read_model(path or resource_path(BUILTIN))
        self.topology = Topology(arrays["faces"].astype(np.int64), arrays["face_region"])
        self._mean: Points = arrays["mean"].astype(np.float64)
        eigenvalues = arrays["eigenvalues"].astype(np.float64)
        scaled = arrays["modes"].astype(np.float64) * np.sqrt(eigenvalues)[:, None, None]
        self._modes: Points = scaled.reshape(len(eigenvalues), -1)
        self.explained: NDArray[np.float64] = eigenvalues / self.header.total_variance_mm2
        self.parts = tuple(self._part(region) for region in anatomy.regions())

    @property
    def mode_count(self) -> int:
        """Number of modes in the file."""
        return len(self._modes)

    def mean_heart(self, modes: int = PAPER_MODES) -> HeartParameters:
        """Return the parameters of the mean heart."""
        return HeartParameters(weights=(0.0,) * min(modes, self.mode_count))

    def vertices(self, parameters: HeartParameters) -> Points:
        """Return a heart's vertices (V, 3), RAS mm; as :meth:`FedSimCore.shape.model.ShapeModel.vertices` does.

        Raises:
            InputError: the parameters have more weights than the model has modes.
        """
        count = len(parameters.weights)
        if count > self.mode_count:
            raise InputError(f"The heart has {count} weights, but the model has {self.mode_count} modes.")
        shape = self._mean + (np.asarray(parameters.weights) @ self._modes[:count]).reshape(self._mean.shape)
        pose = parameters.pose
        rotation = Rotation.from_rotvec(pose.rotation_rad).as_matrix()
        return shape @ (pose.scale * rotation.T) + np.asarray(pose.translation_mm)

    def mesh(self, parameters: HeartParameters) -> HeartMesh:
        """Return a heart as a mesh."""
        return HeartMesh(self.vertices(parameters), self.topology)

    def middle(self, parameters: HeartParameters) -> Points:
        """Return the middle (3,) of a heart's bounding box, RAS mm."""
        vertices = self.vertices(parameters)
        middle: Points = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        return middle

    def normals(self, vertices: Points) -> Points:
        """Return outward unit normals (V, 3): the mean of the adjoining faces' normals, weighted by area."""
        corner = vertices[self.topology.faces]
        faces = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        normals = self._faces_of_vertices @ faces
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    @cached_property
    def _faces_of_vertices(self) -> Any:
        faces = self.topology.faces
        columns = np.repeat(np.arange(len(faces)), 3)
        shape = (self.topology.vertex_count, len(faces))
        return csr_array((np.ones(faces.size), (faces.ravel(), columns)), shape=shape)

    def _part(self, region: anatomy.Region) -> RegionPart:
        faces = self.topology.faces[self.topology.face_region == region.label]
        used, compact = np.unique(faces, return_inverse=True)
        return RegionPart(region, used, compact.reshape(-1, 3))
