"""Measuring the trust figures of generated hearts against what their model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.working_grid import read_heart
from FedSimCore.errors import InputError
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.sampling import Drawn
from FedSimCore.generation.trust import Nearest, Trust, Unusualness
from FedSimCore.networks.coarse_ct import downsample
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.intersections import inverted_faces, self_intersecting_faces
from FedSimCore.shape.measurements import measure_mesh
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.norms import compare

IMAGE_SIZE = 32
"""Voxels along each side of the reduced grid on which images are compared."""

Vectors = NDArray[np.float32]
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What training cases are like, to be compared with.

    Attributes:
        cases: ids of N cases.
        vectors: (N, ...) what is compared of each; distances are means or roots of means, see :meth:`distances`.
        unit: of the distances.
        own: (N,) distance of each case to its nearest other case.
    """

    cases: tuple[str, ...]
    vectors: Vectors
    unit: Literal["mm", "HU"]
    own: NDArray[np.float64]

    @classmethod
    def of(cls, cases: Sequence[str], vectors: Vectors, unit: Literal["mm", "HU"]) -> Neighbours:
        """Measure how alike the cases are among themselves.

        Raises:
            InputError: there are fewer than two.
        """
        if len(cases) < 2:
            raise InputError(f"Distances among training cases need two cases at least, not {len(cases)}.")
        table = np.stack([_distances(vectors, one, unit) for one in vectors])
        np.fill_diagonal(table, np.inf)
        return cls(tuple(cases), vectors, unit, table.min(1))

    def nearest(self, vector: Vectors) -> Nearest:
        """Find the case that is most like something."""
        distances = _distances(self.vectors, vector, self.unit)
        number = int(distances.argmin())
        distance, usual = float(distances[number]), float(np.median(self.own))
        return Nearest(
            case=self.cases[number],
            distance=distance,
            unit=self.unit,
            usual_distance=usual,
            ratio=distance / max(usual, _TINY),
            percentile=100 * float((self.own < distance).mean()),
        )


def _distances(vectors: Vectors, one: Vectors, unit: str) -> NDArray[np.float64]:
    """Return the distances (N,): mean over vertices in mm, or root mean square over voxels in HU."""
    difference = vectors - one
    if unit == "mm":
        return np.linalg.norm(difference, axis=2).mean(1, dtype=np.float64)
    return np.sqrt(np.square(difference).reshape(len(vectors), -1).mean(1, dtype=np.float64))


class TrustMeter:
    """Measures hearts of one generator.

    Args:
        generator: with its training cases' latents.
        images: of :func:`training_images`; None: images are not compared.
    """

    def __init__(self, generator: HeartGenerator, images: Neighbours | None = None) -> None:
        self._generator, self._images = generator, images
        cases = [case.id for case in generator.header.cases]
        with torch.no_grad():
            shapes = shape_vectors(generator.model, generator.parameters_of(generator.latents))
        self._shapes = Neighbours.of(cases, shapes, "mm")

    def measure(self, drawn: Drawn, hu: NDArray[np.float32] | None = None) -> Trust:
        """Measure a heart.

        Args:
            drawn: the heart.
            hu: its CT (X, Y, Z) on the working grid; None: images are not compared.
        """
        model = self._generator.model
        weights = drawn.parameters[0, : model.mode_count].double()
        latent = self._generator.normal_of(drawn.population).mahalanobis(drawn.latent)
        compared = None
        if self._images is not None and hu is not None:
            compared = self._images.nearest(image_vector(hu, self._generator.intensity))
        faults = _surface_faults(model, drawn.parameters)
        return Trust(
            nearest_shape=self._shapes.nearest(shape_vectors(model, drawn.parameters)[0]),
            nearest_image=compared,
            latent=unusualness(float(latent), drawn.latent.shape[1]),
            weights=unusualness(float(weights.norm()), len(weights)),
            faces=faults["faces"],
            self_intersecting_faces=faults["self_intersecting_faces"],
            inverted_faces=faults["inverted_faces"],
            outside_norms={
                row.measurement.key: row.verdict
                for row in compare(measure_mesh(model.mesh(drawn.heart)))
                if row.verdict in ("low", "high")
            },
        )


def shape_vectors(model: ShapeModel, parameters: Tensor) -> Vectors:
    """Return hearts (N, V, 3) in mm in the shape model's own place and direction, with their size.

    Args:
        model: the shape model.
        parameters: (N, modes + 7).
    """
    parameters = parameters.to(model.mean)
    shapes = model.shape(parameters[:, : model.mode_count]) * parameters[:, -1, None, None]
    array: Vectors = shapes.float().cpu().numpy()
    return array


def image_vector(hu: NDArray[np.float32], intensity: IntensityRange) -> Vectors:
    """Return a CT in HU, clipped to the intensities that networks see, on the reduced grid."""
    clipped = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32)).clamp(intensity.low_hu, intensity.high_hu)
    array: Vectors = downsample(clipped[None, None], min(IMAGE_SIZE, *hu.shape), average=True)[0, 0].numpy()
    return array


def training_images(
    path: Path, generator: HeartGenerator, also: Sequence[str] = (), progress: Progress = silent
) -> Neighbours:
    """Read the CTs of the cases that a model has learnt from.

    Args:
        path: the training cohort.
        generator: of the model.
        also: ids of more cases, e.g. those of an enhancer.
        progress: told of every case.

    Raises:
        InputError: the cohort or a case cannot be read, or it has fewer than two of the training cases' CTs.
    """
    wanted = {case.id for case in generator.header.cases} | set(also)
    cases = [case for case in read_cohort(path).cases if case.id in wanted and case.image is not None]
    if len(cases) < 2:
        raise InputError(
            f"{path} has CTs of {len(cases)} of the {len(wanted)} cases that the model was trained on; give the cohort "
            "it was trained with."
        )
    vectors = []
    for number, case in enumerate(cases):
        progress(number, len(cases), "reading training cases")
        heart = read_heart(case, generator.header.size, generator.header.spacing_mm)
        vectors.append(image_vector(heart.hu, generator.intensity))
    progress(len(cases), len(cases), "reading training cases")
    return Neighbours.of([case.id for case in cases], np.stack(vectors), "HU")


def unusualness(distance: float, dimensions: int) -> Unusualness:
    """Return a Mahalanobis distance with its percentile in a normal distribution."""
    return Unusualness(distance=distance, percentile=100 * float(special.chdtr(dimensions, distance**2)))


def _surface_faults(model: ShapeModel, parameters: Tensor) -> dict[str, int]:
    """Count faces that are wrong, in the model's own pose, in which the mean shape says which way faces look."""
    with torch.no_grad():
        shape = model.shape(parameters[:, : model.mode_count].to(model.mean))[0].double().cpu().numpy()
    heart, mean = HeartMesh(shape, model.topology), model.mesh()
    cut = turned = 0
    for label in model.topology.labels:
        vertices, faces = heart.surface(label)
        cut += int(self_intersecting_faces(vertices, faces).sum())
        turned += int(inverted_faces(vertices, faces, mean.surface(label)[0]).sum())
    return {"faces": len(model.topology.faces), "self_intersecting_faces": cut, "inverted_faces": turned}
