"""Smooth random deformations of space, which no linear shape model spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.cohorts.phantom.fields import Points

Extent = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
Block = tuple[slice, slice, slice]
Axes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class SmoothNoise:
    """Gaussian noise of unit variance whose correlation falls off over ``length_mm``.

    Random values on knots half a length apart, interpolated with cubic B-splines: twice continuously
    differentiable, the same field whatever lattice it is sampled on, and cheap however long the correlation.
    """

    low_mm: NDArray[np.float64]
    step_mm: float
    knots: NDArray[np.float64]

    @classmethod
    def draw(cls, extent_mm: Extent, length_mm: float, rng: np.random.Generator) -> SmoothNoise:
        """Draw a field that covers ranges of R, A and S (beyond them it fades to zero)."""
        low, high = np.array(extent_mm, dtype=float).T
        step = length_mm / 2
        shape = np.ceil((high - low) / step).astype(int) + 4
        knots = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0, mode="wrap")
        return cls(low, step, knots / knots.std())

    def on(self, axes: Axes) -> NDArray[np.float32]:
        """Sample on the lattice of three axes of coordinates (mm)."""
        weights = [
            _spline_weights((axis - low) / self.step_mm + 1.5, size)
            for axis, low, size in zip(axes, self.low_mm, self.knots.shape, strict=True)
        ]
        return _separably(self.knots.astype(np.float32), weights)


def _spline_weights(position: NDArray[np.floating], knots: int) -> NDArray[np.float32]:
    """Return the (positions, knots) matrix of cubic B-spline weights; positions are in units of knots."""
    distance = np.abs(position[:, None] - np.arange(knots))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(np.float32)


@dataclass(frozen=True)
class Deformation:
    """A smooth random map of space onto itself: for each axis, noise of several lengths, in mm."""

    noises: tuple[tuple[float, tuple[SmoothNoise, SmoothNoise, SmoothNoise]], ...]

    @classmethod
    def draw(cls, extent_mm: Extent, scales_mm: dict[float, float], rng: np.random.Generator) -> Deformation:
        """Draw a deformation.

        Args:
            extent_mm: ranges of R, A and S it covers.
            scales_mm: root mean square displacement per axis (mm) for each correlation length (mm). The map stays
                one-to-one while displacement / length is well under 1/3.
            rng: source of the noise.
        """

        def axes(length: float) -> tuple[SmoothNoise, SmoothNoise, SmoothNoise]:
            x, y, z = (SmoothNoise.draw(extent_mm, length, rng) for _ in range(3))
            return x, y, z

        return cls(tuple((rms, axes(length)) for length, rms in scales_mm.items()))

    def moved(self, axes: Axes) -> Points:
        """Return where the points of a lattice of three axes (mm) go (3, i, j, k)."""
        points = mesh(axes)
        for rms, noises in self.noises:
            for axis, noise in enumerate(noises):
                points[axis] += rms * noise.on(axes)
        return points


def mesh(axes: Axes) -> Points:
    """Return the points (3, i, j, k) of the lattice of three axes."""
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def spaced(extent_mm: Extent, spacing_mm: float) -> Axes:
    """Return axes over ranges of R, A and S."""
    x, y, z = (np.arange(low, high + spacing_mm / 2, spacing_mm, dtype=np.float32) for low, high in extent_mm)
    return x, y, z


def interpolated(field: NDArray[np.float32], coarse: Axes, fine: Axes) -> NDArray[np.float32]:
    """Interpolate a field linearly from the lattice of three coarse axes, each evenly spaced, to that of fine ones."""
    weights = []
    for source, target in zip(coarse, fine, strict=True):
        position = (target - source[0]) / (source[1] - source[0])
        weights.append(np.maximum(1 - np.abs(position[:, None] - np.arange(len(source))), 0).astype(np.float32))
    return _separably(field, weights)


def _separably(values: NDArray[np.float32], weights: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Apply a matrix along each axis, smallest result first and without a transposed copy."""
    x, y, z = weights
    result = np.matmul(y, values @ z.T)
    return (x @ result.reshape(len(values), -1)).reshape(len(x), len(y), len(z))


def block_of(field: NDArray[np.float32], coarse: Axes, fine: Axes, margin_mm: float) -> Block | None:
    """Return the smallest block of the fine lattice that holds all points nearer than ``margin_mm`` to a shape.

    Args:
        field: signed distance on the coarse lattice.
        coarse: axes of that lattice (mm).
        fine: axes of the lattice to choose from (mm).
        margin_mm: how far outside the shape the block must reach.

    Returns:
        Slices of the fine lattice, or None where the shape is not near it.
    """
    near = field < margin_mm
    slices = []
    for axis, (source, target) in enumerate(zip(coarse, fine, strict=True)):
        (hits,) = np.nonzero(near.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(hits) == 0:
            return None
        low, high = source[max(hits[0] - 1, 0)], source[min(hits[-1] + 1, len(source) - 1)]
        first, last = np.searchsorted(target, (low, high), side="left")
        slices.append(slice(int(first), int(min(last + 1, len(target)))))
    x, y, z = slices
    return None if any(part.start >= part.stop for part in slices) else (x, y, z)


def within(axes: Axes, block: Block) -> Axes:
    """Return the part of three axes that a block keeps."""
    x, y, z = (axis[part] for axis, part in zip(axes, block, strict=True))
    return x, y, z
