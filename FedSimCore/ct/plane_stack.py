"""The plane-stack: cone-beam projection as banded matrix products and gathers of contiguous rows.

On a circular orbit whose detector rows run along the rotation axis, the point at depth ``d`` (distance from the source
along the central ray) on the ray to pixel (u, v) has the axial coordinate ``v d / SDD``, whatever the view. So every
plane of depth needs the volume's columns resampled along the axis only once for all views: a banded matrix product.
What is left is two-dimensional: ray (view, u) passes a *cell* (column of voxels, plane) with some weight, and takes a
whole contiguous row of detector rows from it: a weighted gather, ``embedding_bag``. The transpose gathers with the
transposed table, so it needs no scatter and no atomics, and is exact.

The tables are sparse matrices from cells to rays that :mod:`FedSimCore.ct.plane_taps` computes; docs/ct_projector.md
has the mathematics, the bounds on memory and the limits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn.functional import embedding_bag

from FedSimCore.ct.geometry import Array
from FedSimCore.ct.table_cache import projection_tables
from FedSimCore.progress import Progress, silent

# Detector rows handled at once. A gathered row is then two cache lines, and the cells of a slab stay in cache.
ROWS_AT_ONCE = {"cpu": 32}
# Planes that share one matrix product: more would widen the band of voxels they need.
PLANES_AT_ONCE = 8

# Tables that are made anew in every call are used for all rows and channels before the next ones are made.
SEGMENT_BYTES = 256 << 20


class Bags(NamedTuple):
    """A sparse matrix in compressed rows, as ``embedding_bag`` takes it: bag ``b`` sums ``offsets[b]:offsets[b+1]``."""

    indices: Tensor
    weights: Tensor
    offsets: Tensor

    def transposed(self, columns: int) -> Bags:
        """Return the transpose of this matrix, which has ``columns`` columns; on the CPU."""
        rows = len(self.offsets) - 1
        parts = (self.weights.numpy(), self.indices.numpy(), self.offsets.numpy())
        matrix = csr_matrix(parts, shape=(rows, columns)).tocsc()
        return Bags(*(torch.from_numpy(part) for part in (matrix.indices, matrix.data, matrix.indptr)))

    def to(self, device: torch.device) -> Bags:
        """Return the same matrix on another device."""
        return Bags(*(part.to(device) for part in self))

    def __matmul__(self, rows: Tensor) -> Tensor:
        """Multiply by a dense matrix of rows."""
        return embedding_bag(
            self.indices, rows, self.offsets, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(part.numel() * part.element_size() for part in self)


@dataclass(frozen=True)
class Slab:
    """Columns ``columns[0]:columns[1]`` of the sorted volume at planes ``planes[0]:planes[1]``.

    A cell's number within its slab is ``column * number of planes + plane``, both counted from the slab's first.
    """

    columns: tuple[int, int]
    planes: tuple[int, int]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return (self.columns[1] - self.columns[0]) * (self.planes[1] - self.planes[0])


class Taps(ABC):
    """Which ray takes how much of which cell.

    Attributes:
        order: (columns,), the order in which slabs count the volume's columns.
        slabs: a partition of all cells that any ray passes.
        rays: number of rays (view, u).
        stored: what the bags of :meth:`bags` are, rays or cells.
        estimated_bytes: upper estimate of all tables of one direction.
    """

    order: Tensor
    slabs: list[Slab]
    rays: int
    stored: Literal["rays", "cells"]
    estimated_bytes: int

    @abstractmethod
    def bags(self, slab: Slab) -> Bags:
        """Compute the slab's table, on the CPU."""


