"""The CT simulator: tissues on a grid in, Hounsfield units on the same grid out.

The way of a scan::

    label map --> line integrals of every label's indicator      geometry: once for a heart and a scanner
              --> optical depth in each group of energies        tissues, tube voltage
              --> detector readings with noise                   dose
              --> water-equivalent thickness --> FDK --> HU       kernel, slice thickness

:meth:`CTSimulator.prepare` does the first line and gives a :class:`~FedSimCore.ct.scene.Scene`, which renders any
tissues, voltage, dose and kernel without it. :meth:`CTSimulator.simulate` does everything once through three basis
materials, which is faster where tissues do not change.

The rest of the body lies on a coarse grid and is projected on a coarse detector; where both grids meet, their
interpolations are complementary, so that no seam shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.ct.basis import basis_tissues, decompose
from FedSimCore.ct.beam import Beam, beam_of
from FedSimCore.ct.body import Body, labels_in
from FedSimCore.ct.calibration import gain_of_water
from FedSimCore.ct.energy_groups import DEFAULT_GROUPS
from FedSimCore.ct.fdk import FDK
from FedSimCore.ct.filters import Kernel
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.materials import Tissue
from FedSimCore.ct.projector import ConeBeamProjector
from FedSimCore.ct.scanners import COARSE_BINNINGS, Scanner
from FedSimCore.ct.scene import Channels, Scene, Surroundings
from FedSimCore.ct.slices import thicken_slices
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, part_of, silent
from FedSimCore.volumes import Grid, Volume

__all__ = ["CTSimulator", "Scene"]

AIR_HU = -1000.0

_BASIS: Channels = ((0,), (1,), (2,))

PROJECTING_SHARES, PROJECTING_SHARES_IN_A_BODY = (0.57, 0.0), (0.45, 0.06)
"""What of a scan's time the projections of heart and body take (128 cubed, 180 views, a CPU)."""

COARSE_PIXEL_OF_VOXEL = 0.5
"""Largest pixel for the coarse part of the body as a share of its voxels, both at the isocentre; larger ones blur its
border, which then shows as a rim of the working grid."""


