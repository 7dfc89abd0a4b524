"""From a heart's label map to a body that a scanner can look at."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from FedSimCore.anatomy import regions
from FedSimCore.ct.body import Body
from FedSimCore.ct.heart_coat import PERICARDIUM_MM, HeartCoat, at_points
from FedSimCore.ct.landmarks import Landmarks
from FedSimCore.ct.materials import region_tissues
from FedSimCore.ct.painting import Canvas
from FedSimCore.ct.schema import STRICT, checked, read_table
from FedSimCore.ct.thorax import Physique, Thorax
from FedSimCore.resources import resource_path
from FedSimCore.volumes import Grid, Volume

Kind = Literal["thorax", "fat", "none"]
KINDS: tuple[Kind, ...] = ("thorax", "fat", "none")

OUTER_VOXELS_OF_FIELD = 32
"""Coarse voxels along the working grid: 5 mm for 160 mm."""

OUTER_HALF_MM = (215.0, 190.0, 140.0)
"""Half extent of the coarse grid along R, A, S, for an adult; high enough for all rays through the working grid."""

FAR_MM = 1e3


class Structure(BaseModel):
    """A labelled structure around the heart, with its default tissue."""

    model_config = STRICT
    label: int = Field(ge=8, le=255)
    key: str
    name: str
    tissue: str


@lru_cache(maxsize=1)
def structures() -> tuple[Structure, ...]:
    """Return the structures of ``Resources/ct/surroundings.json``."""
    path = resource_path("ct/surroundings.json")
    return tuple(checked(Structure, e, path) for e in read_table(path, "fedsim/surroundings/1", "structures"))


def surrounding_tissues() -> dict[int, str]:
    """Return the default tissue key of every label, the heart's regions included."""
    return {**region_tissues(), **{s.label: s.tissue for s in structures()}}


def surround(heart: Volume, kind: Kind = "thorax", seed: int = 0) -> Body:
    """Put a heart into a body.

    Args:
        heart: label map of the seven regions; other labels count as background.
        kind: ``"thorax"`` for a person whose build is drawn by ``seed``, ``"fat"`` for a cylinder of fat as wide as the
            grid, ``"none"`` for vacuum.
        seed: of the person.

    Raises:
        InputError: the label map holds no heart.
    """
    known = [region.label for region in regions()]
    heart = Volume(np.where(np.isin(heart.array, known), heart.array, 0).astype(np.uint8), heart.grid)
    if kind == "none":
        return Body.heart_alone(heart)
    landmarks = Landmarks.of(heart)
    coat = HeartCoat.of(heart, landmarks.scale)
    inner = Canvas(heart.grid)
    label = {s.key: s.label for s in structures()}
    if kind == "fat":
        x, y, _ = inner.coordinates
        center, radius = heart.grid.center_mm, float((heart.grid.spacing_mm * heart.grid.shape)[:2].min()) / 2
        inner.paint(np.hypot(x - center[0], y - center[1]) <= radius, label["mediastinal_fat"])
        _dress(inner, heart, coat, label)
        return Body(Volume(inner.labels, heart.grid), surrounding_tissues())
    thorax = Thorax(landmarks, Physique.draw(np.random.default_rng([seed, 0])), label)
    _paint_person(inner, thorax, coat.to_heart_mm, label, seed)
    _dress(inner, heart, coat, label)
    outer = Canvas(_outer_grid(heart.grid, landmarks.scale))
    points = outer.grid.to_world(np.stack(np.meshgrid(*map(np.arange, outer.grid.shape), indexing="ij"), axis=-1))
    _paint_person(outer, thorax, at_points(coat.to_heart_mm, heart.grid, points, FAR_MM), label, seed)
    return Body(Volume(inner.labels, heart.grid), surrounding_tissues(), Volume(outer.labels, outer.grid))


def _paint_person(canvas: Canvas, thorax: Thorax, to_heart_mm: np.ndarray, label: dict[str, int], seed: int) -> None:
    thorax.paint_body(canvas)
    lung = canvas.labels == label["lung"]
    mediastinum = thorax.paint_mediastinum(canvas, to_heart_mm)
    thorax.paint_skeleton(canvas)
    thorax.paint_lung_vessels(
        canvas, np.random.default_rng([seed, 1]), lung & ~mediastinum, lung | mediastinum, label["wall"]
    )
    thorax.paint_great_vessels(canvas, label["wall"])


def _dress(canvas: Canvas, heart: Volume, coat: HeartCoat, label: dict[str, int]) -> None:
    """Paint pericardium, epicardial fat, walls and the heart itself; vessels that enter the heart keep their place."""
    entering = [label[k] for k in ("superior_vena_cava", "inferior_vena_cava", "pulmonary_veins", "pulmonary_arteries")]
    entering += [label["descending_aorta"], label["oesophagus"], label["airway"]]
    free = ~np.isin(canvas.labels, entering)
    sac = coat.to_sac_mm
    canvas.paint(free & (sac < 0), label["epicardial_fat"])
    canvas.paint(free & (sac >= 0) & (sac < PERICARDIUM_MM), label["pericardium"])
    canvas.paint(coat.wall & free, label["wall"])
    inside = heart.array > 0
    canvas.labels[inside] = heart.array[inside]


def _outer_grid(inner: Grid, scale: float) -> Grid:
    """Return the coarse grid; its voxels' borders fall on the borders of the inner grid."""
    spacing = inner.spacing_mm * np.array(inner.shape) / OUTER_VOXELS_OF_FIELD
    # A child is slimmer, but the rays through the grid are as steep.
    reach = np.array(OUTER_HALF_MM) * [scale, scale, 1.0]
    voxels = 2 * np.ceil(reach / spacing).astype(int)
    affine = inner.affine.copy()
    affine[:3, :3] *= spacing / inner.spacing_mm
    affine[:3, 3] = inner.center_mm - affine[:3, :3] @ ((voxels - 1) / 2)
    return Grid(tuple(voxels), affine)
