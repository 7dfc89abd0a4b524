"""A projector for any orbit: trilinear samples along every ray.

Slower than the plane-stack by one to two orders of magnitude on a CPU, but the source and the detector may stand
anywhere: tilted gantries, non-circular and helical orbits, detectors that are not parallel to the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from FedSimCore.ct.geometry import Array, ConeBeamGeometry, DetectorPoses
from FedSimCore.ct.linear_map import LinearMap
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress
from FedSimCore.volumes import Grid

# Samples computed at once; three coordinates in double precision and their copies take some 80 bytes each.
SAMPLES_AT_ONCE = 1 << 21


class RayProjector(LinearMap):
    """Line integrals along the rays of arbitrary views, and the matched adjoint.

    Like :class:`ConeBeamProjector` it maps (batch, channel, x, y, z) in 1/mm to (batch, channel, views, columns, rows),
    interpolates trilinearly (zero outside) where rays cross planes parallel to the detector, and is differentiated by
    its transpose. For a circular orbit both give the same numbers. The grid may be oblique.

    Args:
        poses: source and detector of every view.
        columns: detector columns.
        rows: detector rows.
        pixel_mm: size of a pixel along u and v.
        grid: the volume's grid.
        device: where volumes and sinograms live.
        dtype: float32 or float64.
        step_mm: distance of the planes; by default the smallest spacing of the grid.
        center_mm: RAS point about which the planes lie symmetrically; by default the middle of the grid.

    Raises:
        InputError: a source does not stand off its detector, or source or detector is inside the volume.
    """

    def __init__(
        self,
        poses: DetectorPoses,
        columns: int,
        rows: int,
        pixel_mm: tuple[float, float],
        grid: Grid,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        step_mm: float | None = None,
        center_mm: Array | None = None,
    ) -> None:
        super().__init__(grid.shape, (len(poses.source_mm), columns, rows), torch.device(device), dtype)
        self.grid = grid
        self.step_mm = float(grid.spacing_mm.min()) if step_mm is None else step_mm
        self._source = poses.source_mm
        self._corner = poses.detector_mm - poses.source_mm
        self._u, self._v = poses.u, poses.v
        self._u_mm = (np.arange(columns) - (columns - 1) / 2) * pixel_mm[0]
        self._v_mm = (np.arange(rows) - (rows - 1) / 2) * pixel_mm[1]
        normal = np.cross(poses.u, poses.v)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        self._distance = np.einsum("ij,ij->i", self._corner, normal)
        center = grid.center_mm if center_mm is None else np.asarray(center_mm, dtype=np.float64)
        sign = np.sign(self._distance)[:, None]
        center_depth = np.einsum("ij,ij->i", center - poses.source_mm, normal * sign)
        self._distance = np.abs(self._distance)
        reach = _reach(grid, center)
        self._check_clearance(center_depth, reach)
        count = 2 * math.ceil(reach / self.step_mm)
        self._depths = center_depth[:, None] + (np.arange(count) - (count - 1) / 2) * self.step_mm

    @classmethod
    def circular(
        cls,
        geometry: ConeBeamGeometry,
        grid: Grid,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        step_mm: float | None = None,
    ) -> RayProjector:
        """Make a projector for a circular scan, e.g. of a grid that is tilted against the rotation axis."""
        center = grid.center_mm if geometry.isocenter_mm is None else np.array(geometry.isocenter_mm)
        poses = geometry.poses(center)
        detector = (geometry.columns, geometry.rows, geometry.pixel_mm)
        return cls(poses, *detector, grid, device, dtype, step_mm, center)

    def _check_clearance(self, center_depth: Array, reach: float) -> None:
        if self.step_mm <= 0:
            raise InputError(f"The step along rays is {self.step_mm} mm, but it has to be positive.")
        if self._distance.min() <= 0:
            raise InputError("A source lies in the plane of its detector; check the poses.")
        radius = reach - float(np.linalg.norm(self.grid.spacing_mm))
        outside = np.minimum(center_depth, self._distance - center_depth).min()
        if outside <= radius:
            raise InputError(
                f"A source or detector comes within {outside:.0f} mm of the volume's middle, whose corners are "
                f"{radius:.0f} mm away; use a smaller grid or move them out."
            )

    def _apply(self, x: Tensor, progress: Progress) -> Tensor:
        result = x.new_empty(len(x), *self.range_shape)
        for view, columns, points, length in self._chunks(progress):
            result[:, view, columns] = _sample(x, points) * length
        return result

    def _apply_transpose(self, y: Tensor, progress: Progress) -> Tensor:
        result = y.new_zeros(len(y), *self.domain_shape)
        blank = torch.zeros_like(result, requires_grad=True)
        for view, columns, points, length in self._chunks(progress):
            with torch.enable_grad():
                sampled = _sample(blank, points)
            result += torch.autograd.grad(sampled, blank, y[:, view, columns] * length)[0]
        return result

    def _chunks(self, progress: Progress) -> Iterator[tuple[int, slice, Tensor, Tensor]]:
        """Yield view, columns, where to sample (1, planes, columns, rows, 3) and the rays' step (columns, rows)."""
        views, total, rows = self.range_shape
        width = max(1, SAMPLES_AT_ONCE // (rows * self._depths.shape[1]))
        for view in range(views):
            progress(view, views, "projecting")
            for first in range(0, total, width):
                columns = slice(first, min(first + width, total))
                yield view, columns, *self._points(view, columns)

    def _points(self, view: int, columns: slice) -> tuple[Tensor, Tensor]:
        across = self._u_mm[columns, None, None] * self._u[view]
        ray = (self._corner[view] + across + self._v_mm[:, None] * self._v[view]) / self._distance[view]
        to_index = np.linalg.inv(self.grid.affine)
        start = to_index[:3, :3] @ self._source[view] + to_index[:3, 3]
        index = start + self._depths[view][:, None, None, None] * (ray @ to_index[:3, :3].T)
        # grid_sample counts from -1 to 1 over the voxels' outer faces, last axis first.
        normalised = (2 * index[..., ::-1] + 1) / np.array(self.domain_shape[::-1]) - 1
        length = self.step_mm * np.linalg.norm(ray, axis=-1)
        return (
            torch.from_numpy(normalised)[None].to(self.device, self.dtype),
            torch.from_numpy(length).to(self.device, self.dtype),
        )


def _sample(volume: Tensor, points: Tensor) -> Tensor:
    """Sum (channels, x, y, z) over the planes of ``points`` to (channels, columns, rows)."""
    return grid_sample(volume[None], points, padding_mode="zeros", align_corners=False)[0].sum(1)


def _reach(grid: Grid, center: Array) -> float:
    corners = np.stack(np.meshgrid(*[(-1, n) for n in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    return float(np.linalg.norm(grid.to_world(corners) - center, axis=1).max())
