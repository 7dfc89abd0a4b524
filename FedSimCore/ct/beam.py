"""What the detector reads: from the tissues' line integrals to water-equivalent thickness."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from FedSimCore.ct.energy_groups import EnergyGroups, gather
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.noise import noisy_signal
from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.water_correction import WaterCorrection
from FedSimCore.progress import Progress, silent

MM_PER_CM = 10.0
RAYS_AT_ONCE = 1 << 17
"""Rays that are read together; their exponentials (8 MB) stay in the cache, which makes twice the speed of 64 MB."""


class Beam:
    """Tube, dose and detector of one protocol.

    Attributes:
        groups: the tube's spectrum in groups.
        water: its water correction.
    """

    def __init__(self, scanner: Scanner, groups: int) -> None:
        self.scanner = scanner
        self.groups: EnergyGroups = gather(scanner.spectrum(), groups)
        self.water = WaterCorrection(self.groups)

    def exposure(self, geometry: ConeBeamGeometry) -> float:
        """Return mAs times mm2 at 1 m that count for the noise of one detector pixel in one view.

        A real image is reconstructed at the scanner's own resolution and then sampled on the working grid, which keeps
        its noise; binned pixels would average it away. As the variance of an image goes with the inverse fourth power
        of its resolution (Brooks and Di Chiro, Med. Phys. 3, 1976: voxel width cubed times slice), pixels of ``b`` by
        ``b`` elements are given the quanta of one element over ``b**2``. So noise in HU does not depend on the grid.

        The middle of the detector is taken for all of it: no bowtie filter, no obliquity.
        """
        share_of_rotation = geometry.angular_range_deg / 360.0 / geometry.views
        element_mm = self.scanner.detector_element_mm
        binned = geometry.pixel_mm[0] * geometry.pixel_mm[1] / element_mm**2
        element_mm2_at_1m = (element_mm * 1000.0 / geometry.source_detector_mm) ** 2
        quanta = self.scanner.mas * share_of_rotation * element_mm2_at_1m / binned
        return quanta * self.scanner.detective_efficiency

    def water_equivalent(
        self,
        line_integrals_mm: Tensor,
        attenuation: Tensor,
        geometry: ConeBeamGeometry,
        generator: torch.Generator | None = None,
        background: tuple[Tensor, Tensor] | None = None,
        progress: Progress = silent,
    ) -> Tensor:
        """Return what a scanner makes of tissues in its rays.

        Args:
            line_integrals_mm: (T, views, columns, rows) path through each tissue, mm.
            attenuation: (T, groups) linear attenuation of the tissues, 1/cm.
            geometry: detector and views of the line integrals.
            generator: source of the noise; None for a noiseless scan.
            background: further line integrals (S, views, ...) mm and their attenuation (S, groups); on a coarser
                detector that covers the whole one of ``geometry``, of which ``line_integrals_mm`` may then be
                the middle columns.
            progress: told of every block of views.

        Returns:
            (views, columns, rows) thickness of water in mm that would give the same reading.
        """
        constants = line_integrals_mm.new_tensor(np.stack([self.groups.signal_kev, self.groups.variance_kev2]))
        relative = constants / constants[0].sum()
        lengths = []
        views_at_once = max(1, RAYS_AT_ONCE // (geometry.columns * geometry.rows))
        for first in range(0, geometry.views, views_at_once):
            progress(first, geometry.views, "reading the detector")
            last = min(first + views_at_once, geometry.views)
            inner = line_integrals_mm[:, first:last]
            outer = None if background is None else background[0][:, first:last]
            outer_attenuation = None if background is None else background[1]
            arguments = (inner, attenuation, outer, outer_attenuation, relative, geometry.columns)
            if torch.is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in arguments):
                reading = checkpoint(_read, *arguments, use_reentrant=False)
            else:
                reading = _read(*arguments)
            lengths.append(self._lengths(reading, geometry, generator))
        return torch.cat(lengths)

    def _lengths(self, reading: Tensor, geometry: ConeBeamGeometry, generator: torch.Generator | None) -> Tensor:
        """Return the thickness of water (views, columns, rows), mm, for relative signal and variance (2, ...)."""
        signal = reading[0]
        if generator is not None:
            open_kev = self.exposure(geometry) * float(self.groups.signal_kev.sum())
            noisy = noisy_signal(
                signal * open_kev,
                reading[1] * open_kev,
                electronic_kev=self.scanner.electronic_noise_kev,
                generator=generator,
            )
            signal = noisy / open_kev
        signal = signal.clamp_min(torch.finfo(signal.dtype).tiny)
        return MM_PER_CM * self.water(-signal.log())


def _read(
    inner: Tensor,
    attenuation: Tensor,
    outer: Tensor | None,
    outer_attenuation: Tensor | None,
    relative: Tensor,
    columns: int,
) -> Tensor:
    """Return relative signal and variance (2, views, columns, rows) of a block of views."""
    width, rows = inner.shape[2:]
    depth = _mix(attenuation, inner)
    if outer is not None and outer_attenuation is not None:
        # Mixed while coarse, enlarged once for each group of energies.
        coarse = _mix(outer_attenuation, outer)
        margin = (columns - width) // 2
        whole = torch.nn.functional.interpolate(coarse, size=(columns, rows), mode="bilinear", align_corners=False)
        whole[:, :, margin : margin + width] += depth
        depth = whole
    transmitted = depth.neg_().exp_()
    return (relative @ transmitted.flatten(1)).view(2, *transmitted.shape[1:])


def _mix(attenuation: Tensor, line_integrals_mm: Tensor) -> Tensor:
    """Return optical depth (groups, views, columns, rows)."""
    mixed = attenuation.to(line_integrals_mm.dtype).T / MM_PER_CM @ line_integrals_mm.flatten(1)
    return mixed.view(-1, *line_integrals_mm.shape[1:])


@lru_cache(maxsize=8)
def beam_of(scanner: Scanner, groups: int) -> Beam:
    """Return the beam of a protocol, made once."""
    return Beam(scanner, groups)
