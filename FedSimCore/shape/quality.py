"""How good a shape model is: compactness, generalisation, specificity, correspondence, and sound surfaces.

Davies et al., "A minimum description length approach to statistical shape modeling", IEEE TMI 2002, and
Styner et al., "Evaluation of 3D correspondence methods for model building", IPMI 2003, define the first three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.anatomy import regions
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.intersections import inverted_faces, self_intersecting_faces
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.pca import principal_modes

Array = NDArray[np.float64]


def explained_variance(model: ShapeModel) -> list[float]:
    """Return each mode's share (0 to 1) of the variance of all modes, kept or not."""
    return [float(value / model.header.total_variance_mm2) for value in model.eigenvalues]


def compactness_mm2(model: ShapeModel) -> list[float]:
    """Return the variance in mm² that the first 1, 2, ... K modes have together."""
    return [float(value) for value in np.cumsum(model.eigenvalues)]


def generalisation_mm(shapes: Array, most_modes: int, progress: Progress = silent) -> list[float]:
    """Return the error with which a model of all other cases describes a case it has not seen.

    Args:
        shapes: (N, V, 3) aligned shapes, mm, N at least 3.
        most_modes: largest number of modes.
        progress: told of every case.

    Returns:
        Mean distance of vertices in mm, averaged over the cases left out, for 0, 1, ... modes (at most N - 2).
    """
    kept = min(most_modes, len(shapes) - 2)
    errors = np.zeros((len(shapes), kept + 1))
    for left_out in range(len(shapes)):
        progress(left_out, len(shapes), "leaving one out")
        others = principal_modes(np.delete(shapes, left_out, axis=0), kept)
        residual = (shapes[left_out] - others.mean).ravel()
        errors[left_out, 0] = _mean_length(residual)
        for number, mode in enumerate(others.modes.reshape(kept, -1), start=1):
            residual = residual - (residual @ mode) * mode
            errors[left_out, number] = _mean_length(residual)
    progress(len(shapes), len(shapes), "leaving one out")
    return [float(value) for value in errors.mean(0)]


def _mean_length(flat: Array) -> float:
    return float(np.linalg.norm(flat.reshape(-1, 3), axis=1).mean())


def specificity_mm(model: ShapeModel, shapes: Array, seed: int, samples: int = 200) -> float:
    """Return how far random hearts of the model are from the nearest heart it was built from.

    Args:
        model: the model.
        shapes: (N, V, 3) aligned shapes it was built from, mm.
        seed: of the samples, drawn from the truncated normal distribution.
        samples: number of random hearts.

    Returns:
        Mean distance of vertices in mm to the nearest training shape, averaged over the samples.
    """
    drawn = _random_shapes(model, samples, seed)
    training = shapes.astype(np.float32)
    return float(np.mean([np.linalg.norm(training - heart, axis=2).mean(1).min() for heart in drawn]))


def _random_shapes(model: ShapeModel, samples: int, seed: int) -> NDArray[np.float32]:
    parameters = model.sample(samples, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return np.asarray(model.shape(parameters[:, : model.mode_count].to(model.mean)).cpu())


def bad_faces(model: ShapeModel, seed: int, samples: int = 50, progress: Progress = silent) -> dict[str, float]:
    """Return the share of faces that are wrong at random samples: self-intersecting, inverted.

    Each region's surface is tested against itself; that regions overlap is no fault.
    """
    wrong = {"self_intersecting": 0, "inverted": 0}
    mean = np.asarray(model.mean.cpu(), dtype=np.float64)
    for number, heart in enumerate(_random_shapes(model, samples, seed)):
        progress(number, samples, "checking surfaces")
        for label in model.topology.labels:
            faces = model.topology.faces[model.topology.face_region == label]
            wrong["self_intersecting"] += int(self_intersecting_faces(heart.astype(np.float64), faces).sum())
            wrong["inverted"] += int(inverted_faces(heart.astype(np.float64), faces, mean).sum())
    progress(samples, samples, "checking surfaces")
    return {name: count / (samples * len(model.topology.faces)) for name, count in wrong.items()}


def quality_report(
    model: ShapeModel,
    shapes: Array,
    distances_mm: Array,
    names: Sequence[str],
    seed: int,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Return everything that is reported with a model, ready for its header.

    Args:
        model: the model.
        shapes: (N, V, 3) aligned shapes it was built from, mm.
        distances_mm: (N, R) mean surface distance of the correspondence, columns by ascending label.
        names: N names of cases, to name the worst.
        seed: of the random samples.
        progress: told of every step.
    """
    share = explained_variance(model)
    worst = np.unravel_index(distances_mm.argmax(), distances_mm.shape)
    keys = [region.key for region in regions()]
    faces = bad_faces(model, seed, progress=progress)
    return {
        "explained_variance": share,
        "cumulative_variance": [float(value) for value in np.cumsum(share)],
        "compactness_mm2": compactness_mm2(model),
        "generalisation_mm": generalisation_mm(shapes, model.mode_count, progress),
        "specificity_mm": specificity_mm(model, shapes, seed),
        "correspondence_mm": dict(zip(keys, distances_mm.mean(0).tolist(), strict=True)),
        "correspondence_worst": {
            "case": names[int(worst[0])],
            "region": keys[int(worst[1])],
            "distance_mm": float(distances_mm.max()),
        },
        "self_intersecting_faces": faces["self_intersecting"],
        "inverted_faces": faces["inverted"],
        "seed": seed,
    }
