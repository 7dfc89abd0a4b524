"""Every tissue in its HU, from air to coronary arteries, in the order in which one hides the other."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from FedSimCore.cohorts.phantom.canvas import Canvas
from FedSimCore.cohorts.phantom.carving import Carved
from FedSimCore.cohorts.phantom.coronaries import coronaries
from FedSimCore.cohorts.phantom.endocardium import paint_inside_ventricles, paint_valves
from FedSimCore.cohorts.phantom.fields import Field, Points, cut, intersection, union
from FedSimCore.cohorts.phantom.heart import VESSEL_WALL_MM, Heart
from FedSimCore.cohorts.phantom.scanning import Scan
from FedSimCore.cohorts.phantom.warp import SmoothNoise

_ATRIAL_WALL_MM = 1.8


def paint_chest(canvas: Canvas, tissues: dict[str, Field], scan: Scan, rng: np.random.Generator) -> None:
    """Paint chest wall, lungs, mediastinum, abdomen and bones."""
    hu = scan.tissue_hu
    canvas.paint(tissues["skin"], hu("skin"))
    canvas.paint(tissues["skin"] + 1.8, hu("fat") + 6 * _texture(canvas, 9, rng))
    canvas.paint(intersection(tissues["muscle"], -tissues["inside"] + 1), hu("muscle") + 12 * _texture(canvas, 6, rng))
    canvas.paint(tissues["back_muscle"], hu("muscle"))
    canvas.paint(tissues["cartilage"], hu("cartilage"))
    _paint_bone(canvas, tissues["rib"], scan, rng)
    _paint_lungs(canvas, tissues, scan, rng)
    canvas.paint(intersection(tissues["mediastinum"], tissues["inside"]), hu("fat") + 10 * _texture(canvas, 7, rng))
    organ = scan.iodine_slope * scan.iodine["organ"]
    canvas.paint(intersection(tissues["thymus"], tissues["inside"] + 1), hu("thymus") + 0.7 * organ)
    canvas.paint(intersection(tissues["abdomen"], tissues["inside"]), hu("muscle"))
    canvas.paint(intersection(tissues["abdomen"] + 2.2, tissues["inside"]), hu("fat") + 14 * _texture(canvas, 8, rng))
    for name in ("stomach", "spleen", "liver"):
        bright = hu(name) + organ * {"stomach": 0.2, "spleen": 1.6, "liver": 1.0}[name]
        canvas.paint(intersection(tissues[name], tissues["inside"] + 2), float(bright))
    canvas.paint(tissues["gas"], hu("air"))
    _paint_bone(canvas, tissues["vertebra"], scan, rng)
    canvas.paint(tissues["disc"], hu("disc"))
    canvas.paint(tissues["canal"], hu("canal"))
    _paint_bone(canvas, tissues["sternum"], scan, rng)
    canvas.paint(tissues["oesophagus"], hu("oesophagus"))
    canvas.paint(tissues["airway"] - 1.3, hu("wall"))
    canvas.paint(tissues["airway"], hu("air"))


def _paint_bone(canvas: Canvas, bone: Field, scan: Scan, rng: np.random.Generator) -> None:
    canvas.paint(bone, scan.tissue_hu("cortical_bone"))
    canvas.paint(bone + 1.1, scan.tissue_hu("spongy_bone") + 45 * _texture(canvas, 6, rng))


def _paint_lungs(canvas: Canvas, tissues: dict[str, Field], scan: Scan, rng: np.random.Generator) -> None:
    """Paint aerated lung, denser towards the back where it hangs, and its vessels.

    A vessel is where two independent noise fields are both near zero: such lines wander and never end. They
    are fine outwards and thick near the hila.
    """
    lung = np.maximum.reduce([tissues["inside"], -tissues["mediastinum"], -tissues["abdomen"]])
    depth = np.clip((20 - canvas.coarse[1]) / 150, 0, 1)[None, :, None]
    aerated = scan.tissue_hu("lung") + 60 * depth + 18 * _texture(canvas, 12, rng)
    canvas.paint(intersection(tissues["inside"], tissues["muscle"]), aerated.astype(np.float32))
    block = canvas.block(lung)
    if block is None:
        return
    x, y, z = np.meshgrid(*canvas.coarse, indexing="ij", sparse=True)
    hilum = np.sqrt((np.abs(x - 40) - 42) ** 2 + (y + 40) ** 2 + 0.7 * (z - 60) ** 2)
    taper = np.exp(-np.maximum(hilum - 20, 0) / 70) * np.clip(1 - lung / 2, 0, 1)
    for length, thick in ((34.0, 3.4), (18.0, 1.6)):
        a, b = canvas.noise(length, block, rng), canvas.noise(length, block, rng)
        # A unit of smooth noise of this length changes over about a quarter of it.
        from_line = np.hypot(a, b, out=a)
        from_line *= np.float32(-0.27 * length * canvas.scale / canvas.voxel_mm)
        from_line += canvas.on((thick * canvas.scale / canvas.voxel_mm * taper).astype(np.float32), block) + 0.5
        canvas.blend(block, np.clip(from_line, 0, 1, out=from_line), scan.blood_hu("pa") * 0.85)


def paint_vessels(canvas: Canvas, tissues: dict[str, Field], carved: Carved, scan: Scan) -> None:
    """Paint the vessels without labels: arch and descending aorta, pulmonary branches and veins, caval veins."""
    lumens = [
        (tissues["ivc"], "ivc"),
        (tissues["pulmonary_veins"], "left"),
        (carved.pulmonary, "pa"),
        (tissues["svc"], "svc"),
        (union(tissues["descending_aorta"], carved.aorta), "left"),
    ]
    if "duct" in tissues:
        lumens.append((tissues["duct"], "left"))
    for lumen, _ in lumens:
        canvas.paint(lumen - VESSEL_WALL_MM, scan.tissue_hu("wall"))
    for lumen, compartment in lumens:
        canvas.paint(lumen, scan.blood_hu(compartment))


def paint_heart(
    canvas: Canvas, heart: Heart, carved: Carved, points: Points, scan: Scan, rng: np.random.Generator
) -> None:
    """Paint the heart in its fat: pericardium, walls, blood, valves, trabeculae.

    Args:
        canvas: what to paint on.
        heart: the heart.
        carved: its regions on the canvas' coarse lattice.
        points: where the coarse lattice's points lie in the undeformed heart (3, i, j, k).
        scan: contrast.
        rng: source of textures.
    """
    regions, hu = carved.regions, scan.tissue_hu
    walls = np.minimum.reduce(
        [
            regions["myo"],
            regions["rv"] - heart.shape.rv_wall_mm,
            regions["la"] - _ATRIAL_WALL_MM,
            regions["ra"] - _ATRIAL_WALL_MM,
        ]
    )
    muscle = scan.enhanced_hu("myocardium", "myocardium")
    # Subendocardium and lateral wall take up contrast a little differently: about 20 HU over the wall.
    shade = (muscle + 9 * _texture(canvas, 22, rng) + 4 * _texture(canvas, 7, rng)).astype(np.float32)
    canvas.paint(walls, shade)
    for lumen, part in ((carved.aorta, "ao"), (carved.pulmonary, "pa")):
        canvas.paint(cut(regions[part] - VESSEL_WALL_MM, lumen), hu("wall"))
    paint_blood(canvas, regions, scan, rng)
    paint_inside_ventricles(canvas, heart, regions, points, float(muscle), rng)
    paint_valves(canvas, heart, regions, points, hu("wall"))


def paint_sac(
    canvas: Canvas, heart: Heart, carved: Carved, inside: Field, scan: Scan, fatness: float, rng: np.random.Generator
) -> None:
    """Paint the pericardium, its fat, thick in the grooves and thin over the free walls, and the coronaries."""
    step = canvas.coarse[0][1] - canvas.coarse[0][0]
    chambers = [carved.regions[key] for key in ("myo", "rv", "la", "ra")]
    whole = np.minimum.reduce(chambers)
    # Averaged over a few mm, the distance is too small over bulges and too large in grooves: fat fills these.
    filled = ndimage.gaussian_filter(whole, 8.0 / step) - ndimage.gaussian_filter(whole, 2.0 / step)
    groove = np.clip(-0.35 * filled, 0, 6)
    fat = np.clip(0.9 + 1.6 * fatness + groove + 1.6 * _texture(canvas, 30, rng), 0.5, 12)
    sac = np.maximum(union(whole - fat, ndimage.gaussian_filter(whole, 8.0 / step) - 2.5, 3), whole - 13)
    sac = sac.astype(np.float32)
    _, y, z = np.meshgrid(*canvas.coarse, indexing="ij", sparse=True)
    # Fat pads lie in front of the right atrium and ventricle and at the apex, hardly any on the free lateral walls.
    front = np.clip((y - 10) / 40, 0, 1) * np.clip((70 - z) / 60, 0, 1.2)
    pad = 0.4 + (2 + 9 * fatness) * front * np.clip(0.7 + 0.5 * _texture(canvas, 30, rng), 0, 1.8)
    surroundings = intersection((sac - 1.2 - pad).astype(np.float32), inside)
    canvas.paint(surroundings, scan.tissue_hu("fat") + 8 * _texture(canvas, 6, rng))
    canvas.paint(sac - 1.2, scan.tissue_hu("pericardium"))
    canvas.paint(sac, scan.tissue_hu("fat") + 8 * _texture(canvas, 6, rng))
    _paint_coronaries(canvas, coronaries(heart, whole, canvas.coarse), scan)


def _paint_coronaries(canvas: Canvas, vessels: dict[str, Field], scan: Scan) -> None:
    for name, lumen in vessels.items():
        canvas.paint(lumen, scan.blood_hu("veins" if name == "sinus" else "left"))


def paint_blood(canvas: Canvas, regions: dict[str, Field], scan: Scan, rng: np.random.Generator) -> None:
    """Paint the pools; blood of the caval veins mixes in the right atrium, less so in the ventricle."""
    slope = scan.iodine_slope
    for key, compartment in (("ao", "left"), ("pa", "pa"), ("la", "left"), ("lv", "left"), ("rv", "rv")):
        swirl = 0.03 if compartment == "left" else 0.1
        uneven = slope * scan.iodine["mixing"] * swirl * _texture(canvas, 20, rng)
        canvas.paint(regions[key], (scan.blood_hu(compartment) + uneven).astype(np.float32))
    height = (canvas.coarse[2] - 13) / 30
    layers = 0.9 * np.clip(height, -1.2, 1.2)[None, None, :] + 0.6 * _texture(canvas, 16, rng)
    mixing = scan.iodine["mixing"] * layers * (0.7 + 0.3 * _texture(canvas, 9, rng))
    blood = scan.blood_hu("ra") + slope * np.clip(mixing, 0.2 - scan.iodine["ra"], None)
    canvas.paint(regions["ra"], blood.astype(np.float32))


def _texture(canvas: Canvas, length_mm: float, rng: np.random.Generator) -> Field:
    extent = tuple((float(axis[0]), float(axis[-1])) for axis in canvas.coarse)
    return SmoothNoise.draw((extent[0], extent[1], extent[2]), length_mm, rng).on(canvas.coarse)
