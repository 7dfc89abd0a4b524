"""Scanners and protocols as data: geometry, tube, dose, kernel and slice thickness.

Presets are in ``Resources/ct/scanners.json``; a user's own are files of the same schema with one entry.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator
from typing_extensions import Self

from FedSimCore.ct.attenuation import energy_range_kev
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.materials import contrast_phases
from FedSimCore.ct.schema import STRICT, checked, read_table
from FedSimCore.ct.spectra import Spectrum, monochromatic, tube_spectrum, tube_voltages_kvp
from FedSimCore.errors import InputError
from FedSimCore.resources import resource_path
from FedSimCore.volumes import Grid

SCHEMA = "fedsim/scanners/1"
COARSE_BINNINGS = (4, 2, 1)
"""Detector sizes are multiples of twice these, so that what lies far from the heart can be projected on pixels that
many times larger (see :mod:`FedSimCore.ct.simulator`)."""


class Scanner(BaseModel):
    """A CT scanner with the protocol it is used with.

    Attributes:
        key: identifier, e.g. ``"adult"``.
        name: description.
        kvp: tube voltage (kVp); one of the shipped spectra. Unused when ``monochromatic_kev`` is given.
        monochromatic_kev: photon energy of an ideal beam of one energy instead of a tube's.
        mas: tube current-time product of one rotation, as far as it is used (mAs).
        phase: contrast phase of the protocol.
        source_isocenter_mm: focal spot to rotation axis.
        source_detector_mm: focal spot to detector.
        detector_element_mm: pitch of the detector elements, square, at the detector.
        scan_field_mm: diameter of the cylinder that every view sees; the patient has to fit in it.
        views: projections of a scan.
        angular_range_deg: 360 for a full scan; ``"short"`` for 180 degrees and the fan angle.
        kernel: reconstruction kernel.
        slice_thickness_mm: thickness of the slices; 0 for that of the voxels.
        detective_efficiency: share of the tube's photons that is counted, after bowtie, grid and scintillator.
        electronic_noise_kev: standard deviation of the read-out noise of a detector element (keV deposited).

    Raises:
        InputError: (through :func:`read_scanner`) no scanner can be like that.
    """

    model_config = STRICT
    key: str = Field(min_length=1)
    name: str = ""
    kvp: int = 120
    monochromatic_kev: float | None = None
    mas: float = Field(default=250.0, gt=0.0, le=5000.0)
    phase: str = "arterial"
    source_isocenter_mm: float = Field(default=595.0, gt=0.0, le=2000.0)
    source_detector_mm: float = Field(default=1085.0, gt=0.0, le=4000.0)
    detector_element_mm: float = Field(default=1.1, gt=0.0, le=50.0)
    scan_field_mm: float = Field(default=460.0, gt=0.0)
    views: int = Field(default=360, ge=8, le=10000)
    angular_range_deg: float | Literal["short"] = 360.0
    kernel: Literal["ramp", "hann", "soft", "sharp"] = "hann"
    slice_thickness_mm: float = Field(default=0.0, ge=0.0, le=20.0)
    detective_efficiency: float = Field(default=0.6, gt=0.0, le=1.0)
    electronic_noise_kev: float = Field(default=600.0, ge=0.0)

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.kvp not in tube_voltages_kvp():
            raise ValueError(f"kvp {self.kvp} is none of {', '.join(map(str, tube_voltages_kvp()))}")
        low, high = energy_range_kev()
        if self.monochromatic_kev is not None and not low <= self.monochromatic_kev <= high:
            raise ValueError(f"monochromatic_kev {self.monochromatic_kev:g} is not within {low:g} to {high:g} keV")
        if self.phase not in contrast_phases():
            raise ValueError(f"phase {self.phase!r} is none of {', '.join(contrast_phases())}")
        if self.source_detector_mm <= self.source_isocenter_mm:
            raise ValueError(
                f"source_detector_mm {self.source_detector_mm:g} must be larger than source_isocenter_mm "
                f"{self.source_isocenter_mm:g}"
            )
        if self.scan_field_mm >= 1.9 * self.source_isocenter_mm:
            raise ValueError(
                f"scan_field_mm {self.scan_field_mm:g} does not fit between tube and patient; it must be below "
                f"1.9 times source_isocenter_mm"
            )
        if self.angular_range_deg != "short" and not 180 <= self.angular_range_deg <= 360:
            raise ValueError(f"angular_range_deg {self.angular_range_deg:g} is not between 180 and 360")
        return self

    def spectrum(self) -> Spectrum:
        """Return what leaves the tube."""
        if self.monochromatic_kev is not None:
            return monochromatic(self.monochromatic_kev)
        return tube_spectrum(self.kvp)

    def with_changes(self, **changes: Any) -> Scanner:
        """Return the scanner with other settings, checked like a file's.

        Raises:
            InputError: a setting is impossible.
        """
        return checked(Scanner, {**self.model_dump(), **changes}, f"scanner {self.key}")

    def binning_for(self, grid: Grid) -> int:
        """Return how many detector elements, across and along, make one pixel for a reconstruction on ``grid``.

        As many as keep the pixel, seen at the isocentre, no larger than a voxel.
        """
        element_at_isocenter = self.detector_element_mm * self.source_isocenter_mm / self.source_detector_mm
        return max(1, math.floor(float(grid.spacing_mm.min()) / element_at_isocenter + 1e-9))

    def geometry(self, grid: Grid, *, whole_field: bool = True) -> ConeBeamGeometry:
        """Return the orbit and the part of the detector needed to reconstruct ``grid``.

        The detector is as high as the rays through ``grid`` need. The isocentre is the middle of the grid.

        Args:
            grid: where the volume will be reconstructed.
            whole_field: make the detector wide enough for the whole scan field, as a body that reaches beyond
                the grid needs (a truncated projection would spoil the ramp filter); otherwise for the grid.

        Raises:
            InputError: the grid does not fit into the scan field.
        """
        pixel = self.detector_element_mm * self.binning_for(grid)
        radius, half_height = _extent_about_axis(grid)
        if 2 * radius > self.scan_field_mm:
            raise InputError(
                f"A volume {2 * radius:.0f} mm wide does not fit in the scan field of scanner {self.key} "
                f"({self.scan_field_mm:g} mm); choose a smaller grid or a larger scan_field_mm."
            )
        half_fan = math.asin((self.scan_field_mm / 2 if whole_field else radius) / self.source_isocenter_mm)
        half_width = self.source_detector_mm * math.tan(half_fan)
        reach = half_height * self.source_detector_mm / (self.source_isocenter_mm - radius)
        center = grid.center_mm
        scan = ConeBeamGeometry(
            source_isocenter_mm=self.source_isocenter_mm,
            source_detector_mm=self.source_detector_mm,
            columns=_even_blocks(2 * half_width / pixel),
            rows=_even_blocks(2 * reach / pixel),
            pixel_mm=(pixel, pixel),
            views=self.views,
            angular_range_deg=360.0 if self.angular_range_deg == "short" else self.angular_range_deg,
            isocenter_mm=(float(center[0]), float(center[1]), float(center[2])),
        )
        return scan.short_scan() if self.angular_range_deg == "short" else scan


def _even_blocks(pixels: float) -> int:
    """Round up to an even number of blocks of ``COARSE_BINNINGS[0]`` pixels."""
    block = 2 * COARSE_BINNINGS[0]
    return block * math.ceil(pixels / block)


def _extent_about_axis(grid: Grid) -> tuple[float, float]:
    """Return radius and half height (mm) of the smallest centred upright cylinder that holds the grid's voxels."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    offset = grid.to_world(corners) - grid.center_mm
    return float(np.hypot(offset[:, 0], offset[:, 1]).max()), float(np.abs(offset[:, 2]).max())


@lru_cache(maxsize=1)
def scanners() -> dict[str, Scanner]:
    """Return the shipped scanners by key."""
    path = resource_path("ct/scanners.json")
    entries = (checked(Scanner, entry, path) for entry in read_table(path, SCHEMA, "scanners"))
    return {entry.key: entry for entry in entries}


def scanner(name_or_path: str | Path) -> Scanner:
    """Return a shipped scanner by key, or the one scanner of a JSON file.

    Raises:
        InputError: there is neither such a key nor such a file, or the scanner in it is impossible.
    """
    known = scanners()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix.lower() != ".json":
        raise InputError(f"There is no scanner {str(name_or_path)!r}; choose {', '.join(known)}, or give a JSON file.")
    entries = read_table(path, SCHEMA, "scanners")
    if len(entries) != 1:
        raise InputError(f"{path} describes {len(entries)} scanners; give a file with one.")
    return checked(Scanner, entries[0], path)