class CTSimulator:
    """A scanner looking at a grid.

    Args:
        scanner: geometry and default protocol.
        grid: what is reconstructed; its third axis parallel to S, its middle at the isocentre.
        whole_field: whether bodies reach beyond the grid; then the detector covers the whole scan field.
        device: where tensors live.
        dtype: float32 or float64.
        groups: number of energy groups of the polychromatic beam.

    Raises:
        InputError: the grid does not fit the scanner.
    """

    def __init__(
        self,
        scanner: Scanner,
        grid: Grid,
        *,
        whole_field: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        groups: int = DEFAULT_GROUPS,
    ) -> None:
        self.scanner = scanner
        self.grid = grid
        self.device = torch.device(device)
        self.dtype = dtype
        self._groups = groups
        # Hearts lie in different places but always at the isocentre: seen from there, their tables are the same.
        self._placed = self._about_isocenter(grid)
        self.inner_geometry = scanner.geometry(self._placed, whole_field=False)
        self.geometry = scanner.geometry(self._placed, whole_field=True) if whole_field else self.inner_geometry

    @cached_property
    def projector(self) -> ConeBeamProjector:
        """Projector of the grid, about the isocentre, on those detector columns that see it."""
        return ConeBeamProjector(self.inner_geometry, self._placed, device=self.device, dtype=self.dtype)

    def beam(self, scanner: Scanner | None = None) -> Beam:
        """Return tube and detector of a protocol, by default the scanner's own."""
        return beam_of(scanner or self.scanner, self._groups)

    def reconstruct(self, water_mm: Tensor, scanner: Scanner | None = None, progress: Progress = silent) -> Tensor:
        """Reconstruct water-equivalent projections (B, C, views, columns, rows), mm, to HU (B, C, X, Y, Z)."""
        protocol = scanner or self.scanner
        shape, affine = self._placed.shape, tuple(self._placed.affine.ravel())
        fdk, gain = _reconstruction(self.geometry, shape, affine, protocol.kernel, self.device, self.dtype)
        hounsfield = 1000.0 / gain * fdk(water_mm, progress) + AIR_HU
        return thicken_slices(hounsfield, float(self.grid.spacing_mm[2]), protocol.slice_thickness_mm)

    def prepare(self, body: Body, *, apart: Sequence[int] | None = None, progress: Progress = silent) -> Scene:
        """Project a body's labels once.

        Args:
            body: what lies in the scanner.
            apart: labels that can be given a tissue of their own afterwards, by default all; the others are
                projected together with those of the same tissue, which saves a third of the time if only the seven
                regions are named.
            progress: told of every projection.
        """
        self._check(body)
        apart = tuple(body.tissue_of) if apart is None else apart
        channels = _channels(labels_in(body.inner.array), body.tissue_of, apart)
        array = torch.from_numpy(np.ascontiguousarray(body.inner.array)).to(self.device)
        share = self._inner_share(body)
        shape = (1, len(channels), *self.projector.range_shape)
        line_integrals = torch.empty(shape, dtype=self.dtype, device=self.device)
        for number, labels in enumerate(channels):
            progress(number, len(channels), "projecting")
            indicator = torch.isin(array, array.new_tensor(labels)).to(self.dtype)
            line_integrals[:, number] = self.projector(indicator.mul_(share)[None, None])[:, 0]
        progress(len(channels), len(channels), "projecting")
        return Scene(self, channels, line_integrals, self._surroundings(body, apart))

    def prepare_occupancy(self, occupancy: Tensor, labels: Sequence[int], body: Body | None = None) -> Scene:
        """Project soft regions, keeping the gradient.

        Args:
            occupancy: (B, R, X, Y, Z) share of each voxel that each region fills.
            labels: the R labels of the channels.
            body: its ``outer`` surrounds every sample; its ``inner`` is not used.

        Returns:
            A scene of B samples.
        """
        if occupancy.ndim != 5 or occupancy.shape[1] != len(labels) or tuple(occupancy.shape[2:]) != self.grid.shape:
            raise InputError(
                f"The occupancy's shape is {tuple(occupancy.shape)}, but (batch, {len(labels)}, *{self.grid.shape}) "
                f"is needed."
            )
        if body is not None:
            self._check(body)
            occupancy = occupancy * self._inner_share(body)
        outer = None if body is None else self._surroundings(body, region_labels())
        return Scene(self, tuple((label,) for label in labels), self.projector(occupancy), outer)

    def simulate(
        self,
        body: Body,
        known: Mapping[str, Tissue],
        *,
        apart: Mapping[int, Tissue] = MappingProxyType({}),
        seed: int | None = None,
        progress: Progress = silent,
    ) -> Tensor:
        """Scan one body once, through basis materials: HU (1, 1, X, Y, Z).

        Args:
            body: what lies in the scanner.
            known: tissues by key, e.g. ``tissues(scanner.phase)``.
            apart: tissues of single labels, before those of their keys.
            seed: of the noise; None for a noiseless image.
            progress: told of every stage, in thousandths of the time that a heart in a thorax takes.
        """
        self._check(body)
        by_label = {**body.tissues(known), **apart}
        beam = self.beam()
        labels = sorted(by_label)
        mixture = decompose([by_label[label] for label in labels], beam.groups)
        table = torch.zeros(max(labels) + 1, mixture.shape[1], dtype=self.dtype)
        table[labels] = mixture.to(self.dtype)
        table = table.to(self.device)

        def fill(volume: Volume) -> Tensor:
            array = torch.from_numpy(np.ascontiguousarray(volume.array, dtype=np.int64)).to(self.device)
            return table[array].movedim(-1, 0).contiguous()

        heart_share, body_share = PROJECTING_SHARES if body.outer is None else PROJECTING_SHARES_IN_A_BODY
        projecting = part_of(progress, 0.0, heart_share, "projecting the heart")
        inner = self.projector((fill(body.inner) * self._inner_share(body))[None], projecting)
        outer = None
        if body.outer is not None:
            projecting = part_of(progress, heart_share, heart_share + body_share, "projecting the body")
            outer = Surroundings(_BASIS, self._outer_projector(body)(fill(_hollow(body))[None], projecting)[0])
        scene = Scene(self, _BASIS, inner, outer)
        projected = heart_share + body_share

        def rendering(done: int, total: int, stage: str, /) -> None:
            part_of(progress, projected, 1.0, stage)(done, total, stage)

        return scene.render(dict(enumerate(basis_tissues())), seed=seed, progress=rendering)

    def _check(self, body: Body) -> None:
        if not body.inner.grid.same_as(self.grid):
            raise InputError("The label map's grid is not the one the simulator was made for; resample it first.")
        if body.outer is not None and self.geometry is self.inner_geometry:
            raise InputError("The body reaches beyond the grid; make the simulator with whole_field=True.")

    def _outer_projector(self, body: Body) -> ConeBeamProjector:
        assert body.outer is not None
        magnification = self.geometry.source_detector_mm / self.geometry.source_isocenter_mm
        pixels = float(body.outer.grid.spacing_mm.min()) * magnification / self.geometry.pixel_mm[0]
        binning = next(b for b in COARSE_BINNINGS if b <= max(pixels * COARSE_PIXEL_OF_VOXEL, 1))
        columns, rows = self.geometry.columns // binning, self.geometry.rows // binning
        pixel = self.geometry.pixel_mm[0] * binning
        coarse = self.geometry.model_copy(update={"columns": columns, "rows": rows, "pixel_mm": (pixel, pixel)})
        placed = self._about_isocenter(body.outer.grid)
        return ConeBeamProjector(coarse, placed, device=self.device, dtype=self.dtype)

    def _about_isocenter(self, grid: Grid) -> Grid:
        affine = grid.affine.copy()
        affine[:3, 3] -= self.grid.center_mm
        return Grid(grid.shape, affine.round(9))

    def _surroundings(self, body: Body, apart: Sequence[int]) -> Surroundings | None:
        if body.outer is None:
            return None
        hollow = _hollow(body)
        channels = _channels(labels_in(hollow.array), body.tissue_of, apart)
        indicators = np.stack([np.isin(hollow.array, labels) for labels in channels])
        projector = self._outer_projector(body)
        return Surroundings(channels, projector(torch.from_numpy(indicators)[None].to(self.device, self.dtype))[0])

    def _inner_share(self, body: Body) -> Tensor | float:
        """Return the share of each voxel (X, Y, Z) that the coarse grid's interpolation leaves to the fine one."""
        if body.outer is None:
            return 1.0
        x, y, z = (_share_along(axis, self.grid, body.outer.grid) for axis in range(3))
        return torch.from_numpy(x[:, None, None] * y[:, None] * z).to(self.device, self.dtype)


