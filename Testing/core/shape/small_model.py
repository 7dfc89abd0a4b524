"""A shape model with a few smooth modes over the heart-like mesh, for tests that need no cohort."""

from __future__ import annotations

import numpy as np

from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.model_file import Arrays, ModelHeader, Provenance
from FedSimCore.shape.pose_statistics import PoseStatistics
from Testing.core.shape.heart_like import heart_like_mesh

PROVENANCE = Provenance(
    cohort="blobs", sites={"a": 3}, cases=3, command="test", version="0", seed=0, created="2026-11-21T00:00:00Z"
)


def small_arrays(modes: int = 3) -> Arrays:
    """Return the arrays of a model whose modes bend and stretch the whole heart."""
    mesh = heart_like_mesh()
    mean = mesh.vertices - mesh.vertices.mean(0)
    rng = np.random.default_rng(0)
    x = mean / 40
    features = np.concatenate([x**2 - 1, x[:, [0]] * x[:, [1]], np.sin(2 * x)], axis=1)
    fields = np.einsum("vf,kfd->kvd", features, rng.normal(size=(modes, features.shape[1], 3))).reshape(modes, -1)
    flat = np.linalg.qr(fields.T)[0].T
    return {
        "mean": mean.astype(np.float32),
        "modes": flat.reshape(modes, -1, 3).astype(np.float32),
        "eigenvalues": np.array([9000.0, 4000.0, 2000.0, 1000.0])[:modes],
        "faces": mesh.topology.faces.astype(np.int32),
        "face_region": mesh.topology.face_region,
    }


def small_header() -> ModelHeader:
    """Return a header that fits :func:`small_arrays`."""
    pose = PoseStatistics(
        rotation_mean_rad=(0.01, 0.02, -0.01),
        rotation_sd_rad=(0.1, 0.1, 0.2),
        translation_mean_mm=(1.0, -2.0, 3.0),
        translation_sd_mm=(4.0, 3.0, 5.0),
        log_scale_mean=0.02,
        log_scale_sd=0.1,
    )
    return ModelHeader(pose=pose, total_variance_mm2=20000.0, provenance=PROVENANCE)


def small_model() -> ShapeModel:
    """Return the model in memory."""
    return ShapeModel(small_arrays(), small_header())
