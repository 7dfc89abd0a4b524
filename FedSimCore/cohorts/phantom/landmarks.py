"""Where the parts of the heart are.

The nominal frame is that of an adult of 1.85 m2: right, anterior, superior millimetres with the middle of the
left ventricular pool at the origin, in the mean pose. Positions follow the four-chamber mesh
``mesh_cemrg/healthy.vtk`` turned to RAS and a venous chest CT (``ct_cptac``), both in the shared data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from FedSimCore.cohorts.phantom.anatomy import Shape
from FedSimCore.cohorts.phantom.fields import Points, curve

Vector = NDArray[np.float64]

_APEX = np.array([-0.67, 0.58, -0.46])
_TO_RIGHT_VENTRICLE = np.array([0.62, 0.78, 0.08])

# Central fibrous body: the fixed point about which hearts are turned.
PIVOT_MM = np.array([30.0, -9.0, 24.0])
MIDLINE_MM = 42.0


def ventricular_axes() -> NDArray[np.float64]:
    """Return rows: septum to right ventricle, superior to inferior wall, base to apex; right-handed, RAS."""
    apex = _APEX / np.linalg.norm(_APEX)
    septal = _TO_RIGHT_VENTRICLE - (_TO_RIGHT_VENTRICLE @ apex) * apex
    septal /= np.linalg.norm(septal)
    return np.stack([septal, np.cross(apex, septal), apex])


AXES = ventricular_axes()


@dataclass(frozen=True)
class Pose:
    """How this heart is turned in the chest, about :data:`PIVOT_MM`."""

    rotation: Rotation

    @classmethod
    def of(cls, shape: Shape) -> Pose:
        """Compose azimuth (about the vertical), elevation (about the horizontal across the axis) and roll."""
        azimuth = Rotation.from_rotvec(np.array([0, 0, np.deg2rad(shape.azimuth_deg)]))
        across = np.cross(AXES[2], [0, 0, 1])
        elevation = Rotation.from_rotvec(np.deg2rad(shape.elevation_deg) * across / np.linalg.norm(across))
        roll = Rotation.from_rotvec(np.deg2rad(shape.roll_deg) * AXES[2])
        return cls(azimuth * elevation * roll)

    def to_heart(self, points: Points) -> Points:
        """Take points (3, ...) of the chest to the nominal pose of the heart."""
        pivot = PIVOT_MM.reshape(3, *[1] * (points.ndim - 1)).astype(np.float32)
        matrix = self.rotation.inv().as_matrix().astype(np.float32)
        return np.tensordot(matrix, points - pivot, axes=1) + pivot

    def to_chest(self, point_mm: ArrayLike) -> Vector:
        """Take landmarks (3,) or (n, 3) of the nominal heart to the chest."""
        return self.rotation.apply(np.asarray(point_mm, dtype=float) - PIVOT_MM) + PIVOT_MM


@dataclass(frozen=True)
class GreatArteries:
    """Valves (heart pose) and centrelines (chest) of aorta and pulmonary artery, nominal mm.

    Attributes:
        aortic_valve, pulmonary_valve: centres of the valves.
        aortic_axis, pulmonary_axis: directions of flow there.
        aorta: from valve to diaphragm (n, 3).
        trunk, right_branch, left_branch: pulmonary trunk to the bifurcation and its branches to the hila.
    """

    aortic_valve: Vector
    pulmonary_valve: Vector
    aortic_axis: Vector
    pulmonary_axis: Vector
    aorta: Vector
    trunk: Vector
    right_branch: Vector
    left_branch: Vector

    @property
    def bifurcation(self) -> Vector:
        """Where the trunk divides."""
        return self.trunk[-1]


_AORTA = {
    "normal": ([30, -6, 33], [[36, -4, 44], [43, -1, 58]], [[46, 1, 76], [44, -3, 96]]),
    "transposed": ([26, 20, 53], [[29, 21, 63], [32, 21, 73]], [[36, 18, 88], [38, 8, 102]]),
    "both_right": ([42, 13, 46], [[44, 14, 57], [46, 14, 68]], [[47, 11, 82], [44, 2, 99]]),
}
_TRUNK = {
    "normal": ([18, 16, 52], [[15, 12, 62]], [15, -8, 77]),
    "transposed": ([28, -4, 35], [[22, -6, 47], [18, -10, 62]], [19, -19, 77]),
    "both_right": ([18, 14, 52], [[15, 9, 62]], [15, -9, 77]),
}


def great_arteries(shape: Shape, pose: Pose, outflow: str) -> GreatArteries:
    """Place the great arteries of a heart with this pose and kind of outflow."""
    aortic_valve, near, far = (np.array(part, dtype=float) for part in _AORTA[outflow])
    aortic_valve = aortic_valve + shape.override_mm * AXES[0]
    bulge = np.array([shape.aorta_right_mm, shape.aorta_front_mm, 0])
    top = np.array([36, -22, 113 + shape.arch_height_mm])
    descending = [[24, -50, 104 + shape.arch_height_mm], [17, -66, 84], [16, -70, 50], [19, -70, 10], [26, -68, -40]]
    aorta_knots = [*pose.to_chest([aortic_valve, *near]), *(far + bulge), top, *descending, [31, -68, -120]]
    aorta = curve(aorta_knots, step_mm=5)

    pulmonary_valve, middle, fork = (np.array(part, dtype=float) for part in _TRUNK[outflow])
    left = np.array([-shape.trunk_left_mm, 0, 0])
    fork = pose.to_chest(fork) * 0.5 + fork * 0.5 + np.array([0, 0, shape.trunk_length_mm]) + 0.5 * left
    trunk = curve([*pose.to_chest([pulmonary_valve, *(middle + left)]), fork], step_mm=4)
    turn = Rotation.from_euler("z", shape.branch_angle_deg, degrees=True)
    right = fork + turn.apply([[0, -4, -1], [22, -13, -2], [46, -19, -5], [66, -25, -12], [84, -32, -26]])
    left_branch = fork + turn.apply([[0, -4, -1], [-9, -22, 4], [-20, -36, 1], [-32, -46, -12], [-42, -52, -34]])
    return GreatArteries(
        aortic_valve,
        pulmonary_valve,
        near[0] - aortic_valve,
        middle[0] - pulmonary_valve,
        aorta,
        trunk,
        curve(right, step_mm=6),
        curve(left_branch, step_mm=6),
    )
