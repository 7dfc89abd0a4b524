"""What is inside the pools but blood: papillary muscles, trabeculae, moderator band, valve leaflets.

As clinicians trace it, the labels count all of this as pool; only the image shows it.
"""

from __future__ import annotations

import numpy as np

from FedSimCore.cohorts.phantom.canvas import Canvas
from FedSimCore.cohorts.phantom.fields import Field, Points, capsule, curve, half_space, intersection, tube
from FedSimCore.cohorts.phantom.heart import MITRAL, TRICUSPID, Heart, ventricular_coordinates


def paint_inside_ventricles(
    canvas: Canvas, heart: Heart, regions: dict[str, Field], points: Points, muscle_hu: float, rng: np.random.Generator
) -> None:
    """Paint papillary muscles, moderator band and the sponge of trabeculae of both ventricles."""
    local = ventricular_coordinates(heart, heart.pose.to_heart(points))
    grow = heart.growth.lv
    for x, y in ((-9.0, -17.0), (-3.0, 17.0)):
        x, y = x + rng.normal(0, 2), y + rng.normal(0, 2)
        foot = MITRAL + (np.array([1.15 * x, 1.15 * y, 30 + rng.normal(0, 3)]) - MITRAL) * grow
        head = MITRAL + (np.array([0.8 * x, 0.8 * y, -4 + rng.normal(0, 3)]) - MITRAL) * grow
        fork = head + np.array([rng.normal(0, 3), rng.normal(0, 3), rng.normal(-2, 2)])
        muscle = np.minimum(capsule(local, foot, head, 5.0, 3.2), capsule(local, (foot + head) / 2, fork, 3.5, 2.2))
        canvas.paint(intersection(muscle, regions["lv"]), muscle_hu)
    band = curve([[26, -6, 8], [40, 2, 18], [52, 6, 20]], 6)
    canvas.paint(intersection(tube(local, band, 2.2), regions["rv"]), muscle_hu)
    apical = np.clip((local[2] + 25) / 50, 0, 1)
    _paint_trabeculae(canvas, regions["lv"], 1.2 + 3.3 * apical, muscle_hu, 5.0, rng)
    septum = np.clip(regions["myo"] / 4, 0.3, 1)
    _paint_trabeculae(canvas, regions["rv"], (1.8 + 4.0 * apical) * septum, muscle_hu, 5.5, rng)


def _paint_trabeculae(
    canvas: Canvas, pool: Field, depth_mm: Field, muscle_hu: float, length_mm: float, rng: np.random.Generator
) -> None:
    """Paint ridges that stand up to ``depth_mm`` (nominal, coarse lattice) from the wall into a pool."""
    block = canvas.block(pool)
    if block is None:
        return
    from_wall = -canvas.distance(pool, block)
    depth = canvas.on(depth_mm.astype(np.float32), block) * np.float32(canvas.scale)
    ridge = 1 - np.abs(canvas.noise(2 * length_mm, block, rng)) * 1.5
    ridge = np.clip(ridge + 0.35 * canvas.noise(length_mm, block, rng), 0, 1.3)
    height = depth * ridge
    share = np.clip(0.5 + (height - from_wall) / canvas.voxel_mm, 0, 1) * np.clip(
        0.5 + from_wall / canvas.voxel_mm, 0, 1
    )
    canvas.blend(block, share * np.float32(0.9), muscle_hu)


def paint_valves(canvas: Canvas, heart: Heart, regions: dict[str, Field], points: Points, hu: float) -> None:
    """Paint leaflets: open atrioventricular valves as funnels, closed semilunar valves as shallow cups."""
    in_heart = heart.pose.to_heart(points)
    local = ventricular_coordinates(heart, in_heart)
    for center, pool, radius, reach in ((MITRAL, "lv", 14.0, 17.0), (TRICUSPID, "rv", 16.0, 16.0)):
        along = local[2] - center[2]
        from_axis = np.hypot(local[0] - center[0], local[1] - center[1])
        funnel = np.abs(from_axis - radius + 0.33 * along) * 0.95 - 0.55
        funnel = np.maximum(funnel, np.maximum(-along, along - reach))
        canvas.paint(intersection(funnel.astype(np.float32), regions[pool]), hu, opacity=0.8)
    arteries = heart.arteries
    for key, valve, axis in (
        ("ao", arteries.aortic_valve, arteries.aortic_axis),
        ("pa", arteries.pulmonary_valve, arteries.pulmonary_axis),
    ):
        above = half_space(in_heart, valve, axis)
        offset = in_heart - np.asarray(valve, dtype=np.float32).reshape(3, 1, 1, 1)
        from_axis = np.sqrt(np.maximum((offset**2).sum(0) - above**2, 0))
        cup = np.abs(above - 3.0 - 0.03 * from_axis**2) * 0.8 - 0.5
        cup = np.maximum(cup, above - 11)
        canvas.paint(intersection(cup.astype(np.float32), regions[key]), hu, opacity=0.7)
