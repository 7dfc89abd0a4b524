"""Where a thorax has to be so that a given heart lies in it as hearts do.

Only what the surroundings need, found from the label map alone: size, midline, front, back, floor, and where vessels
enter and leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.anatomy import region
from FedSimCore.errors import InputError
from FedSimCore.volumes import Volume

Point = NDArray[np.float64]

ADULT_HEART_ML = 800.0
"""Volume of all seven regions of an adult heart with its vessels; sets the scale of the thorax around it."""

MIDLINE_OF_HEART_MM = np.array([28.0, 0.0, 0.0])
"""From the middle of an adult heart to the median plane; used where the label map lacks aorta or left atrium."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Positions in RAS mm and the scale of a thorax.

    Attributes:
        scale: length over that of an adult.
        heart: middle of the heart (3,).
        midline_x: R coordinate of the median plane.
        front_y: most anterior heart.
        back_y: most posterior heart.
        floor_z: lowest heart.
        roof_z: highest heart.
        aorta_top: end of the ascending aorta (3,).
        vena_cava_top: where the superior vena cava enters (3,).
        vena_cava_bottom: where the inferior vena cava enters (3,).
        veins: right and left side of the left atrium (2, 3), where the pulmonary veins enter.
        hila: right and left lung root (2, 3), where the pulmonary arteries enter.
    """

    scale: float
    heart: Point
    midline_x: float
    front_y: float
    back_y: float
    floor_z: float
    roof_z: float
    aorta_top: Point
    vena_cava_top: Point
    vena_cava_bottom: Point
    veins: Point
    hila: Point

    @classmethod
    def of(cls, heart: Volume) -> Landmarks:
        """Find the landmarks of a label map.

        Raises:
            InputError: the label map holds none of the seven regions.
        """
        index = np.argwhere(heart.array > 0)
        if len(index) == 0:
            raise InputError("The label map is empty: there is no heart to put a thorax around.")
        points = heart.grid.to_world(index)
        label = heart.array[tuple(index.T)]
        volume_ml = len(index) * heart.grid.voxel_volume_mm3 / 1000.0
        scale = (volume_ml / ADULT_HEART_ML) ** (1 / 3)
        middle = points.mean(axis=0)
        low, high = np.percentile(points, [0.2, 99.8], axis=0)

        def points_of(key: str) -> Point | None:
            chosen = points[label == region(key).label]
            return chosen if len(chosen) else None

        aorta, left, right, pulmonary = (points_of(key) for key in ("ao", "la", "ra", "pa"))
        midline = middle + MIDLINE_OF_HEART_MM * scale
        if aorta is not None and left is not None:
            # The ascending aorta lies a little to the right of the midline, the left atrium a little to the left.
            midline = (aorta.mean(axis=0) + left.mean(axis=0)) / 2
        left = midline[None] if left is None else left
        right = midline[None] + [25 * scale, 0, 0] if right is None else right
        aorta = midline[None] + [0, 0, 40 * scale] if aorta is None else aorta
        pulmonary = aorta if pulmonary is None else pulmonary
        return cls(
            scale=float(scale),
            heart=middle,
            midline_x=float(midline[0]),
            front_y=float(high[1]),
            back_y=float(np.percentile(left[:, 1], 1)),
            floor_z=float(low[2]),
            roof_z=float(high[2]),
            aorta_top=_end(aorta, np.array([0, -0.5, 1.0])),
            vena_cava_top=_end(right, np.array([0.2, -0.2, 1.0])),
            vena_cava_bottom=_end(right, np.array([0.1, -0.3, -1.0])),
            veins=np.stack([_end(left, np.array([side, -0.4, 0.1])) for side in (1.0, -1.0)]),
            hila=np.stack([_end(pulmonary, np.array([side, -0.4, 0.2])) for side in (1.0, -1.0)]),
        )


def _end(points: Point, direction: Point) -> Point:
    """Return the middle of the 3 % of ``points`` that lie farthest in ``direction``."""
    reach = points @ direction
    return np.asarray(points[reach >= np.percentile(reach, 97)].mean(axis=0))
