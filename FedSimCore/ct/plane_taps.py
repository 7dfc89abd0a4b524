"""Tables of the plane-stack: which ray takes how much of which cell.

:class:`ProjectionTaps` samples the volume where rays cross the planes of depth (bilinear within the plane), which
together with the axial interpolation is trilinear sampling along rays. :class:`BackprojectionTaps` interpolates the
detector where voxels project to, which is the back projection of Feldkamp, Davis and Kress (1984).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.ct.geometry import Array, ConeBeamGeometry
from FedSimCore.ct.placement import Placement
from FedSimCore.ct.plane_stack import ROWS_AT_ONCE, Bags, Slab, Taps

# The cells of a slab (a block of detector rows each) should stay in the last-level cache.
_CELL_BYTES = 16 << 20
# Samples whose positions are computed at once; bounds the temporaries to some 100 MB.
_SAMPLES_AT_ONCE = 1 << 20


def depth_planes(geometry: ConeBeamGeometry, placement: Placement, step_mm: float) -> Array:
    """Return the depths (planes,) that cover the volume, symmetric about the isocentre and ``step_mm`` apart."""
    reach = float(np.linalg.norm(placement.columns_mm, axis=1).max()) + _diagonal(placement)
    count = 2 * math.ceil(reach / step_mm)
    depths = geometry.source_isocenter_mm + (np.arange(count) - (count - 1) / 2) * step_mm
    return depths[(depths > 0) & (depths < geometry.source_detector_mm)]


class ProjectionTaps(Taps):
    """Bilinear samples where rays cross the planes of depth.

    Args:
        geometry: the scan.
        placement: the volume in the scanner.
        depths_mm: (planes,), equally spaced.
        dtype: of the weights.
    """

    stored = "rays"

    def __init__(self, geometry: ConeBeamGeometry, placement: Placement, depths_mm: Array, dtype: torch.dtype) -> None:
        self._geometry = geometry
        self._placement = placement
        self._depths = depths_mm
        self._dtype = dtype
        self.rays = geometry.views * geometry.columns
        self._turns = _quarter_turns(geometry, placement)
        self._split_into_slabs()
        itemsize = torch.empty(0, dtype=dtype).element_size()
        chord = min(len(depths_mm), math.ceil(np.pi / 4 * len(depths_mm)))
        self.estimated_bytes = self.rays * chord * 4 * (4 + itemsize)

    def _split_into_slabs(self) -> None:
        placement, depths = self._placement, self._depths
        radius = np.linalg.norm(placement.columns_mm, axis=1)
        thickness = _planes_per_slab(len(radius))
        step = abs(depths[1] - depths[0]) if len(depths) > 1 else 1.0
        # Far columns first, so that the columns a slab reaches are a prefix; within rings of a slab's thickness
        # neighbours stay neighbours.
        ring = np.floor(radius / (thickness * step)).astype(np.int64)
        order = np.argsort(-ring, kind="stable")
        self.order = torch.from_numpy(order)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        self._ranks = [torch.from_numpy(rank[turn]) for turn in self._turns]
        smallest_after = np.minimum.accumulate(radius[order])
        self.slabs = []
        for first in range(0, len(depths), thickness):
            last = min(first + thickness, len(depths))
            distance = depths[first:last] - self._geometry.source_isocenter_mm
            nearest = 0.0 if distance[0] * distance[-1] <= 0 else float(np.abs(distance).min())
            # Reached are the columns round points at least `nearest` from the axis.
            reached = int(np.count_nonzero(smallest_after >= nearest - _diagonal(placement)))
            reached = _last_at_least(radius[order], nearest - _diagonal(placement), reached)
            if reached:
                self.slabs.append(Slab((0, reached), (first, last)))

    def bags(self, slab: Slab) -> Bags:
        """Compute the slab's table of rays, each a bag of four cells per plane that lies in the volume."""
        views = self._geometry.views // len(self._turns)
        planes = slab.planes[1] - slab.planes[0]
        at_once = max(1, _SAMPLES_AT_ONCE // (self._geometry.columns * planes))
        parts = [self._samples(slab, first, min(first + at_once, views)) for first in range(0, views, at_once)]
        columns, plane, weights, counts = (torch.cat(part) for part in zip(*parts, strict=True))
        turned = [
            rank.index_select(0, columns.view(-1)).view(columns.shape).mul_(planes).add_(plane[:, None])
            for rank in self._ranks
        ]
        offsets = torch.zeros(self.rays + 1, dtype=torch.int32)
        torch.cumsum(counts.repeat(len(self._turns)) * 4, 0, out=offsets[1:])
        return Bags(torch.cat(turned).view(-1), weights.repeat(len(self._turns), 1).view(-1), offsets)

    def _samples(self, slab: Slab, first: int, last: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return columns (samples, 4), plane in the slab, weights (samples, 4), and samples per ray."""
        i, j = self._positions(slab, first, last)
        size_i, size_j, _ = self._placement.shape
        inside = (i > -1) & (i < size_i) & (j > -1) & (j < size_j)
        counts = inside.sum(dim=2, dtype=torch.int32).view(-1)
        chosen = inside.view(-1).nonzero().squeeze(1)
        plane = (chosen % inside.shape[2]).int()
        i_below, i_above, i_low, i_high = _linear_taps(i.view(-1)[chosen], size_i)
        j_below, j_above, j_low, j_high = _linear_taps(j.view(-1)[chosen], size_j)
        columns = torch.stack(
            [i_low * size_j + j_low, i_low * size_j + j_high, i_high * size_j + j_low, i_high * size_j + j_high], dim=1
        )
        products = [i_below * j_below, i_below * j_above, i_above * j_below, i_above * j_above]
        return columns, plane, torch.stack([p.to(self._dtype) for p in products], dim=1), counts

    def _positions(self, slab: Slab, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Return fractional i and j of every sample, each (views, columns, planes)."""
        geometry, placement = self._geometry, self._placement
        angles = geometry.angles_rad[first:last]
        sine, cosine = np.sin(angles), np.cos(angles)
        depths = self._depths[slab.planes[0] : slab.planes[1]]
        along = torch.from_numpy(geometry.source_isocenter_mm - depths)
        across = torch.from_numpy(np.outer(geometry.u_mm, depths / geometry.source_detector_mm))
        toward_source = torch.from_numpy(placement.to_index @ np.stack([sine, cosine]))
        u = torch.from_numpy(placement.to_index @ np.stack([cosine, -sine]))
        i, j = (
            torch.addcmul(
                placement.index_of_axis[axis] + toward_source[axis][:, None, None] * along,
                u[axis][:, None, None],
                across,
            )
            for axis in (0, 1)
        )
        return i, j


class BackprojectionTaps(Taps):
    """Linear interpolation across the detector where columns project to, weighted by (SID / depth) squared.

    A column lies at another depth in every view; its axial interpolation uses the nearest plane of ``depths_mm``.

    Args:
        geometry: the scan.
        placement: the volume in the scanner.
        depths_mm: (planes,), equally spaced.
        dtype: of the weights.
    """

    stored = "cells"

    def __init__(self, geometry: ConeBeamGeometry, placement: Placement, depths_mm: Array, dtype: torch.dtype) -> None:
        self._geometry = geometry
        self._depths = depths_mm
        self._step = depths_mm[1] - depths_mm[0] if len(depths_mm) > 1 else 1.0
        self._dtype = dtype
        self.rays = geometry.views * geometry.columns
        radius = np.linalg.norm(placement.columns_mm, axis=1)
        order = np.argsort(radius, kind="stable")
        self.order = torch.from_numpy(order)
        self._columns_mm = placement.columns_mm[order]
        self.slabs = []
        first = 0
        while first < len(order):
            last = min(first + _columns_per_slab(len(depths_mm)), len(order))
            planes = self._planes_within(float(radius[order[last - 1]]))
            self.slabs.append(Slab((first, last), planes))
            first = last
        itemsize = torch.empty(0, dtype=dtype).element_size()
        cells = sum(slab.cells for slab in self.slabs)
        self.estimated_bytes = len(order) * geometry.views * 2 * (4 + itemsize) + cells * 4

    def bags(self, slab: Slab) -> Bags:
        """Compute the slab's table of cells, each a bag of the rays that its column sees from that depth."""
        geometry = self._geometry
        distance = geometry.source_isocenter_mm
        sine, cosine = np.sin(geometry.angles_rad), np.cos(geometry.angles_rad)
        position = torch.from_numpy(self._columns_mm[slice(*slab.columns)])
        depth = distance - position @ torch.from_numpy(np.stack([sine, cosine]))
        lateral = position @ torch.from_numpy(np.stack([cosine, -sine]))
        u = (lateral * geometry.source_detector_mm / depth - geometry.u_mm[0]) / geometry.pixel_mm[0]
        below, above, low, high = _linear_taps(u.clamp_(-1, geometry.columns).view(-1), geometry.columns)
        weight = (distance / depth).square_().view(-1)
        weights = torch.stack([(below * weight).to(self._dtype), (above * weight).to(self._dtype)], dim=1)
        views = torch.arange(geometry.views, dtype=torch.int32).repeat(len(position)) * geometry.columns
        rays = torch.stack([views + low, views + high], dim=1)

        planes = slab.planes[1] - slab.planes[0]
        plane = torch.round((depth - self._depths[slab.planes[0]]) / self._step).int().clamp_(0, planes - 1)
        cell = (torch.arange(len(position), dtype=torch.int32)[:, None] * planes + plane).view(-1)
        entries = cell.argsort(stable=True)
        offsets = torch.zeros(slab.cells + 1, dtype=torch.int32)
        torch.cumsum(torch.bincount(cell, minlength=slab.cells) * 2, 0, out=offsets[1:])
        return Bags(rays[entries].view(-1), weights[entries].view(-1), offsets)

    def _planes_within(self, radius: float) -> tuple[int, int]:
        near = self._geometry.source_isocenter_mm - radius - self._depths[0]
        far = near + 2 * radius
        first = max(0, math.floor(near / self._step + 0.5))
        last = min(len(self._depths), math.floor(far / self._step + 0.5) + 1)
        return first, last


def _linear_taps(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return weights below and above and their indices (int32); outside the array weights are zero, indices valid."""
    floor = position.floor()
    above = position - floor
    low = floor.int()
    below = (1 - above).mul_(low >= 0)
    above.mul_(low < size - 1)
    return below, above, low.clamp(0, size - 1), (low + 1).clamp_(0, size - 1)


def _quarter_turns(geometry: ConeBeamGeometry, placement: Placement) -> list[NDArray[np.int64]]:
    """Return where columns go in turns by 0, 90, 180, 270 degrees, if these turn scan and grid into themselves."""
    columns = np.arange(placement.shape[0] * placement.shape[1], dtype=np.int64)
    if not geometry.is_full_scan or geometry.views % 4:
        return [columns]
    sign = 1 if geometry.direction == "counterclockwise" else -1
    quarter = np.array([[0.0, sign], [-sign, 0.0]])
    index = placement.columns_mm @ quarter.T @ placement.to_index.T + placement.index_of_axis
    nearest = np.round(index).astype(np.int64)
    size = np.array(placement.shape[:2])
    if np.abs(index - nearest).max() > 1e-9 * size.max() or (nearest < 0).any() or (nearest >= size).any():
        return [columns]
    turn = nearest[:, 0] * placement.shape[1] + nearest[:, 1]
    turns = [columns]
    for _ in range(3):
        turns.append(turn[turns[-1]])
    return turns


def _last_at_least(sorted_radius: Array, threshold: float, at_least: int) -> int:
    """Return the length of the shortest prefix that holds every radius not under ``threshold``."""
    reached = np.flatnonzero(sorted_radius >= threshold)
    return max(at_least, int(reached[-1]) + 1 if len(reached) else 0)


def _diagonal(placement: Placement) -> float:
    return float(np.linalg.norm(placement.spacing_mm[:2]))


def _planes_per_slab(columns: int) -> int:
    return int(np.clip(_CELL_BYTES // (columns * ROWS_AT_ONCE["cpu"] * 4), 4, 16))


def _columns_per_slab(planes: int) -> int:
    # Not too few: the transpose visits every ray once for each slab.
    return max(1024, _CELL_BYTES // (planes * ROWS_AT_ONCE["cpu"] * 4))
