"""Putting the parts together: who touches whom, and where walls and valve planes lie between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from FedSimCore.cohorts.phantom import heart as parts
from FedSimCore.cohorts.phantom.fields import Field, Points, capsule, cut, half_space, intersection, occupancy, union
from FedSimCore.cohorts.phantom.heart import MITRAL, SEPTUM_MM, TRICUSPID, VESSEL_WALL_MM, Heart
from FedSimCore.cohorts.phantom.warp import Deformation, Extent, spaced

# Ends of the labels as in MM-WHS: the aorta before the arch, the pulmonary artery just beyond its bifurcation.
_ASCENDING_AORTA_LENGTH_MM = {"normal": 62.0, "transposed": 40.0, "both_right": 47.0}
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
    pool = union(pool, tract, 3)
    if gate is not None:
        pool = intersection(pool, gate)
    wall = intersection(epicardium, atrial)
    sleeve = tract - 3 if gate is None else intersection(tract - 3, gate)
    wall = union(wall, sleeve, 2)
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
    left_atrium = cut(cut(cut(left_atrium, pool), tract - 1.5), right - 1.5)

    body, appendage = parts.right_atrium(heart, points)
    appendage = cut(cut(appendage, right - 3), walls - 1, 1)
    right_atrium = union(intersection(body, -atrial_right), appendage, 4)
    right_atrium = cut(cut(right_atrium, walls, 2), left_atrium - SEPTUM_MM, 2)
    right_atrium = cut(cut(right_atrium, union(wall, pool) - 1.5), right)

    regions = {"lv": pool, "rv": right, "la": left_atrium, "ra": right_atrium}
    regions = _with_defects(heart, regions, points, local)
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
    index = round(_ASCENDING_AORTA_LENGTH_MM[heart.outflow] / 5)
    return half_space(chest, centerline[index], centerline[index + 1] - centerline[index - 1])


def _with_defects(heart: Heart, regions: dict[str, Field], points: Points, local: Points) -> dict[str, Field]:
    """Open the septa where the heart has a defect: the hole is shared out to the nearer pool."""
    regions = dict(regions)
    if heart.atrial_defect_mm is not None:
        place, across = np.array(heart.atrial_defect_mm), np.array([11.0, 8.0, -4.0])
        _share(regions, "la", "ra", capsule(points, place - across, place + across, heart.shape.asd_mm / 2))
    if heart.ventricular_defect_mm is not None:
        place, across = np.array(heart.ventricular_defect_mm), np.array([14.0, 0, 0])
        _share(regions, "lv", "rv", capsule(local, place - across, place + across, heart.shape.vsd_mm / 2))
    return regions


def with_defects_placed(heart: Heart, chest: Points) -> Heart:
    """Return the heart with its defects where the septum is thin and near their usual place.

    Secundum defects lie in the middle of the atrial septum and most ventricular ones below the aortic valve; those
    of an atrioventricular septal defect at the crux.
    """
    shape, regions = heart.shape, carve(heart, chest).regions
    points = heart.pose.to_heart(chest)
    if shape.asd_mm > 0:
        usual = (46.0, -14.0, 18.0) if shape.primum else (54.0, -20.0, 22.0)
        heart = replace(heart, atrial_defect_mm=_thinnest(points, regions["la"], regions["ra"], usual))
    if shape.vsd_mm > 0:
        usual = (30.0, 10.0, -30.0) if shape.primum else (30.0, -9.0, -27.0)
        local = parts.ventricular_coordinates(heart, points)
        heart = replace(heart, ventricular_defect_mm=_thinnest(local, regions["lv"], regions["rv"], usual))
    return heart


def _thinnest(
    points: Points, left: Field, right: Field, usual_mm: tuple[float, float, float]
) -> tuple[float, float, float]:
    away = np.linalg.norm(points - np.array(usual_mm, dtype=np.float32).reshape(3, 1, 1, 1), axis=0)
    i, j, k = np.unravel_index(np.argmin(np.maximum(left, right) + 0.2 * away), away.shape)
    x, y, z = (float(value) for value in points[:, i, j, k])
    return x, y, z


def _share(regions: dict[str, Field], left: str, right: str, hole: Field) -> None:
    """Give a hole to two pools; the right one reaches 1.5 mm into the left one, which is drawn over it."""
    nearer = (regions[left] - regions[right]) / 2
    regions[left] = union(regions[left], intersection(hole, nearer))
    regions[right] = union(regions[right], intersection(hole, -nearer - 1.5))


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
    return with_defects_placed(heart, chest)
