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
# Both walls where two vessels or pools lie side by side.
_BETWEEN_VESSELS_MM = 2.4


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


@dataclass(frozen=True)
class _Frame:
    """A heart and the lattice in all its frames; ``mitral`` and ``tricuspid`` are positive on the ventricles' side."""

    heart: Heart
    chest: Points
    points: Points
    local: Points
    mitral: Field
    tricuspid: Field


@dataclass(frozen=True)
class _Arteries:
    """The great arteries, and the distance past their valves: positive downstream."""

    aorta: Field
    trunk: Field
    pulmonary: Field
    past_aortic_valve: Field
    past_pulmonary_valve: Field


@dataclass(frozen=True)
class _LeftVentricle:
    pool: Field
    wall: Field
    epicardium: Field
    tract: Field


def carve(heart: Heart, chest: Points) -> Carved:
    """Compute the regions of a heart at points (3, ...) of the nominal chest frame."""
    points = heart.pose.to_heart(chest)
    local = parts.ventricular_coordinates(heart, points)
    frame = _Frame(
        heart,
        chest,
        points,
        local,
        mitral=half_space(local, MITRAL, (-0.12, 0, 1)),
        tricuspid=half_space(local, TRICUSPID, (-0.25, -0.1, 1)),
    )
    arteries = _great_arteries(frame)
    left = _left_ventricle(frame, arteries)
    right = _right_ventricle(frame, arteries, left)
    left_atrium = _left_atrium(frame, arteries, left, right)
    right_atrium = _right_atrium(frame, arteries, left, right, left_atrium)
    pools = _with_defects(frame, {"lv": left.pool, "rv": right, "la": left_atrium, "ra": right_atrium})
    fork = heart.arteries.bifurcation
    labelled = union(arteries.trunk - 1, capsule(chest, fork, fork, PULMONARY_BRANCH_LENGTH_MM))
    regions = {
        **pools,
        "myo": left.wall,
        "ao": intersection(arteries.aorta, _end_of_ascending(heart, chest)),
        "pa": intersection(arteries.pulmonary, labelled),
    }
    regions = {key: field.astype(np.float32) for key, field in regions.items()}
    return Carved(regions, arteries.aorta, arteries.pulmonary)


def _great_arteries(frame: _Frame) -> _Arteries:
    aorta, beyond_aortic = parts.ascending_aorta(frame.heart, frame.chest, frame.points)
    trunk, branches, beyond_pulmonary = parts.pulmonary_artery(frame.heart, frame.chest, frame.points)
    aorta = intersection(aorta, -beyond_aortic)
    trunk = intersection(trunk, -beyond_pulmonary)
    pulmonary = cut(union(trunk, branches, 5), aorta - VESSEL_WALL_MM, 1)
    return _Arteries(aorta, trunk, pulmonary, beyond_aortic, beyond_pulmonary)


def _left_ventricle(frame: _Frame, arteries: _Arteries) -> _LeftVentricle:
    """Cut cavity and epicardium at the mitral plane, and lead the outflow, in its sleeve of muscle, to its valve."""
    heart, above_base = frame.heart, -frame.mitral
    cavity, epicardium = parts.left_ventricle(heart, frame.local)
    tract = parts.outflow_tract(heart, frame.points)
    inflow = capsule(frame.local, MITRAL, MITRAL + np.array([0, 0, 20]), 15)
    pool = union(intersection(cavity, above_base, 4), intersection(inflow, above_base), 3)
    pool, sleeve = union(pool, tract, 3), tract - 3
    if heart.outflow != "both_right":
        gate = arteries.past_pulmonary_valve if heart.outflow == "transposed" else arteries.past_aortic_valve
        pool, sleeve = intersection(pool, gate), intersection(sleeve, gate)
    wall = union(intersection(epicardium, above_base), sleeve, 2)
    for artery in (arteries.aorta, arteries.pulmonary):
        wall = cut(wall, artery - VESSEL_WALL_MM / 2)
    return _LeftVentricle(pool, wall, epicardium, tract)