@dataclass(frozen=True, eq=False)
class AxialWeights:
    """Linear interpolation between voxels of a column and detector rows, for every plane.

    Attributes:
        positions: with ``sampled == "voxels"``: (planes, rows), where along the column (fractional k) each row's ray
            passes; with ``sampled == "rows"``: (planes, k), where on the detector (fractional row) each voxel falls.
        sampled: what is interpolated.
        voxels: voxels of a column.
        rows: detector rows.
    """

    positions: Array
    sampled: Literal["voxels", "rows"]
    voxels: int
    rows: int

    def band(self, planes: tuple[int, int], rows: tuple[int, int]) -> tuple[int, int, Array]:
        """Return voxels ``first:last``, all that matter, and their weights (last - first, planes * rows)."""
        positions = self.positions[planes[0] : planes[1]]
        if self.sampled == "voxels":
            distance = positions[:, None, rows[0] : rows[1]] - np.arange(self.voxels)[None, :, None]
        else:
            distance = positions[:, :, None] - np.arange(*rows)[None, None, :]
        weights = np.maximum(0.0, 1.0 - np.abs(distance))
        touched = np.flatnonzero(weights.any(axis=(0, 2)))
        if len(touched) == 0:
            return 0, 0, np.zeros((0, 0))
        # Matrix products are faster by up to half when their sizes are multiples of eight.
        size = min(self.voxels, -(-(int(touched[-1]) + 1 - int(touched[0])) // 8) * 8)
        first = min(int(touched[0]), self.voxels - size)
        last = first + size
        return first, last, weights[:, first:last].transpose(1, 0, 2).reshape(last - first, -1)


class _Band(NamedTuple):
    """Axial weights of some planes: voxels ``first:last`` to ``part``, counted as plane * rows + row."""

    part: slice
    first: int
    last: int
    weights: Tensor


class PlaneStack:
    """The sparse map from a volume to rays and its transpose, on one device in one precision.

    Args:
        taps: in-plane table.
        axial: axial interpolation.
        key: equal for equal tables; under it they are shared through the cache.
        device: where to compute.
        dtype: float32 or float64.
    """

    def __init__(
        self, taps: Taps, axial: AxialWeights, key: Hashable, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._taps = taps
        self._axial = axial
        self._key = key
        self._device = device
        self._dtype = dtype
        self._order = taps.order.to(device)
        width = ROWS_AT_ONCE.get(device.type, axial.rows)
        parts = -(-axial.rows // width)
        edges = [axial.rows * part // parts for part in range(parts + 1)]
        self._row_blocks = list(pairwise(edges))

    def project(self, volume: Tensor, progress: Progress = silent) -> Tensor:
        """Map (channels, columns, k) to (channels, rays, rows); ``progress`` is told of every block of rows."""
        columns = volume.index_select(1, self._order)
        result = volume.new_zeros(len(volume), self._taps.rays, self._axial.rows)
        workspace = self._workspace()
        for channel, rows, tables in self._passes(len(volume), "rays", progress):
            target = result[channel, :, rows[0] : rows[1]]
            self._project_rows(columns[channel], rows, tables, workspace, target)
        return result

    def backproject(self, sinogram: Tensor, progress: Progress = silent) -> Tensor:
        """Map (channels, rays, rows) to (channels, columns, k) by the transpose of :meth:`project`."""
        columns = sinogram.new_zeros(len(sinogram), len(self._order), self._axial.voxels)
        for channel, rows, tables in self._passes(len(sinogram), "cells", progress):
            source = sinogram[channel, :, rows[0] : rows[1]].contiguous()
            self._backproject_rows(source, rows, tables, columns[channel])
        return torch.empty_like(columns).index_copy_(1, self._order, columns)

    def gathered_bytes(self) -> int:
        """Return how many bytes one channel's projection gathers from cells: most of its traffic."""
        taps = sum(len(self._bags(slab, "rays").indices) for segment in self._segments() for slab in segment)
        return taps * self._axial.rows * torch.empty(0, dtype=self._dtype).element_size()

    def _project_rows(
        self,
        columns: Tensor,
        rows: tuple[int, int],
        tables: list[tuple[Slab, Bags]],
        workspace: Tensor,
        target: Tensor,
    ) -> None:
        total: Tensor | None = None
        width = rows[1] - rows[0]
        groups = self._band_groups(rows)
        for slab, bags in tables:
            bands = _bands_of(slab, groups, width)
            if not any(band.last for band in bands):
                continue
            first, last = slab.columns
            cells = workspace[: slab.cells * width].view(last - first, -1)
            for band in bands:
                if band.last:
                    torch.mm(columns[first:last, band.first : band.last], band.weights, out=cells[:, band.part])
                else:
                    cells[:, band.part] = 0
            part = bags @ cells.view(-1, width)
            total = part if total is None else total.add_(part)
        if total is not None:
            target += total

    def _backproject_rows(
        self, source: Tensor, rows: tuple[int, int], tables: list[tuple[Slab, Bags]], columns: Tensor
    ) -> None:
        groups = self._band_groups(rows)
        for slab, bags in tables:
            bands = _bands_of(slab, groups, rows[1] - rows[0])
            if not any(band.last for band in bands):
                continue
            first, last = slab.columns
            cells = (bags @ source).view(last - first, -1)
            for band in bands:
                if band.last:
                    columns[first:last, band.first : band.last].addmm_(cells[:, band.part], band.weights.T)

    def _passes(
        self, channels: int, bagged: Literal["rays", "cells"], progress: Progress
    ) -> Iterator[tuple[int, tuple[int, int], list[tuple[Slab, Bags]]]]:
        """Yield channel, rows and tables of everything that there is to do, and tell how much of it is done."""
        segments = self._segments()
        total, done = len(segments) * channels * len(self._row_blocks), 0
        for segment in segments:
            tables = [(slab, self._bags(slab, bagged)) for slab in segment]
            for channel in range(channels):
                for rows in self._row_blocks:
                    progress(done, total, "projecting")
                    yield channel, rows, tables
                    done += 1

    def _segments(self) -> list[list[Slab]]:
        """Return the slabs whose tables are used together: all where the cache can hold them, else some at a time."""
        slabs = self._taps.slabs
        total = self._taps.estimated_bytes
        limit = total if total <= projection_tables().limit_bytes else SEGMENT_BYTES
        share = limit * sum(slab.cells for slab in slabs) / max(total, 1)
        segments: list[list[Slab]] = [[]]
        for slab in slabs:
            if segments[-1] and sum(member.cells for member in segments[-1]) + slab.cells > share:
                segments.append([])
            segments[-1].append(slab)
        return segments

    def _bags(self, slab: Slab, bagged: Literal["rays", "cells"]) -> Bags:
        def make() -> tuple[Bags, int]:
            bags = self._taps.bags(slab)
            if bagged != self._taps.stored:
                bags = bags.transposed(slab.cells if bagged == "cells" else self._taps.rays)
            bags = bags.to(self._device)
            return bags, bags.nbytes

        return projection_tables().get(self._key, (bagged, slab), make)

    def _band_groups(self, rows: tuple[int, int]) -> list[_Band]:
        """Return the axial weights of all planes for some rows, by groups of ``PLANES_AT_ONCE``."""

        def make() -> tuple[list[_Band], int]:
            bands = []
            width = rows[1] - rows[0]
            planes = len(self._axial.positions)
            for first in range(0, planes, PLANES_AT_ONCE):
                last = min(first + PLANES_AT_ONCE, planes)
                low, high, weights = self._axial.band((first, last), rows)
                part = slice(first * width, last * width)
                bands.append(_Band(part, low, high, torch.from_numpy(weights).to(self._device, self._dtype)))
            return bands, sum(band.weights.numel() * band.weights.element_size() for band in bands)

        return projection_tables().get(self._key, ("bands", rows), make)

    def _workspace(self) -> Tensor:
        width = max(last - first for first, last in self._row_blocks)
        cells = max((slab.cells for slab in self._taps.slabs), default=0)
        return torch.empty(cells * width, dtype=self._dtype, device=self._device)


def _bands_of(slab: Slab, groups: list[_Band], width: int) -> list[_Band]:
    """Cut the groups' weights to the slab's planes; parts are counted from its first plane."""
    start, stop = slab.planes
    bands = []
    for index in range(start // PLANES_AT_ONCE, -(-stop // PLANES_AT_ONCE)):
        group = groups[index]
        first, last = max(start * width, group.part.start), min(stop * width, group.part.stop)
        weights = group.weights[:, first - group.part.start : last - group.part.start]
        bands.append(_Band(slice(first - start * width, last - start * width), group.first, group.last, weights))
    return bands
