"""What surrounds the heart: chest wall, bones, lungs, diaphragm, liver, airways, oesophagus and great veins.

All lengths are in the nominal frame of :mod:`FedSimCore.cohorts.phantom.landmarks`, so they scale with the heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from FedSimCore.cohorts.phantom.anatomy import Subject
from FedSimCore.cohorts.phantom.fields import (
    FAR_MM,
    Field,
    Points,
    curve,
    ellipsoid,
    half_space,
    intersection,
    tube,
    union,
)
from FedSimCore.cohorts.phantom.heart import ARCH_INDEX, Heart, aortic_radii, pulmonary_veins
from FedSimCore.cohorts.phantom.landmarks import MIDLINE_MM

VERTEBRA_PITCH_MM = 27.0
RIB_PITCH_MM = 29.0


@dataclass(frozen=True)
class Build:
    """How this chest is built, nominal mm.

    Attributes:
        half_width, half_depth: of the chest's inside, at the level of the ventricles.
        fat: subcutaneous fat.
        muscle: of the chest wall, outside the ribs.
        spine_depth: backward shift of the spine.
        sternum: forward shift of the breast bone.
        dome: height of the diaphragm (arms up, deep breath: low).
        level: phase (mm) of vertebrae and ribs along the body.
        thymus: size of the thymus, 1 in a typical infant, 0 none.
    """

    half_width: float
    half_depth: float
    fat: float
    muscle: float
    spine_depth: float
    sternum: float
    dome: float
    level: float
    thymus: float


def draw_build(subject: Subject, rng: np.random.Generator) -> Build:
    """Draw the chest of a person: fat follows the body mass index."""
    bmi = subject.weight_kg / (subject.height_cm / 100) ** 2
    fat = np.clip(8 + 1.6 * (bmi - 21) + rng.normal(0, 3), 3, 35)
    # An infant's heart takes up more of its chest, in front of which lies the thymus, which shrinks until adulthood.
    narrow = 0.82 + 0.18 * min(subject.length_scale, 1.0)
    return Build(
        half_width=rng.normal(128, 5) * narrow,
        half_depth=rng.normal(91, 4) * narrow,
        fat=float(fat),
        muscle=rng.normal(12, 2),
        spine_depth=rng.normal(0, 4),
        sternum=rng.normal(0, 4),
        dome=rng.normal(0, 6),
        level=rng.uniform(0, VERTEBRA_PITCH_MM),
        thymus=float(np.clip(1 - subject.age_years / 16, 0, 1) * rng.uniform(0.6, 1.1)),
    )


def thorax(heart: Heart, build: Build, chest: Points) -> dict[str, Field]:
    """Return the signed distances (nominal mm) of the tissues round the heart, by name."""
    inside = chest_inside(build, chest)
    spine = _spine(build, chest)
    bones = {**spine, **_ribs(build, chest, inside), **_sternum(build, chest)}
    airways = _airways(chest)
    return {
        "skin": inside - 12 - build.muscle - build.fat,
        "muscle": inside - 12 - build.muscle,
        "inside": inside,
        "mediastinum": _mediastinum(chest),
        **bones,
        "thymus": _thymus(build, chest),
        **_abdomen(build, chest),
        **airways,
        **_vessels(heart, chest),
    }


def chest_inside(build: Build, chest: Points) -> Field:
    """Return the inner surface of the rib cage: a rounded box that narrows upwards."""
    narrowing = 1 - 0.0012 * np.clip(chest[2] - 20, 0, None) - 1.6e-6 * np.clip(chest[2] - 20, 0, None) ** 2
    front = -27 + 0.5 * build.sternum
    x = (chest[0] - MIDLINE_MM) / (build.half_width * narrowing)
    y = (chest[1] - front) / (build.half_depth * narrowing)
    radius = (np.abs(x) ** 2.4 + np.abs(y) ** 2.4) ** (1 / 2.4)
    return ((radius - 1) * np.minimum(build.half_width, build.half_depth) * 0.95).astype(np.float32)


def _spine(build: Build, chest: Points) -> dict[str, Field]:
    depth = -93 - build.spine_depth - 0.0009 * (chest[2] - 10) ** 2
    x, y = chest[0] - MIDLINE_MM, chest[1] - depth
    level = np.abs(np.mod(chest[2] + build.level, VERTEBRA_PITCH_MM) - VERTEBRA_PITCH_MM / 2)
    waist = 17.5 + 0.016 * (level - 3) ** 2
    radius = np.hypot(x, 1.15 * y)
    column = radius - waist
    column = np.maximum(column, -(y + 14.5))
    disc = np.maximum(column, VERTEBRA_PITCH_MM / 2 - 3 - level)
    canal = np.hypot(x, y + 24) - 8.5
    ring = np.hypot(x, y + 24) - 13.0
    spinous = np.maximum(np.abs(x) - 3.5, np.abs(y + 46 + 0.2 * (level - 8)) - 16)
    spinous = np.maximum(spinous, level - 8.5)
    process = np.hypot(y + 26 + 0.2 * np.abs(x), level - 4) - 6.0
    process = np.maximum(process, np.abs(x) - 30)
    arch = np.minimum(np.maximum(ring, level - 9), np.minimum(spinous, process))
    back = np.maximum(np.abs(np.abs(x) - 27) - 20, np.abs(y + 42) - 17)
    fields = {"back_muscle": back, "vertebra": np.minimum(column, arch), "disc": disc, "canal": canal}
    return {name: field.astype(np.float32) for name, field in fields.items()}


def _ribs(build: Build, chest: Points, inside: Field) -> dict[str, Field]:
    forward = chest[1] + 100
    along = chest[2] + 0.42 * forward - 0.10 * np.abs(chest[0] - MIDLINE_MM) + build.level
    phase = np.abs(np.mod(along, RIB_PITCH_MM) - RIB_PITCH_MM / 2)
    section = np.hypot(np.maximum(phase - 3.2, 0), inside - 6) - 3.6
    near_sternum = np.abs(chest[0] - MIDLINE_MM) - 20 - 0.5 * np.maximum(60 - chest[1], 0)
    cartilage = np.maximum(section, np.maximum(near_sternum - 35, 40 - chest[1]))
    rib = np.maximum(section, -np.maximum(near_sternum - 35, 40 - chest[1]))
    return {"rib": rib.astype(np.float32), "cartilage": cartilage.astype(np.float32)}


def _sternum(build: Build, chest: Points) -> dict[str, Field]:
    front = 69 + build.sternum - 0.16 * chest[2] - 0.0006 * (chest[2] - 20) ** 2
    width = 17 + 0.06 * np.clip(chest[2] - 40, -60, None)
    body = np.hypot(np.maximum(np.abs(chest[0] - MIDLINE_MM) - width + 5, 0), 1.0 * (chest[1] - front)) - 5.5
    return {"sternum": np.maximum(body, -(chest[2] + 38)).astype(np.float32)}


def _mediastinum(chest: Points) -> Field:
    """Return the fat between the lungs, above and behind the heart."""
    upper = ellipsoid(chest, [40, -16, 106], [44, 42, 62])
    slab = np.abs(chest[0] - 36) - 13 - 0.35 * np.clip(-60 - chest[1], 0, 20)
    behind = np.maximum(slab, np.abs(chest[1] + 42) - 50)
    # In front of the great vessels the fat tapers like a keel towards the breast bone.
    keel = np.abs(chest[0] - MIDLINE_MM + 6) - 4 - 0.55 * np.clip(52 - chest[1], 0, 45)
    front = np.maximum(keel, np.maximum(10 - chest[1], 25 - chest[2]))
    return union(union(upper, behind.astype(np.float32), 12), front.astype(np.float32), 12)


def _thymus(build: Build, chest: Points) -> Field:
    """Return the two lobes of the thymus in front of the great vessels; nothing where it has shrunk."""
    if build.thymus < 0.15:
        return np.full(chest.shape[1:], FAR_MM, dtype=np.float32)
    size = build.thymus
    right = ellipsoid(chest, [MIDLINE_MM + 12, 27, 76], np.array([23, 21, 42]) * size)
    left = ellipsoid(chest, [MIDLINE_MM - 14, 27, 72], np.array([29, 22, 48]) * size)
    return union(right, left, 6)


def _abdomen(build: Build, chest: Points) -> dict[str, Field]:
    """Return diaphragm, liver, stomach with its gas bubble, and spleen."""
    right = -16 - ((chest[0] - 98) / 11) ** 2 - ((chest[1] + 22) / 15) ** 2
    left = -34 - ((chest[0] + 32) / 11) ** 2 - ((chest[1] + 22) / 15) ** 2
    middle = -49 - ((chest[0] - 20) / 16) ** 2 - ((chest[1] - 5) / 14) ** 2
    roof = union(-right.astype(np.float32), union(-left.astype(np.float32), -middle.astype(np.float32), 10), 10)
    below = (chest[2] + roof - build.dome) * 0.8
    lobe = intersection(below + 2.5, half_space(chest, [0, 0, -60], (-1, -0.35, 0.35)), 15)
    stomach = ellipsoid(chest, [-34, -8, -78], [42, 36, 36])
    gas = intersection(stomach + 4, half_space(chest, [0, 8, 0], (0, -1, 0)))
    spleen = ellipsoid(chest, [-62, -78, -84], [24, 34, 40])
    fields = {"abdomen": below, "liver": lobe, "stomach": stomach, "gas": gas, "spleen": spleen}
    return {
        name: (field if name == "abdomen" else intersection(field, below + 2.5)).astype(np.float32)
        for name, field in fields.items()
    }


def _airways(chest: Points) -> dict[str, Field]:
    trachea = curve([[44, -30, 170], [43, -36, 120], [42, -41, 93]], 8)
    right = curve([[42, -41, 93], [60, -46, 79], [78, -50, 62], [92, -56, 40]], 6)
    left = curve([[42, -41, 93], [22, -48, 80], [0, -55, 66], [-16, -62, 44]], 6)
    air = union(tube(chest, trachea, 8.5), tube(chest, right, np.linspace(7, 3.5, len(right))), 3)
    air = union(air, tube(chest, left, np.linspace(6.5, 3.5, len(left))), 3)
    gullet = curve([[36, -48, 170], [35, -56, 100], [34, -63, 50], [32, -66, 0], [22, -60, -45], [6, -45, -70]], 8)
    return {"airway": air, "oesophagus": tube(chest, gullet, 7.0)}


def _vessels(heart: Heart, chest: Points) -> dict[str, Field]:
    """Return the vessels that carry no label: arch and descending aorta, caval and pulmonary veins, duct."""
    arteries, radii = heart.arteries, aortic_radii(heart)
    descending = tube(chest, arteries.aorta[ARCH_INDEX - 6 :], radii[ARCH_INDEX - 6 :])
    to_chest, size = heart.pose.to_chest, heart.targets.aorta_mm / 33
    upper = curve([*to_chest([[70, -9, 30], [70, -11, 52]]), [69, -8, 85], [64, 0, 122], [60, 4, 170]], 8)
    lower = curve([*to_chest([[70, -14, -4], [68, -20, -24]]), [62, -30, -50], [56, -36, -90], [54, -40, -130]], 8)
    veins = [
        tube(heart.pose.to_heart(chest), path, np.linspace(7.5, 3.0, len(path))) for path in pulmonary_veins(heart)
    ]
    brachiocephalic = curve([[63, 2, 126], [40, 8, 134], [10, 6, 140], [-20, 0, 160]], 8)
    fields = {
        "descending_aorta": descending,
        "svc": union(tube(chest, upper, 9.5 * size), tube(chest, brachiocephalic, 7), 3),
        "ivc": tube(chest, lower, 12.5 * size),
        "pulmonary_veins": np.minimum.reduce(veins),
    }
    if heart.shape.duct_mm > 0:
        middle = arteries.bifurcation + np.array([0.0, -16, 14])
        course = curve([arteries.bifurcation, middle, arteries.aorta[ARCH_INDEX + 14]], 5)
        fields["duct"] = tube(chest, course, heart.shape.duct_mm / 2)
    return fields