def _right_ventricle(frame: _Frame, arteries: _Arteries, left: _LeftVentricle) -> Field:
    """Cut the sinus at the tricuspid plane, lead its outflow to its valves, and carve the left ventricle out of it."""
    heart = frame.heart
    sinus = intersection(parts.right_ventricle(heart, frame.local), -frame.tricuspid, 7)
    # Behind the septum's base lies the crux of the heart, not the right ventricle.
    sinus = intersection(sinus, half_space(frame.local, (24, 0, -38), (-0.83, 0, -0.56)), 5)
    mouth = capsule(frame.local, TRICUSPID, TRICUSPID + np.array([0, 0, 20]), 16)
    sinus = union(sinus, intersection(mouth, -frame.tricuspid), 4)
    own = {"normal": (False, True), "transposed": (True, False), "both_right": (True, True)}[heart.outflow]
    vessels = (arteries.aorta, arteries.pulmonary)
    conus = parts.infundibulum(heart, frame.points)
    for gate, leaves in zip((arteries.past_aortic_valve, arteries.past_pulmonary_valve), own, strict=True):
        conus = intersection(conus, gate) if leaves else conus
    pool = union(sinus, conus, 6)
    for vessel, leaves in zip(vessels, own, strict=True):
        pool = cut(pool, vessel if leaves else vessel - _BETWEEN_VESSELS_MM)
    return cut(cut(pool, left.wall, 1.5), left.pool - 2)


def _left_atrium(frame: _Frame, arteries: _Arteries, left: _LeftVentricle, right: Field) -> Field:
    body, appendage = parts.left_atrium(frame.heart, frame.points)
    walls = union(arteries.aorta, arteries.pulmonary) - VESSEL_WALL_MM
    appendage = cut(cut(appendage, left.epicardium - 1.5), walls - 1, 1)
    atrium = union(intersection(body, frame.mitral), appendage, 4)
    atrium = cut(cut(atrium, walls, 2), left.pool)
    return cut(cut(atrium, left.tract - 1.5), right - _BETWEEN_VESSELS_MM)


def _right_atrium(frame: _Frame, arteries: _Arteries, left: _LeftVentricle, right: Field, left_atrium: Field) -> Field:
    body, appendage = parts.right_atrium(frame.heart, frame.points)
    walls = union(arteries.aorta, arteries.pulmonary) - VESSEL_WALL_MM
    appendage = cut(cut(appendage, right - 3), walls - 1, 1)
    atrium = union(intersection(body, frame.tricuspid), appendage, 4)
    atrium = cut(cut(atrium, walls, 2), left_atrium - SEPTUM_MM, 2)
    return cut(cut(atrium, union(left.wall, left.pool) - 1.5), right)


def _end_of_ascending(heart: Heart, chest: Points) -> Field:
    centerline = heart.arteries.aorta
    index = round(_ASCENDING_AORTA_LENGTH_MM[heart.outflow] / 5)
    return half_space(chest, centerline[index], centerline[index + 1] - centerline[index - 1])


def _with_defects(frame: _Frame, pools: dict[str, Field]) -> dict[str, Field]:
    """Open the septa where the heart has a defect: the hole is shared out to the nearer pool."""
    heart, regions = frame.heart, dict(pools)
    if heart.atrial_defect_mm is not None:
        place, across = np.array(heart.atrial_defect_mm), np.array([11.0, 8.0, -4.0])
        _share(regions, "la", "ra", capsule(frame.points, place - across, place + across, heart.shape.asd_mm / 2))
    if heart.ventricular_defect_mm is not None:
        place, across = np.array(heart.ventricular_defect_mm), np.array([14.0, 0, 0])
        _share(regions, "lv", "rv", capsule(frame.local, place - across, place + across, heart.shape.vsd_mm / 2))
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


def grown(heart: Heart, deformation: Deformation, spacing_mm: float = 3.0, rounds: int = 3) -> Heart:
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
