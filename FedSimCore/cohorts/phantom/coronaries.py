"""Coronary arteries and sinus, laid on the surface of the heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.cohorts.phantom.fields import Field, curve, tube
from FedSimCore.cohorts.phantom.heart import MITRAL, TRICUSPID, Heart, to_ras
from FedSimCore.cohorts.phantom.warp import Axes, mesh

# Angle in degrees, 0 towards the right ventricle and 90 inferior, and depth towards the apex in mm.
_COURSES = {
    "lad": (MITRAL, [(-80, -8), (-62, 4), (-58, 20), (-58, 36), (-60, 50), (-60, 62)], (1.9, 1.0)),
    "circumflex": (MITRAL, [(-95, -8), (-125, -6), (-160, -4), (165, -3)], (1.7, 1.0)),
    "right": (TRICUSPID, [(-115, -6), (-70, -5), (-25, -3), (20, -2), (65, -2), (105, -2)], (1.9, 1.3)),
    "descending": (MITRAL, [(72, 0), (66, 14), (62, 30), (60, 44)], (1.2, 0.8)),
    "sinus": (MITRAL, [(170, -6), (140, -7), (115, -8), (95, -8)], (2.0, 4.5)),
}


def coronaries(heart: Heart, whole: Field, axes: Axes) -> dict[str, Field]:
    """Return the signed distances (nominal mm) to the coronary arteries and the coronary sinus.

    Each course is given by angles round a valve and depths towards the apex; the surface is found by going
    outwards from the ventricle's axis until the chambers' surface is passed by 2.5 mm.

    Args:
        heart: for the pose and the places of the valves.
        whole: signed distance to the nearest chamber on a lattice.
        axes: of that lattice, nominal mm.
    """
    points = mesh(axes)
    fields = {}
    for name, (center, course, radii) in _COURSES.items():
        path = [_on_surface(heart, whole, axes, center, angle, depth) for angle, depth in course]
        line = curve([point for point in path if point is not None], 5)
        # The distance is interpolated from a coarse lattice later, which rounds off its tip: hence the extra 0.3 mm.
        fields[name] = tube(points, line, np.linspace(*radii, len(line)) + 0.3)
    return fields


def _on_surface(
    heart: Heart, whole: Field, axes: Axes, center: NDArray[np.float64], angle_deg: float, depth_mm: float
) -> NDArray[np.float64]:
    angle = np.deg2rad(angle_deg)
    outward = np.array([np.cos(angle), np.sin(angle), 0.0])
    steps = np.arange(5.0, 90.0, 1.0)
    ray = to_ras(center + [0, 0, depth_mm] + steps[:, None] * outward)
    ray = heart.pose.to_chest(ray)
    spacing = [axis[1] - axis[0] for axis in axes]
    index = [(ray[:, i] - axes[i][0]) / spacing[i] for i in range(3)]
    distance = ndimage.map_coordinates(whole, index, order=1, mode="nearest")
    inside = np.nonzero(distance < 2.5)[0]
    return ray[min(inside[-1] + 1, len(ray) - 1)] if len(inside) else ray[0]
