"""Painting HU with smooth shapes: partial volume instead of staircases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.cohorts.phantom.fields import Field, occupancy
from FedSimCore.cohorts.phantom.warp import Axes, Block, SmoothNoise, block_of, interpolated, within


@dataclass(frozen=True)
class Canvas:
    """An image being painted, later paint over earlier.

    Attributes:
        hu: the image (i, j, k), float32, changed in place.
        fine: nominal coordinates (mm) of its voxels along R, A, S.
        coarse: nominal coordinates (mm) of the lattice on which fields are given.
        scale: world mm per nominal mm.
        voxel_mm: edge (world mm) of a cube of the voxels' volume.
    """

    hu: NDArray[np.float32]
    fine: Axes
    coarse: Axes
    scale: float
    voxel_mm: float

    def paint(self, field: Field, hu: float | Field, opacity: float = 1.0) -> None:
        """Paint a shape given on the coarse lattice with one value, or with a field of values on that lattice."""
        block = self.block(field)
        if block is None:
            return
        share = occupancy(self.distance(field, block), self.voxel_mm)
        self.blend(block, share * np.float32(opacity), hu if isinstance(hu, float) else self.on(hu, block))

    def blend(self, block: Block, share: Field, hu: float | Field) -> None:
        """Mix ``hu`` into a block with the given shares, 0 to 1."""
        part = self.hu[block]
        step = np.asarray(hu, dtype=np.float32) - part
        step *= share
        part += step

    def distance(self, field: Field, block: Block) -> Field:
        """Return a shape's signed distance in world mm at the voxels of a block."""
        return self.on(field, block) * np.float32(self.scale)

    def on(self, values: Field, block: Block) -> Field:
        """Interpolate values of the coarse lattice to the voxels of a block."""
        return interpolated(values, self.coarse, within(self.fine, block))

    def noise(self, length_mm: float, block: Block, rng: np.random.Generator) -> Field:
        """Return smooth noise of unit variance, nominal correlation length, at the voxels of a block."""
        axes = within(self.fine, block)
        extent = tuple((float(axis[0]), float(axis[-1])) for axis in axes)
        return SmoothNoise.draw((extent[0], extent[1], extent[2]), length_mm, rng).on(axes)

    def block(self, field: Field) -> Block | None:
        """Return the smallest block of voxels that holds a shape and its partial volume; None if it is not there."""
        return block_of(field, self.coarse, self.fine, self.voxel_mm / self.scale)