def _channels(labels: Sequence[int], tissue_of: Mapping[int, str], apart: Sequence[int]) -> Channels:
    """Put labels of the same tissue together, but each of ``apart`` alone."""
    together: dict[object, list[int]] = {}
    for label in labels:
        together.setdefault(label if label in apart else tissue_of[label], []).append(label)
    return tuple(tuple(group) for group in together.values())


@lru_cache(maxsize=4)
def _reconstruction(
    geometry: ConeBeamGeometry,
    shape: tuple[int, int, int],
    affine: tuple[float, ...],
    kernel: Kernel,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[FDK, float]:
    """Return a reconstruction and its gain, made once for all simulators of the same scan."""
    grid = Grid(shape, np.array(affine).reshape(4, 4))
    fdk = FDK(geometry, grid, kernel=kernel, device=device, dtype=dtype)
    with torch.no_grad():
        return fdk, gain_of_water(geometry, grid, kernel, device, dtype)


def _centers(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))


def _within(grid: Grid, box: Grid) -> np.ndarray:
    """Tell which voxels of ``grid`` have their centre within ``box``."""
    index = box.to_index(_centers(grid))
    return np.all((index > -0.5) & (index < np.array(box.shape) - 0.5), axis=-1)


def _share_along(axis: int, fine: Grid, coarse: Grid) -> np.ndarray:
    """Return one axis' factor of the fine grid's share (n,).

    The coarse grid's voxels beyond the fine grid are interpolated linearly down to its outermost ones inside; the
    fine grid has the complement. What of it falls beyond the last fine voxel is added to that voxel.
    """
    step = np.eye(3)[axis]
    beyond = int(np.ceil(coarse.spacing_mm[axis] / fine.spacing_mm[axis]))
    index = (np.arange(-beyond, fine.shape[axis] + beyond)[:, None]) * step + (np.array(fine.shape) - 1) / 2 * (
        1 - step
    )
    on_coarse = coarse.to_index(fine.to_world(index))[:, axis]
    coarse_index = np.arange(coarse.shape[axis])
    border = np.interp([beyond - 0.5, beyond + fine.shape[axis] - 0.5], np.arange(len(index)), on_coarse)
    inside = (coarse_index > border.min()) & (coarse_index < border.max())
    share = np.interp(on_coarse, coarse_index, inside.astype(float))
    kept = share[beyond:-beyond].copy()
    kept[0] += share[:beyond].sum()
    kept[-1] += share[-beyond:].sum()
    return kept


def _hollow(body: Body) -> Volume:
    """Return the coarse label map without what the fine one shows."""
    assert body.outer is not None
    within = _within(body.outer.grid, body.inner.grid)
    return Volume(np.where(within, 0, body.outer.array), body.outer.grid)
