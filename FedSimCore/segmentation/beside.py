"""What lies beside a chest in a scan: arms that are down, and the couch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.volumes import Grid

_SKIN_HU = -350.0
"""Between air and anything of a body."""


@dataclass(frozen=True)
class Beside:
    """Drawn by :func:`draw_beside`; lengths in mm.

    Attributes:
        arms: whether they are down; for each, right and left:
        arm_mm: radius.
        gap_mm: between arm and chest.
        forward_mm: how far before the body's middle.
        lean: sideways per length, so that they are not parallel to the body.
        couch: whether there is one in the field of view.
        couch_mm: its thickness.
        couch_gap_mm: between it and the back, for a blanket.
        couch_bend: how much its sides rise, 1/mm.
    """

    arms: bool
    arm_mm: tuple[float, float]
    gap_mm: tuple[float, float]
    forward_mm: tuple[float, float]
    lean: tuple[float, float]
    couch: bool
    couch_mm: float
    couch_gap_mm: float
    couch_bend: float

    def paint_hounsfield(self, image: NDArray[np.float32], grid: Grid, tissues: Mapping[str, float]) -> None:
        """Paint into an image (X, Y, Z) of HU, in place, where there is air."""
        for part, where in self._parts(image > _SKIN_HU, grid).items():
            image[where & (image < _SKIN_HU)] = tissues[part]

    def paint_structures(self, body: NDArray[np.uint8], grid: Grid, labels: Mapping[str, int]) -> None:
        """Paint into a structure map (X, Y, Z), in place, where there is nothing; labels by key."""
        free = body == 0
        for part, where in self._parts(body > 0, grid).items():
            body[where & free] = labels[part]

    def _parts(self, body: NDArray[np.bool_], grid: Grid) -> dict[str, NDArray[np.bool_]]:
        """Return where the parts are, inner ones first."""
        i, j = np.flatnonzero(body.any(axis=(1, 2))), np.flatnonzero(body.any(axis=(0, 2)))
        if len(i) == 0:
            return {}
        low, high = grid.to_world([i[0], j[0], 0]), grid.to_world([i[-1], j[-1], 0])
        x, y, z = (grid.to_world(np.eye(3)[axis] * np.arange(n)[:, None])[:, axis] for axis, n in enumerate(grid.shape))
        x, y, z = x[:, None, None], y[None, :, None], z[None, None, :] - z.mean()
        parts: dict[str, NDArray[np.bool_]] = {}
        if self.arms:
            middle = (low[1] + high[1]) / 2
            distance = np.full(grid.shape, np.inf, dtype=np.float32)
            for side, edge in enumerate((high[0], low[0])):
                outward = 1.0 if side == 0 else -1.0
                radius = self.arm_mm[side]
                across = x - (edge + outward * (radius + self.gap_mm[side] + self.lean[side] * z))
                along = y - (middle + self.forward_mm[side])
                distance = np.minimum(distance, np.hypot(across, along) / radius)
            parts["cortical_bone"] = (distance < 0.3) & (distance >= 0.2)
            parts["spongiosa"] = distance < 0.2
            parts["muscle"] = (distance < 0.8) & (distance >= 0.3)
            parts["subcutaneous_fat"] = (distance < 1) & (distance >= 0.8)
        if self.couch:
            top = low[1] - self.couch_gap_mm + self.couch_bend * (x - (low[0] + high[0]) / 2) ** 2
            parts["couch"] = np.broadcast_to((y <= top) & (y > top - self.couch_mm), grid.shape)
        return parts


def draw_beside(rng: np.random.Generator) -> Beside:
    """Draw arms (half of the patients have them down) and couch (nine of ten)."""

    def pair(low: float, high: float) -> tuple[float, float]:
        first, second = rng.uniform(low, high, 2)
        return float(first), float(second)

    return Beside(
        arms=bool(rng.random() < 0.35),
        arm_mm=pair(32, 55),
        gap_mm=pair(-4, 14),
        forward_mm=pair(-45, 25),
        lean=pair(-0.05, 0.12),
        couch=bool(rng.random() < 0.9),
        couch_mm=float(rng.uniform(3, 24)),
        couch_gap_mm=float(rng.uniform(-4, 14)),
        couch_bend=float(rng.uniform(0, 0.0012)),
    )
