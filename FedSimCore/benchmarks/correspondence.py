"""Registration libraries beside each other at the shape model's job: a template's surfaces onto another heart.

Two kinds of pairs. Phantoms of different patients: how far the registered surfaces lie from the case's. And one
phantom bent by a known smooth displacement: how far each vertex lies from where it truly went, which no distance
between surfaces can tell. Each library is measured alone and followed by :mod:`FedSimCore.shape.snap`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.benchmarks.harness import Goal, Report
from FedSimCore.benchmarks.registration_peers import PEERS
from FedSimCore.cohorts.phantom import make_label_map
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.correspondence import SPACING_MM, region_part, template_image
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.procrustes import Similarity
from FedSimCore.shape.registration import coded_image, displace, register
from FedSimCore.shape.snap import snap
from FedSimCore.shape.surfaces import mean_surface_distance_mm
from FedSimCore.shape.template import align_cases, registration_grid, template_of
from FedSimCore.volumes import Grid, Volume

Array = NDArray[np.float64]
OURS = "SimpleITK diffeomorphic demons (chosen)"
TEMPLATE = ("adult", 3000)
CASES = (("adult", 3001), ("congenital-severe", 3000))
BEND_MM = 4.0
"""Standard deviation of each component of the known displacement."""


@dataclass(frozen=True, eq=False)
class Job:
    """What a registration is given, in the template's frame (mm).

    Attributes:
        template: surfaces to deform.
        fixed, moving: coded images of the template and the case.
        grid: of both images.
        case: the label map.
        pose: takes the template's frame to the case's world.
    """

    template: HeartMesh
    fixed: NDArray[np.float32]
    moving: NDArray[np.float32]
    grid: Grid
    case: LabelledHeart
    pose: Similarity


def bench_correspondence(seed: int, progress: Progress = silent) -> Report:
    """Register one template to several phantoms and to a bent copy of itself with every library.

    Args:
        seed: of the known displacement.
        progress: told of every registration.
    """
    start = LabelledHeart.from_volume("template", make_label_map(*TEMPLATE))
    hearts = [start, *(LabelledHeart.from_volume(f"{site} {n}", make_label_map(site, n)) for site, n in CASES)]
    poses = align_cases(hearts)
    grid = registration_grid(hearts, poses, SPACING_MM)
    template = template_of(start, poses[0])
    fixed = template_image(template, grid)
    bent, way_back = bend(start, np.random.default_rng(seed))
    jobs = [
        Job(template, fixed, coded_image(heart.labels, pose, grid), grid, heart, pose)
        for heart, pose in zip([bent, *hearts[1:]], [poses[0], *poses[1:]], strict=True)
    ]
    methods: dict[str, Callable[[Job], Array]] = {OURS: _demons, **PEERS}
    report = Report(
        "Correspondence: registration libraries beside each other",
        {
            "template": f"phantom {TEMPLATE[0]} {TEMPLATE[1]}, {len(template.vertices)} vertices",
            "cases": ", ".join(heart.name for heart in hearts[1:]),
            "known displacement": f"sd {BEND_MM} mm per axis, seed {seed}",
            "registration grid": f"{grid.shape} at {SPACING_MM} mm",
        },
    )
    for number, (name, method) in enumerate(methods.items()):
        progress(number, len(methods), "registering")
        _measure(report, name, method, jobs, way_back)
    progress(len(methods), len(methods), "registering")
    return report


def bend(heart: LabelledHeart, rng: np.random.Generator) -> tuple[LabelledHeart, Callable[[Array], Array]]:
    """Bend a label map by a smooth random displacement.

    Returns:
        The bent heart, and the map that takes points of its world back to where they were (mm).
    """
    margin = int(np.ceil(4 * BEND_MM / heart.labels.grid.spacing_mm.min()))
    affine = heart.labels.grid.affine.copy()
    affine[:3, 3] = heart.labels.grid.to_world([-margin] * 3)
    array = np.pad(heart.labels.array, margin)
    grid = Grid((array.shape[0], array.shape[1], array.shape[2]), affine)
    wave = 14.0 / heart.labels.grid.spacing_mm
    field = np.stack([ndimage.gaussian_filter(rng.normal(size=grid.shape), wave, mode="wrap") for _ in range(3)])
    field *= BEND_MM / field.std(axis=(1, 2, 3), keepdims=True)

    def way_back(points: Array) -> Array:
        ijk = grid.to_index(points).T
        return points + np.stack([ndimage.map_coordinates(f, ijk, order=1, mode="nearest") for f in field], 1)

    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    source = grid.to_index(grid.to_world(ijk) + np.moveaxis(field, 0, -1))
    bent = ndimage.map_coordinates(array, np.moveaxis(source, -1, 0), order=0)
    return LabelledHeart.from_volume("bent", Volume(bent, grid)), way_back


def _demons(job: Job) -> Array:
    return displace(job.template.vertices, register(job.fixed, job.moving, job.grid), job.grid)


def _measure(
    report: Report,
    name: str,
    method: Callable[[Job], Array],
    jobs: list[Job],
    way_back: Callable[[Array], Array],
) -> None:
    seconds, raw, snapped = [], [], []
    for number, job in enumerate(jobs):
        start = time.perf_counter()
        vertices = job.pose(method(job))
        seconds.append(time.perf_counter() - start)
        pulled = _snapped(job, vertices)
        raw.append(_distances(job, vertices))
        snapped.append(_distances(job, pulled))
        if number == 0:  # the bent copy
            truth = job.pose(job.template.vertices)
            for stage, found in (("alone", vertices), ("snapped", pulled)):
                error = np.linalg.norm(way_back(found) - truth, axis=1)
                report.values[f"{name}: vertex error where the truth is known, {stage}, mean mm"] = float(error.mean())
    report.values[f"{name}: surface distance, alone, mean mm"] = float(np.mean(raw))
    report.values[f"{name}: surface distance, snapped, mean mm"] = float(np.mean(snapped))
    report.values[f"{name}: surface distance, snapped, worst region of a case, mm"] = float(np.max(snapped))
    report.values[f"{name}: wall seconds per case"] = float(np.mean(seconds))
    if name == OURS:
        report.goals += [
            Goal(f"mean surface distance of region {label}, mm", float(distance), 1.0, at_least=False)
            for label, distance in zip(region_labels(), np.mean(snapped, axis=0), strict=True)
        ]
        report.goals.append(Goal("wall seconds per case, without snapping", float(np.mean(seconds)), 8.0, False))


def _snapped(job: Job, vertices: Array) -> Array:
    result = vertices.copy()
    for label in region_labels():
        mine, faces = region_part(job.template.topology, label)
        result[mine] = snap(vertices[mine], faces, job.case.surface(label))
    return result


def _distances(job: Job, vertices: Array) -> list[float]:
    mesh = HeartMesh(vertices, job.template.topology)
    return [mean_surface_distance_mm(mesh.surface(label), job.case.surface(label)) for label in region_labels()]
