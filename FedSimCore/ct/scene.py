"""A body whose geometry has been worked out: its line integrals, ready for any tissues and protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from FedSimCore.ct.materials import Tissue
from FedSimCore.ct.scanners import Scanner
from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, part_of, silent

if TYPE_CHECKING:
    from FedSimCore.ct.simulator import CTSimulator

Channels = tuple[tuple[int, ...], ...]

READING_SHARE, READING_SHARE_IN_A_BODY = 0.5, 0.66
"""What of a rendering's time the detector takes, the rest being the reconstruction's (128 cubed, 180 views, a CPU)."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Line integrals of the coarse part of a body.

    Attributes:
        channels: labels of each of S channels.
        line_integrals_mm: (S, views, coarse columns, coarse rows).
    """

    channels: Channels
    line_integrals_mm: Tensor


@dataclass(frozen=True, eq=False)
class Scene:
    """A body of which the geometry's work is done; only tissues and protocol are still open.

    Memory: 4 bytes (float32) for each channel, view, inner column and row: 23 MB a channel at 180 views and 128 voxels.

    Attributes:
        simulator: who made it.
        channels: labels of each of C channels; labels that share a channel are of the same tissue.
        line_integrals_mm: (B, C, views, inner columns, rows) path through each channel, mm.
        surroundings: the coarse rest of the body, the same for all samples.
    """

    simulator: CTSimulator
    channels: Channels
    line_integrals_mm: Tensor
    surroundings: Surroundings | None = None

    def render(
        self,
        tissues: Mapping[int, Tissue],
        scanner: Scanner | None = None,
        seed: int | None = None,
        progress: Progress = silent,
    ) -> Tensor:
        """Scan the body.

        Args:
            tissues: the tissue of every label.
            scanner: another protocol (voltage, dose, kernel, slice thickness) on the same geometry.
            seed: of the noise; None for a noiseless image.
            progress: told of both stages, in thousandths of the time they take.

        Returns:
            (B, 1, X, Y, Z) HU.

        Raises:
            InputError: a label has no tissue, labels of one channel have different tissues, or the protocol has
                another geometry.
        """
        groups = self.simulator.beam(scanner).groups
        inner = groups.tissue_attenuation([_tissue_of(channel, tissues) for channel in self.channels])
        outer = None
        if self.surroundings is not None:
            outer = groups.tissue_attenuation([_tissue_of(channel, tissues) for channel in self.surroundings.channels])
        return self.render_attenuation(inner, outer, scanner, seed, progress)

    def render_attenuation(
        self,
        attenuation: Tensor,
        outer_attenuation: Tensor | None = None,
        scanner: Scanner | None = None,
        seed: int | None = None,
        progress: Progress = silent,
    ) -> Tensor:
        """Scan the body, differentiably.

        Args:
            attenuation: (C, groups) or (B, C, groups) of the channels, 1/cm, for the energy groups of
                ``simulator.beam(scanner).groups``.
            outer_attenuation: (S, groups) of the surroundings' channels.
            scanner: another protocol on the same geometry.
            seed: of the noise; None for a noiseless image.
            progress: told of both stages, in thousandths of the time they take.

        Returns:
            (B, 1, X, Y, Z) HU.
        """
        simulator = self.simulator
        protocol = scanner or simulator.scanner
        if _orbit(protocol) != _orbit(simulator.scanner):
            raise InputError(
                f"Protocol {protocol.key} has another geometry than scanner {simulator.scanner.key}; prepare it anew."
            )
        background = None
        if self.surroundings is not None and outer_attenuation is not None:
            background = self.surroundings.line_integrals_mm, outer_attenuation.to(simulator.device)
        generator = None if seed is None else torch.Generator(simulator.device).manual_seed(seed)
        beam = simulator.beam(protocol)
        samples = len(self.line_integrals_mm)
        per_sample = attenuation.to(simulator.device).expand(samples, *attenuation.shape[-2:])
        read = READING_SHARE if background is None else READING_SHARE_IN_A_BODY
        lengths = []
        for number, (lines, mu) in enumerate(zip(self.line_integrals_mm, per_sample, strict=True)):
            reading = part_of(progress, read * number / samples, read * (number + 1) / samples, "reading the detector")
            lengths.append(beam.water_equivalent(lines, mu, simulator.geometry, generator, background, reading))
        reconstructing = part_of(progress, read, 1.0, "reconstructing")
        hounsfield = simulator.reconstruct(torch.stack(lengths)[:, None], protocol, reconstructing)
        reconstructing(1, 1, "")
        return hounsfield


def _tissue_of(channel: tuple[int, ...], tissues: Mapping[int, Tissue]) -> Tissue:
    missing = [label for label in channel if label not in tissues]
    if missing:
        raise InputError(f"Label {missing[0]} has no tissue; tissues are given for {sorted(tissues)}.")
    first = tissues[channel[0]]
    for label in channel[1:]:
        if tissues[label] != first:
            raise InputError(
                f"Labels {channel[0]} and {label} were prepared as one tissue but are given {first.key} and "
                f"{tissues[label].key}; name label {label} in prepare(apart=...)."
            )
    return first


def _orbit(scanner: Scanner) -> tuple[object, ...]:
    return (
        scanner.source_isocenter_mm,
        scanner.source_detector_mm,
        scanner.detector_element_mm,
        scanner.scan_field_mm,
        scanner.views,
        scanner.angular_range_deg,
    )
