"""Point correspondence between the hearts of a cohort, from their label maps.

1. The cases are brought into one frame by their regions' centres and sizes (:mod:`.template`).
2. The first template is the most typical case, one closed surface per region.
3. Every case is registered to the template non-rigidly, all regions at once (:mod:`.registration`), and each
   region's vertices are pulled onto that region's own surface (:mod:`.snap`).
4. The mean of the registered shapes is the next template, so that no case and no choice of ours biases it;
   step 3 is repeated with finer registration.

The paper built its model from Ravikumar et al., "Group-wise similarity registration of point sets using
Student's t-mixture model for statistical shape models", Med Image Anal 2018; label maps allow a registration
by image, whose order over all regions point sets lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.anatomy import regions
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.procrustes import Similarity, generalised_procrustes
from FedSimCore.shape.registration import COARSE_LEVELS, FINE_LEVELS, Level, coded_image, displace, register
from FedSimCore.shape.snap import snap
from FedSimCore.shape.surfaces import mean_surface_distance_mm
from FedSimCore.shape.template import FACE_COUNT, align_cases, first_template, registration_grid
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume

Array = NDArray[np.float64]
FEWEST_CASES = 3
SPACING_MM = 2.0
"""Of the registration grid; :mod:`.snap` does the rest."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Hearts with the same topology, vertex by vertex the same place.

    Attributes:
        names: N names of cases.
        vertices: (N, V, 3) RAS mm, each in its own case's world.
        topology: faces and regions shared by all.
        distances_mm: (N, R) symmetric mean surface distance of every region (columns: ascending labels).
    """

    names: list[str]
    vertices: Array
    topology: Topology
    distances_mm: Array


def correspond(
    hearts: Sequence[LabelledHeart],
    face_count: int = FACE_COUNT,
    spacing_mm: float = SPACING_MM,
    progress: Progress = silent,
) -> Correspondence:
    """Bring hearts into correspondence.

    Args:
        hearts: at least three, each with all seven regions.
        face_count: triangles of the template over all regions.
        spacing_mm: of the registration grid, in the frame of the template.
        progress: told of every case.

    Raises:
        InputError: too few cases, a region is missing, or the cases are no hearts of the same labelling.
    """
    if len(hearts) < FEWEST_CASES:
        raise InputError(
            f"A shape model needs at least {FEWEST_CASES} labelled cases, but there {_are(len(hearts))}; add cases."
        )
    for heart in hearts:
        heart.require_all_regions()
    progress(0, 1, "aligning cases")
    poses = align_cases(hearts)
    grid = registration_grid(hearts, poses, spacing_mm)
    template = first_template(hearts, poses, grid, face_count)
    progress(1, 1, "aligning cases")
    vertices = _register_all(
        hearts, poses, template, spacing_mm, COARSE_LEVELS, progress, "registering, first template"
    )
    aligned = generalised_procrustes(vertices)
    template = HeartMesh(aligned.mean, template.topology)
    vertices = _register_all(
        hearts, aligned.poses, template, spacing_mm, FINE_LEVELS, progress, "registering, mean template"
    )
    distances = np.array(
        [
            [mean_surface_distance_mm(mesh.surface(label), heart.surface(label)) for label in region_labels()]
            for heart, mesh in zip(hearts, (HeartMesh(v, template.topology) for v in vertices), strict=True)
        ]
    )
    return Correspondence([heart.name for heart in hearts], vertices, template.topology, distances)


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"


def _register_all(
    hearts: Sequence[LabelledHeart],
    poses: Sequence[Similarity],
    template: HeartMesh,
    spacing_mm: float,
    levels: Sequence[Level],
    progress: Progress,
    stage: str,
) -> Array:
    grid = registration_grid(hearts, poses, spacing_mm)
    coded = template_image(template, grid)
    vertices = []
    for number, (heart, pose) in enumerate(zip(hearts, poses, strict=True)):
        progress(number, len(hearts), stage)
        vertices.append(fit_template(template, coded, grid, heart, pose, levels))
    progress(len(hearts), len(hearts), stage)
    return np.stack(vertices)


def template_image(template: HeartMesh, grid: Grid) -> NDArray[np.float32]:
    """Return the template's regions as the coded image that the registration follows, on ``grid``."""
    fine = Grid.centered(tuple(2 * n for n in grid.shape), float(grid.spacing_mm[0]) / 2, grid.center_mm)
    labels = label_map(torch.from_numpy(template.vertices), template.topology, fine)[0].numpy()
    return coded_image(Volume(labels, fine), Similarity(np.eye(3), np.zeros(3), 1.0), grid)


def fit_template(
    template: HeartMesh,
    coded: NDArray[np.float32],
    grid: Grid,
    heart: LabelledHeart,
    pose: Similarity,
    levels: Sequence[Level] = FINE_LEVELS,
) -> Array:
    """Deform the template to one heart.

    Args:
        template: in the common frame, mm.
        coded: its image on ``grid``.
        grid: of the registration, in the common frame.
        heart: the case.
        pose: takes the common frame to the case's world.
        levels: of the registration.

    Returns:
        (V, 3) vertices in the case's world, RAS mm.
    """
    field = register(coded, coded_image(heart.labels, pose, grid), grid, levels)
    vertices = pose(displace(template.vertices, field, grid))
    for region in regions():
        mine, faces = region_part(template.topology, region.label)
        vertices[mine] = snap(vertices[mine], faces, heart.surface(region.label))
    return vertices


def region_part(topology: Topology, label: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the indices of a region's vertices and its faces in terms of them."""
    mine, faces = np.unique(topology.faces[topology.face_region == label], return_inverse=True)
    return mine, faces.reshape(-1, 3)
