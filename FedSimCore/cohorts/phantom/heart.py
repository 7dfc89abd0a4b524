"""The heart as implicit shapes: ventricles, atria and great arteries, before they are carved against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from FedSimCore.cohorts.phantom.anatomy import Shape, Targets
from FedSimCore.cohorts.phantom.fields import (
    FAR_MM,
    Field,
    Points,
    capsule,
    curve,
    ellipsoid,
    half_space,
    intersection,
    tube,
    union,
)
from FedSimCore.cohorts.phantom.landmarks import AXES, GreatArteries, Pose, great_arteries

# Centres of the atrioventricular valves in ventricular coordinates (to RV, inferior, to apex).
MITRAL = np.array([-2.0, 3.0, -37.0])
TRICUSPID = np.array([37.0, 13.0, -38.0])
SEPTUM_MM = 2.4
VESSEL_WALL_MM = 1.6
# First point of the aorta's centreline (5 mm apart) that belongs to the arch.
ARCH_INDEX = 17


@dataclass(frozen=True)
class Growth:
    """Factors on the nominal size of the four chambers, found so that their volumes meet the targets."""

    lv: float = 1.0
    rv: float = 1.0
    la: float = 1.0
    ra: float = 1.0

    def times(self, **factors: float) -> Growth:
        """Multiply some of the factors."""
        return replace(self, **{name: getattr(self, name) * factor for name, factor in factors.items()})


@dataclass(frozen=True)
class Heart:
    """What is needed to draw one heart, in nominal (adult) mm.

    Attributes:
        shape: numbers of form and place.
        targets: sizes divided by the subject's length scale (or its cube).
        outflow: which great artery leaves which ventricle.
        growth: factors that make the chambers meet the targets.
        atrial_defect_mm: centre of a hole between the atria (heart's pose), if there is one.
        ventricular_defect_mm: centre of a hole between the ventricles (ventricular coordinates), if there is one.
    """

    shape: Shape
    targets: Targets
    outflow: str
    growth: Growth = Growth()
    atrial_defect_mm: tuple[float, float, float] | None = None
    ventricular_defect_mm: tuple[float, float, float] | None = None

    @property
    def pose(self) -> Pose:
        """How the heart is turned in the chest."""
        return Pose.of(self.shape)

    @property
    def arteries(self) -> GreatArteries:
        """Course of the great arteries."""
        return great_arteries(self.shape, self.pose, self.outflow)


def ventricular_coordinates(heart: Heart, points_heart: Points) -> Points:
    """Take points in the heart's pose to (to RV, inferior, to apex), bent and twisted back to a straight ventricle."""
    local = np.tensordot(AXES.astype(np.float32), points_heart, axes=1)
    depth = (local[2] - MITRAL[2]) / 88
    angle = np.float32(np.deg2rad(heart.shape.twist_deg)) * np.clip(depth, -0.3, 1.2)
    cos, sin = np.cos(angle), np.sin(angle)
    x = cos * local[0] + sin * local[1]
    y = -sin * local[0] + cos * local[1]
    x += heart.shape.bend_mm * (1 - (2 * np.clip(depth, -0.2, 1.2) - 1) ** 2)
    return np.stack([x, y, local[2]])


def left_ventricle(heart: Heart, local: Points) -> tuple[Field, Field]:
    """Return the uncut cavity and the epicardium in ventricular coordinates; both are open towards the base."""
    shape, grow = heart.shape, heart.growth.lv
    mitral = MITRAL.reshape(3, 1, 1, 1).astype(np.float32)
    x, y, z = (local - mitral) / np.float32(grow) + mitral
    slim = shape.lv_length ** (-1 / 3)
    semi = np.array([25.5 * slim / np.sqrt(shape.lv_oval), 26.5 * slim * np.sqrt(shape.lv_oval), 59 * slim**-2])
    apex = 48 + (semi[2] - 59)
    straight = np.stack([x, y, z])
    cavity = ellipsoid(straight, [0, 0, apex - semi[2]], semi) * grow
    if shape.septum_flat > 0:
        flat = (x - semi[0] * (1 - 0.6 * shape.septum_flat)) * grow
        cavity = intersection(cavity, flat.astype(np.float32), 10)
    septal = np.clip(x / 25, -1, 1)
    basal = np.clip((20 - z) / 40, 0, 1)
    apical = np.clip((z - 18) / 30, 0, 1)
    relative = 1 + shape.septum_excess * septal * basal - shape.apex_thinning * apical
    wall = heart.targets.lv_wall_mm * relative / (1 - 0.35 * shape.apex_thinning)
    return cavity, (cavity - wall).astype(np.float32)


def right_ventricle(heart: Heart, local: Points) -> Field:
    """Return the outer form of the right ventricular sinus; the left ventricle is carved out of it later."""
    shape, grow = heart.shape, heart.growth.rv
    turn = np.deg2rad(shape.rv_turn_deg)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x, y = cos * local[0] + sin * local[1], -sin * local[0] + cos * local[1]
    turned = np.stack([x, y, local[2]])
    depth = np.sqrt(shape.rv_depth)
    semi = np.array([45 * depth, 39 / depth, 50 + 0.5 * shape.rv_reach_mm]) * grow
    center = np.array([20.0, 4.0, -3.0 + 0.5 * shape.rv_reach_mm])
    anchor = np.array([20.0, 6.0, TRICUSPID[2]])
    return ellipsoid(turned, anchor + (center - anchor) * grow, semi)


def to_ras(ventricular_mm: np.ndarray) -> np.ndarray:
    """Take a point (to RV, inferior, to apex) of a straight ventricle to RAS in the heart's nominal pose."""
    return np.asarray(ventricular_mm) @ AXES


def left_atrium(heart: Heart, points: Points) -> tuple[Field, Field]:
    """Return the body with its veins' mouths, and the appendage, in the heart's pose."""
    shape, grow = heart.shape, heart.growth.la
    center = np.array([43.0, -31.0, 28.0])
    semi = np.array([33 / np.sqrt(shape.la_flat), 23 * shape.la_flat, 28.5 * shape.la_tall]) * grow
    body = ellipsoid(points, center, semi)
    mouth = capsule(points, center, to_ras(MITRAL), 15 * grow, 14.5)
    body = union(body, mouth, 8)
    for vein in pulmonary_veins(heart):
        body = union(body, tube(points, vein[:3], [7.5, 6.5, 6.0]), 6)
    # It hooks forward round the left side of the pulmonary trunk.
    length, curl = shape.appendage, shape.appendage_curl
    tip = [2.0 + 3 * length, -12 + 17 * length, 46 + curl]
    line = curve(
        [[20.0, -26.0, 40.0], [4.0, -20.0, 43 + 0.4 * curl], [-1.0, -14 + 6 * length, 45 + 0.7 * curl], tip], 4
    )
    appendage = tube(points, line, np.interp(np.linspace(0, 1, len(line)), [0, 0.35, 0.8, 1], [9, 7.5, 7, 4]))
    return body, appendage


def pulmonary_veins(heart: Heart) -> list[np.ndarray]:
    """Return the centrelines of the pulmonary veins from the atrium into the lungs, heart's pose."""
    spread = 11 * heart.shape.vein_spread
    middle = 28.0
    right_upper = [
        [60, -34, middle + 0.8 * spread],
        [69, -36, middle + spread],
        [78, -38, middle + 1.5 * spread],
        [96, -36, middle + 3 * spread],
    ]
    right_lower = [
        [60, -38, middle - 0.8 * spread],
        [69, -43, middle - spread],
        [78, -48, middle - 1.1 * spread],
        [96, -62, middle - 2 * spread],
    ]
    left_upper = [
        [26, -32, middle + 0.9 * spread],
        [16, -33, middle + 1.3 * spread],
        [6, -36, middle + 1.7 * spread],
        [-14, -34, middle + 3 * spread],
    ]
    left_lower = [
        [26, -40, middle - 0.4 * spread],
        [16, -46, middle - 0.5 * spread],
        [6, -52, middle - 0.7 * spread],
        [-14, -66, middle - 2 * spread],
    ]
    if heart.shape.left_common_vein > 1.1:
        stem = [[26, -36, middle + 0.3 * spread], [15, -40, middle + 0.5 * spread]]
        left_upper[:2], left_lower[:2] = stem, stem
    return [curve(knots, 8) for knots in (right_upper, right_lower, left_upper, left_lower)]


def right_atrium(heart: Heart, points: Points) -> tuple[Field, Field]:
    """Return the body with the mouths of the caval veins, and the appendage, in the heart's pose."""
    shape, grow = heart.shape, heart.growth.ra
    center = np.array([70.0, -7.0, 13.0])
    semi = np.array([26.0, 30 / np.sqrt(shape.ra_tall), 35 * shape.ra_tall]) * grow
    body = ellipsoid(points, center + np.array([4.0, 0, 0]) * (grow - 1), semi)
    body = union(body, capsule(points, center, to_ras(TRICUSPID), 20 * grow, 17), 8)
    knots = curve([[68, 6, 26], [58, 17, 38], [47, 22, 45]], 4)
    appendage = tube(points, knots, np.interp(np.linspace(0, 1, len(knots)), [0, 0.5, 1], [11, 10, 6]))
    return body, appendage


def aortic_radii(heart: Heart) -> np.ndarray:
    """Return the radius (nominal mm) at each point of the aorta's centreline."""
    arc = 5.0 * np.arange(len(heart.arteries.aorta))
    along = [0, 12, 24, 40, 90, 130, 190, 400]
    relative = [heart.shape.aortic_valve, 1.05, 0.97, 1, 0.95, 0.82, 0.75, 0.66]
    return heart.targets.aorta_mm / 2 * np.interp(arc, along, relative)


def ascending_aorta(heart: Heart, chest: Points, points: Points) -> tuple[Field, Field]:
    """Return root and ascending aorta up to the arch, and the height (mm) above the valve (positive: downstream)."""
    arteries, radius = heart.arteries, heart.targets.aorta_mm / 2
    whole = tube(chest, arteries.aorta[:ARCH_INDEX], aortic_radii(heart)[:ARCH_INDEX])
    axis = arteries.aortic_axis / np.linalg.norm(arteries.aortic_axis)
    above = half_space(points, arteries.aortic_valve, axis)
    aside = np.cross(axis, AXES[2])
    aside /= np.linalg.norm(aside)
    for turn in np.deg2rad([30, 150, 270]):
        outward = np.cos(turn) * aside + np.sin(turn) * np.cross(axis, aside)
        sinus = arteries.aortic_valve + 9 * axis + 0.5 * radius * outward
        whole = union(whole, ellipsoid(points, sinus, [0.66 * radius, 0.66 * radius, 0.66 * radius]), 3)
    return whole, above


def pulmonary_artery(heart: Heart, chest: Points, points: Points) -> tuple[Field, Field, Field]:
    """Return trunk, branches, and the height (mm) above the plane of the valve (positive: downstream)."""
    arteries, radius = heart.arteries, heart.targets.pa_mm / 2
    along = np.linspace(0, 1, len(arteries.trunk))
    trunk = tube(
        chest, arteries.trunk, radius * np.interp(along, [0, 0.35, 1], [heart.shape.pulmonary_valve, 1.0, 0.98])
    )
    branches = np.full_like(trunk, FAR_MM)
    for branch, start in ((arteries.right_branch, 0.72), (arteries.left_branch, 0.74)):
        fraction = np.linspace(0, 1, len(branch))
        radii = radius * np.interp(fraction, [0, 0.6, 1], [start, start - 0.06, 0.35])
        branches = union(branches, tube(chest, branch, radii))
    above = half_space(points, arteries.pulmonary_valve, arteries.pulmonary_axis)
    return trunk, branches, above


def infundibulum(heart: Heart, points: Points) -> Field:
    """Return the outflow of the right ventricle up to its great artery (or both), heart's pose."""
    arteries, width = heart.arteries, heart.shape.rvot

    def channel(valve: np.ndarray, valve_radius: float, start: tuple[float, float, float]) -> Field:
        middle = 0.45 * np.asarray(start) + 0.55 * valve + np.array([2.0, 5.0, 0.0])
        knots = curve([start, middle, valve], 4)
        radii = np.interp(np.linspace(0, 1, len(knots)), [0, 0.6, 1], [20, 15.5 * width, valve_radius])
        return tube(points, knots, radii)

    pulmonary = heart.targets.pa_mm / 2 * heart.shape.pulmonary_valve
    aortic = heart.targets.aorta_mm / 2 * heart.shape.aortic_valve
    if heart.outflow == "transposed":
        return channel(arteries.aortic_valve, aortic, (27, 32, 24))
    out = channel(arteries.pulmonary_valve, pulmonary, (24, 32, 24))
    if heart.outflow == "both_right":
        out = union(out, channel(arteries.aortic_valve, aortic, (36, 27, 20)), 4)
    return out


def outflow_tract(heart: Heart, points: Points) -> Field:
    """Return the outflow of the left ventricle up to its great artery, heart's pose; with two on the right, a stump."""
    arteries, start = heart.arteries, to_ras(np.array([6.0, -5.0, -22.0]))
    if heart.outflow == "both_right":
        return capsule(points, start, to_ras(np.array([14.0, -8.0, -30.0])), 10)
    if heart.outflow == "transposed":
        return capsule(
            points, start, arteries.pulmonary_valve, 12, heart.targets.pa_mm / 2 * heart.shape.pulmonary_valve
        )
    return capsule(points, start, arteries.aortic_valve, 13, heart.targets.aorta_mm / 2 * heart.shape.aortic_valve)
