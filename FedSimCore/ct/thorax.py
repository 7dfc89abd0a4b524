"""A procedural thorax around a heart: quick, smooth, and right where a radiologist looks first.

Right of the patient is +R. The heart stands on the diaphragm behind the sternum, the oesophagus runs between left
atrium and spine, the descending aorta to the left of it, the superior vena cava to the right of the ascending aorta,
the liver under the right dome. All lengths are those of an adult times the scale of the heart.

It is made for the simulator's surroundings only and shares nothing with the phantom cohort, whose images are to stand
in for real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.ct.landmarks import Landmarks
from FedSimCore.ct.painting import Canvas, Field, Mask, superellipse


@dataclass(frozen=True)
class Physique:
    """How this person is built; drawn by :meth:`draw`.

    Attributes:
        chest_half_width_mm: of the rib cage, of an adult.
        fat_mm: subcutaneous fat.
        muscle_mm: muscle of the chest wall.
        mediastinal_fat_mm: fat about the heart.
        right_dome_mm: how far the right dome of the diaphragm stands above the floor of the heart.
        left_dome_mm: the same on the left.
        rib_phase: where ribs and vertebrae fall, 0 to 1.
    """

    chest_half_width_mm: float
    fat_mm: float
    muscle_mm: float
    mediastinal_fat_mm: float
    right_dome_mm: float
    left_dome_mm: float
    rib_phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Physique:
        """Draw a person."""
        return cls(
            chest_half_width_mm=float(rng.normal(128, 5)),
            fat_mm=float(rng.uniform(6, 18)),
            muscle_mm=float(rng.uniform(8, 14)),
            mediastinal_fat_mm=float(rng.uniform(2.5, 5.5)),
            right_dome_mm=float(rng.uniform(8, 26)),
            left_dome_mm=float(rng.uniform(-6, 8)),
            rib_phase=float(rng.uniform(0, 1)),
        )


RIB_SPACING_MM = 27.0
RIB_SLOPE = 0.55
VERTEBRA_MM = 24.0


class Thorax:
    """Paints a person's thorax around the landmarks of a heart onto any canvas.

    Args:
        landmarks: of the heart.
        physique: of the person.
        label: label value by key of ``Resources/ct/surroundings.json``.
    """

    def __init__(self, landmarks: Landmarks, physique: Physique, label: dict[str, int]) -> None:
        self.at, self.body, self.label = landmarks, physique, label
        s = landmarks.scale
        self.spine = np.array([landmarks.midline_x, landmarks.back_y - 28 * s])
        back, front = self.spine[1] - 32 * s, landmarks.front_y + 9 * s
        self.chest_center = (float(self.spine[0]), (back + front) / 2)
        self.chest_half = (physique.chest_half_width_mm * s, (front - back) / 2)

    def paint_body(self, canvas: Canvas) -> None:
        """Paint skin, fat, muscle, rib cage, lungs, and the abdomen under the diaphragm."""
        x, y, _ = canvas.coordinates
        s, label = self.at.scale, self.label
        rib_mm = 8 * s
        muscle_mm, fat_mm, skin_mm = self.body.muscle_mm * s, self.body.fat_mm * s, 2 * s
        # The back carries the long muscles beside the spine, the front little.
        shells = [("skin", rib_mm + muscle_mm + fat_mm + skin_mm), ("subcutaneous_fat", rib_mm + muscle_mm + fat_mm)]
        shells += [("muscle", rib_mm + muscle_mm)]
        for key, beyond in shells:
            depth = (self.chest_half[1] + beyond) + 9 * s
            center = (self.chest_center[0], self.chest_center[1] - 9 * s)
            width = self.chest_half[0] + beyond
            canvas.paint(superellipse(x, y, center, (width, depth), 2.5) <= 1, label[key])
        chest = superellipse(x, y, self.chest_center, self.chest_half, 2.4)
        self._paint_ribs(canvas, rib_mm)
        canvas.paint(chest <= 1, label["lung"])
        self._paint_abdomen(canvas, chest <= 1)

    def _paint_ribs(self, canvas: Canvas, rib_mm: float) -> None:
        x, y, z = canvas.coordinates
        s = self.at.scale
        cage = superellipse(
            x, y, self.chest_center, (self.chest_half[0] + rib_mm / 2, self.chest_half[1] + rib_mm / 2), 2.4
        )
        radial = (cage - 1) * np.float32(min(self.chest_half)) / np.float32(rib_mm / 2)
        # Ribs fall from back to front.
        slope = np.float32(RIB_SLOPE) * (y - np.float32(self.spine[1]))
        spacing = RIB_SPACING_MM * s
        along = np.mod((z + slope) / np.float32(spacing) + np.float32(self.body.rib_phase), 1.0) - 0.5
        axial = along * np.float32(spacing) / np.float32(6.5 * s)
        size = np.sqrt(radial**2 + axial**2)
        near_sternum = (y > self.at.front_y - 12 * s) & (np.abs(x - np.float32(self.at.midline_x)) < 75 * s)
        canvas.paint(size <= 1, self.label["cortical_bone"])
        canvas.paint(size <= 0.72, self.label["spongiosa"])
        canvas.paint((size <= 1) & near_sternum, self.label["disc"])

    def diaphragm_z(self, x: Field, y: Field) -> Field:
        """Return the height of the diaphragm above R, A positions, S mm."""
        at, s = self.at, np.float32(self.at.scale)
        across = (x - np.float32(at.midline_x)) / s
        # Two domes and the central tendon that carries the heart; all fall towards the chest wall.
        # The right dome reaches the inferior vena cava a finger's breadth below the right atrium.
        foramen = float(at.vena_cava_bottom[2] - at.floor_z) / at.scale - 12
        right_mm = min(max(self.body.right_dome_mm, foramen), 55.0) + 12
        right = np.exp(-(((across - 62) / 50) ** 2)) * np.float32(right_mm)
        left = np.exp(-(((across + 82) / 55) ** 2)) * np.float32(self.body.left_dome_mm + 12)
        level = np.float32(at.floor_z) - 5 * s + (right + left - 6) * s
        rim = superellipse(x, y, self.chest_center, self.chest_half, 2.4)
        return np.asarray(level - 70 * s * np.clip(rim - 0.35, 0, None) ** 2, dtype=np.float32)

    def _paint_abdomen(self, canvas: Canvas, chest: Mask) -> None:
        x, y, z = canvas.coordinates
        s = self.at.scale
        below = z - self.diaphragm_z(x, y)
        canvas.paint(chest & (below < 0), self.label["muscle"])
        canvas.paint(chest & (below < -2.5 * s), self.label["subcutaneous_fat"])
        # The left lobe reaches across the midline in front.
        liver_edge = np.float32(self.at.midline_x - 22 * s) - np.float32(0.7) * (y - np.float32(self.chest_center[1]))
        canvas.paint(chest & (below < -3 * s) & (x > liver_edge), self.label["liver"])
        stomach = ((x - (self.at.midline_x - 75 * s)) / (36 * s)) ** 2 + ((y - self.chest_center[1]) / (48 * s)) ** 2
        deep = below + 6 * s + 14 * s * stomach
        canvas.paint(chest & (deep < 0) & (x <= liver_edge), self.label["stomach"])

    def paint_mediastinum(self, canvas: Canvas, to_heart_mm: Field) -> Mask:
        """Paint fat about the heart, in front of it and before the spine; return where it is."""
        x, y, z = canvas.coordinates
        at, s = self.at, self.at.scale
        chest = superellipse(x, y, self.chest_center, self.chest_half, 2.4) <= 1
        above_floor = z > self.diaphragm_z(x, y)
        # Most fat lies in front and below, in the angles between pericardium, chest wall and diaphragm.
        forward = np.clip((y - np.float32(at.heart[1])) / np.float32(45 * s), 0, 1)
        downward = np.clip((np.float32(at.heart[2]) - z) / np.float32(50 * s), 0, 1)
        fat_mm = np.float32(self.body.mediastinal_fat_mm * s) * (1 + 2.0 * forward + 0.8 * downward)
        around_heart = to_heart_mm < fat_mm
        across = np.abs(x - np.float32(at.midline_x))
        # A wedge behind the sternum, and the ligaments and lymph nodes between heart and spine.
        behind_sternum = (across < 10 * s + 0.5 * (y - (at.front_y - 22 * s))) & (y > at.front_y - 22 * s)
        behind_heart = (across < 13 * s) & (y < at.heart[1]) & (y > self.spine[1])
        gutter = superellipse(x, y, (float(self.spine[0]) - 4 * s, float(self.spine[1]) + 6 * s), (31 * s, 30 * s), 2.2)
        vessels = superellipse(x, y, (at.midline_x + 2 * s, at.heart[1] - 6 * s), (34 * s, 44 * s), 2.2)
        upper = (vessels <= 1) & (z > at.heart[2] + 8 * s)
        fat = np.asarray(chest & above_floor & (around_heart | behind_sternum | behind_heart | (gutter <= 1) | upper))
        canvas.paint(fat, self.label["mediastinal_fat"])
        return fat

    def paint_skeleton(self, canvas: Canvas) -> None:
        """Paint vertebral column and sternum."""
        x, y, z = canvas.coordinates
        s, label = self.at.scale, self.label
        px, py = (float(v) for v in self.spine)
        behind = (px, py - 32 * s)
        muscle = superellipse(x, y, (px, py - 36 * s), (44 * s, 24 * s), 2.5)
        canvas.paint(muscle <= 1, label["muscle"])
        phase = np.mod(z / np.float32(VERTEBRA_MM * s) + np.float32(self.body.rib_phase), 1.0)
        disc = phase < 0.2
        body = superellipse(x, y, (px, py), (17.5 * s, 14 * s), 2.3)
        arch = superellipse(x, y, (px, py - 23 * s), (15 * s, 12 * s), 2.0)
        process = superellipse(x, y, (px, py - 30 * s), (32 * s, 4.5 * s), 2.0)
        spinous = superellipse(x, y, behind, (3.5 * s, 20 * s), 2.0)
        posterior = np.minimum(np.minimum(arch, process), spinous)
        for part, rim in ((posterior, 0.78), (body, 0.9)):
            canvas.paint((part <= 1) & ~disc, label["cortical_bone"])
            canvas.paint((part <= rim) & ~disc, label["spongiosa"])
        canvas.paint((body <= 1) & disc, label["disc"])
        canvas.paint(superellipse(x, y, (px, py - 22 * s), (9 * s, 8 * s), 2.0) <= 1, label["spinal_canal"])
        sternum = superellipse(x, y, (px, self.at.front_y + 12 * s), (19 * s, 6 * s), 2.8)
        in_height = z > self.at.floor_z - 5 * s
        canvas.paint((sternum <= 1) & in_height, label["cortical_bone"])
        canvas.paint((sternum <= 0.8) & in_height, label["spongiosa"])

    def paint_great_vessels(self, canvas: Canvas, wall: int) -> None:
        """Paint aortic arch, descending aorta, cavae, oesophagus and airway; they go on beyond the heart."""
        at, s, label = self.at, self.at.scale, self.label
        x0, (sx, sy) = at.midline_x, (float(v) for v in self.spine)
        floor, sky = at.floor_z - 150 * s, at.roof_z + 150 * s
        hiatus = [sx - 6 * s, sy + 20 * s]
        beside = [sx - 21 * s, sy + 14 * s]
        top = at.aorta_top
        arch_z = max(float(top[2]) + 14 * s, at.roof_z + 4 * s)
        aorta = [top, [x0 - 2 * s, top[1] - 16 * s, arch_z], [sx - 17 * s, sy + 30 * s, arch_z - 6 * s]]
        aorta += [[*beside, arch_z - 34 * s], [*beside, at.floor_z + 25 * s], [sx - 10 * s, sy + 18 * s, floor]]
        oesophagus = [[sx - 4 * s, sy + 25 * s, sky], [sx - 2 * s, at.back_y - 7 * s, at.heart[2] + 20 * s]]
        oesophagus += [[*hiatus, at.floor_z], [sx - 20 * s, sy + 32 * s, at.floor_z - 40 * s]]
        canvas.tube(oesophagus, [6 * s, 6 * s, 7 * s, 8 * s], label["oesophagus"])
        canvas.tube(aorta, np.array([13, 12.5, 12, 11.5, 11, 10]) * s, label["descending_aorta"], wall=(1.5 * s, wall))
        carina = [x0 + 2 * s, at.back_y + 2 * s, at.roof_z - 8 * s]
        canvas.tube([[sx + 2 * s, sy + 36 * s, sky], carina], 8.5 * s, label["airway"], wall=(1.5 * s, wall))
        for side, hilum in zip((1.0, -1.0), at.hila, strict=True):
            end = [x0 + side * 46 * s, at.back_y - 2 * s, hilum[2] - 6 * s]
            canvas.tube([carina, end], [7 * s, 5.5 * s], label["airway"], wall=(1.2 * s, wall))
        svc = at.vena_cava_top
        canvas.tube([svc, [x0 + 22 * s, svc[1] - 2 * s, at.roof_z], [x0 + 22 * s, svc[1], sky]], 9 * s,
                    label["superior_vena_cava"], wall=(1.2 * s, wall))  # fmt: skip
        ivc = at.vena_cava_bottom
        canvas.tube([ivc, [ivc[0], ivc[1] - 4 * s, at.floor_z], [x0 + 20 * s, sy + 32 * s, floor]], 12 * s,
                    label["inferior_vena_cava"], wall=(1.2 * s, wall))  # fmt: skip

    def paint_lung_vessels(self, canvas: Canvas, rng: np.random.Generator, lung: Mask, within: Mask, wall: int) -> None:
        """Paint pulmonary veins from the left atrium, arteries from the hila, and their branches in the lungs."""
        at, s = self.at, self.at.scale
        for side, vein, hilum in zip((1.0, -1.0), at.veins, at.hila, strict=True):
            root = np.array([at.midline_x + side * 48 * s, at.back_y + 4 * s, vein[2]])
            for lift in (14 * s, -10 * s):
                end = root + np.array([0, 0, lift])
                start = vein + np.array([-side * 4 * s, 0, 0.5 * lift])
                canvas.tube([start, end], [6.5 * s, 5 * s], self.label["pulmonary_veins"], within=within,
                            wall=(1.2 * s, wall))  # fmt: skip
                for _ in range(2):
                    self._branch(canvas, rng, end, side, 4.2 * s, "pulmonary_veins", lung)
            root[2] = hilum[2]
            canvas.tube([hilum, root], [8 * s, 6.5 * s], self.label["pulmonary_arteries"], within=within,
                        wall=(1.2 * s, wall))  # fmt: skip
            for _ in range(5):
                self._branch(canvas, rng, root, side, 4.8 * s, "pulmonary_arteries", lung)

    def _branch(
        self, canvas: Canvas, rng: np.random.Generator, root: NDArray[np.float64], side: float, radius: float, key: str,
        lung: Mask,
    ) -> None:  # fmt: skip
        """Grow a tree of vessels into one lung; radii fall by Murray's law (cube root of 1/2 at each fork)."""
        s = self.at.scale
        ends = [(np.asarray(root, dtype=float), rng.normal(size=3) * 0.5 + [side * 0.8, 0, 0], radius)]
        while ends:
            start, heading, size = ends.pop()
            if size < 0.9 * s:
                continue
            heading = heading / np.linalg.norm(heading)
            end = start + heading * rng.uniform(9, 18) * s * (size / s) ** 0.4
            bend = (start + end) / 2 + rng.normal(size=3) * 1.5 * s
            canvas.tube([start, bend, end], [size, 0.9 * size, 0.8 * size], self.label[key], within=lung)
            for _ in range(2):
                turned = heading + rng.normal(size=3) * 0.45 + [side * 0.12, 0, 0]
                ends.append((end, turned, size * 0.5 ** (1 / 3) * rng.uniform(0.85, 1.0)))
