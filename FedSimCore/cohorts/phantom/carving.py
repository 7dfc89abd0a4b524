"""Putting the parts together: who touches whom, and where walls and valve planes lie between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from FedSimCore.cohorts.phantom import heart as parts
from FedSimCore.cohorts.phantom.fields import Field, Points, capsule, cut, half_space, intersection, occupancy, union
from FedSimCore.cohorts.phantom.heart import MITRAL, SEPTUM_MM, TRICUSPID, VESSEL_WALL_MM, Heart
from FedSimCore.cohorts.phantom.warp import Deformation, Extent, spaced

# Ends of the labels as in MM-WHS: the aorta before the arch, the pulmonary artery just beyond its bifurcation.
ASCENDING_AORTA_LENGTH_MM = 62.0
PULMONARY_BRANCH_LENGTH_MM = 25.0


@dataclass(frozen=True)
class Carved:
    """Signed distances (nominal mm, negative inside) on one lattice.

    Attributes:
        regions: the seven labelled regions by key; ``"myo"`` is the left ventricle with its pool, which is to be
            drawn over it; the others do not overlap but for rounding.
        aorta, pulmonary: the vessels beyond their labels.
    """

    regions: dict[str, Field]
    aorta: Field
    pulmonary: Field


def carve(heart: Heart, chest: Points) -> Carved:
    """Compute the regions of a heart at points (3, ...) of the nominal chest frame."""
    points = heart.pose.to_heart(chest)
    local = parts.ventricular_coordinates(heart, points)
    atrial = half_space(local, MITRAL, (0.12, 0, -1))
    atrial_right = half_space(local, TRICUSPID, (0.25, 0.1, -1))

    aorta, beyond_aortic = parts.ascending_aorta(heart, chest, points)
    aorta = intersection(aorta, -beyond_aortic)
    trunk, branches, beyond_pulmonary = parts.pulmonary_artery(heart, chest, points)
    trunk = intersection(trunk, -beyond_pulmonary)
    pulmonary = cut(union(trunk, branches, 5), aorta - VESSEL_WALL_MM, 1)

    cavity, epicardium = parts.left_ventricle(heart, local)
    tract, gate = parts.outflow_tract(heart, points), _left_gate(heart, beyond_aortic, beyond_pulmonary)
    inflow = capsule(local, MITRAL, MITRAL + np.array([0, 0, 20]), 15)
    pool = intersection(intersection(cavity, atrial, 4), atrial)
    pool = union(pool, intersection(inflow, atrial), 3)
    if gate is None:
        pool = union(pool, tract, 3)
    else:
        pool = intersection(union(pool, tract, 4), union(gate, -atrial - 6), 0)
        pool = intersection(pool, gate)
    wall = intersection(union(epicardium, tract - 4, 3), atrial + 0.0)
    wall = cut(cut(wall, aorta - VESSEL_WALL_MM * 0.5), pulmonary - VESSEL_WALL_MM * 0.5)

    sinus = intersection(parts.right_ventricle(heart, local), atrial_right, 7)
    # Behind the septum's base lies the crux of the heart, not the right ventricle.
    sinus = intersection(sinus, half_space(local, (24, 0, -38), (-0.83, 0, -0.56)), 5)
    mouth = capsule(local, TRICUSPID, TRICUSPID + np.array([0, 0, 20]), 16)
    sinus = union(sinus, intersection(mouth, atrial_right), 4)
    conus = parts.infundibulum(heart, points)
    for artery, beyond in ((aorta, beyond_aortic), (pulmonary, beyond_pulmonary)):
        conus = (
            intersection(conus, beyond) if _from_right(heart, artery is aorta) else cut(conus, artery - VESSEL_WALL_MM)
        )
    right = union(sinus, conus, 6)
    right = cut(cut(right, aorta - (0 if _from_right(heart, True) else VESSEL_WALL_MM)), pulmonary)
    right = cut(right, wall, 1.5)
    right = cut(right, pool - 2)

    body, appendage = parts.left_atrium(heart, points)
    walls = union(aorta, pulmonary) - VESSEL_WALL_MM
    appendage = cut(cut(appendage, epicardium - 1.5), walls - 1, 1)
    left_atrium = intersection(union(cut(body, epicardium - 0.5), intersection(body, -atrial)), -atrial)
    left_atrium = cut(union(left_atrium, appendage, 4), walls, 2)
    left_atrium = cut(left_atrium, pool)

    body, appendage = parts.right_atrium(heart, points)
    appendage = cut(cut(appendage, right - 3), walls - 1, 1)
    right_atrium = union(intersection(body, -atrial_right), appendage, 4)
    right_atrium = cut(cut(right_atrium, walls, 2), left_atrium - SEPTUM_MM, 2)
    right_atrium = cut(cut(right_atrium, union(wall, pool) - 1.5), right)

    regions = {"lv": pool, "rv": right, "la": left_atrium, "ra": right_atrium}
    regions = _with_defects(heart, regions, wall, points, local)
    regions["myo"] = wall
    regions["ao"] = intersection(aorta, _end_of_ascending(heart, chest))
    fork = heart.arteries.bifurcation
    regions["pa"] = intersection(pulmonary, union(trunk - 1, capsule(chest, fork, fork, PULMONARY_BRANCH_LENGTH_MM)))
    return Carved({key: field.astype(np.float32) for key, field in regions.items()}, aorta, pulmonary)


def _from_right(heart: Heart, aortic: bool) -> bool:
    return heart.outflow == "both_right" or aortic == (heart.outflow == "transposed")


def _left_gate(heart: Heart, beyond_aortic: Field, beyond_pulmonary: Field) -> Field | None:
    if heart.outflow == "both_right":
        return None
    return beyond_pulmonary if heart.outflow == "transposed" else beyond_aortic


def _end_of_ascending(heart: Heart, chest: Points) -> Field:
    centerline = heart.arteries.aorta
    index = round(ASCENDING_AORTA_LENGTH_MM / 5)
    return half_space(chest, centerline[index], centerline[index + 1] - centerline[index - 1])


def _with_defects(
    heart: Heart, regions: dict[str, Field], wall: Field, points: Points, local: Points
) -> dict[str, Field]:
    """Open the septa where the variant has a defect: the hole is shared out to the nearer pool."""
    shape = heart.shape
    regions = dict(regions)
    if shape.asd_mm > 0:
        across = np.array([53.0, -20, 24]) if not shape.primum else np.array([46.0, -14, 18])
        hole = capsule(points, across + [-14, -10, 0], across + [14, 10, 0], shape.asd_mm / 2)
        _share(regions, "la", "ra", hole)
    if shape.vsd_mm > 0:
        place = np.array([22.0, -9, -27]) if not shape.primum else np.array([24.0, 10, -30])
        hole = capsule(local, place, place + [26, 0, 0], shape.vsd_mm / 2)
        _share(regions, "lv", "rv", hole)
    return regions


def _share(regions: dict[str, Field], left: str, right: str, hole: Field) -> None:
    nearer = (regions[left] - regions[right]) / 2
    regions[left] = union(regions[left], intersection(hole, nearer))
    regions[right] = union(regions[right], intersection(hole, -nearer))


# Holds every heart of the tables, dilated and turned, in nominal mm.
HEART_EXTENT_MM: Extent = ((-75.0, 115.0), (-80.0, 85.0), (-70.0, 110.0))


def grown(heart: Heart, deformation: Deformation, spacing_mm: float = 3.0, rounds: int = 4) -> Heart:
    """Return the heart with chambers grown or shrunk until their volumes meet the targets.

    Volumes are measured with fractional voxels on a coarse lattice; each round multiplies a chamber's
    size by the target's ratio to a power a bit over one third (a cut chamber grows faster than a free body's cube).
    """
    chest = deformation.moved(spaced(HEART_EXTENT_MM, spacing_mm))
    for _ in range(rounds):
        volumes = {
            key: float(occupancy(field, spacing_mm).sum()) * spacing_mm**3 / 1000
            for key, field in carve(heart, chest).regions.items()
        }
        factors = {
            key: float(np.clip((getattr(heart.targets, f"{key}_ml") / volumes[key]) ** 0.4, 0.75, 1.3))
            for key in ("lv", "rv", "la", "ra")
        }
        heart = replace(heart, growth=heart.growth.times(**factors))
    return heart
