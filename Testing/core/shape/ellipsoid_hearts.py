"""Seven overlapping ellipsoids for a heart: label maps whose shape, pose and one mode of variation are known."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from FedSimCore.anatomy import regions
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.procrustes import Similarity
from FedSimCore.volumes import Grid, Volume

# Centre and half axes in mm, about where the regions lie in a patient (RAS).
ELLIPSOIDS = {
    "lv": ((-20, 0, -10), (16, 16, 28)),
    "myo": ((-20, 0, -12), (25, 25, 38)),
    "rv": ((18, 16, -10), (20, 16, 28)),
    "la": ((-6, -24, 26), (20, 15, 17)),
    "ra": ((32, -8, 20), (16, 17, 20)),
    "ao": ((8, 2, 48), (11, 11, 24)),
    "pa": ((-20, 18, 46), (11, 12, 20)),
}


def ellipsoid_heart(
    weight: float = 0.0, pose: Similarity | None = None, spacing_mm: float = 2.0, name: str = "heart"
) -> LabelledHeart:
    """Return a heart whose right ventricle and atrium grow, and left ventricle shrinks, with ``weight``."""
    pose = pose or Similarity(np.eye(3), np.zeros(3), 1.0)
    grid = Grid.centered(int(200 / spacing_mm), spacing_mm, pose(np.array([0.0, 0.0, 8.0])))
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    points = pose.inverse()(grid.to_world(ijk))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    growth = {"rv": 0.15 * weight, "ra": 0.15 * weight, "lv": -0.1 * weight}
    for region in sorted(regions(), key=lambda r: -r.priority):
        centre, half_axes = (np.array(v, dtype=float) for v in ELLIPSOIDS[region.key])
        half_axes = half_axes * (1 + growth.get(region.key, 0.0))
        labels[(((points - centre) / half_axes) ** 2).sum(-1) < 1] = region.label
    return LabelledHeart.from_volume(name, Volume(labels, grid))


def small_pose(rng: np.random.Generator) -> Similarity:
    """Return a pose such as patients of one scanner have."""
    rotation = Rotation.from_rotvec(rng.normal(0, 0.08, 3)).as_matrix()
    return Similarity(rotation, rng.normal(0, 6, 3), float(np.exp(rng.normal(0, 0.08))))
