"""Weights and filters that a sinogram goes through before it is back projected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from FedSimCore.ct.geometry import Array, ConeBeamGeometry
from FedSimCore.errors import InputError

Kernel = Literal["ramp", "hann", "soft", "sharp"]


def _hann(frequency: Array, cutoff: float = 1.0) -> Array:
    return np.where(frequency < cutoff, np.cos(np.pi / 2 * np.minimum(frequency / cutoff, 1.0)) ** 2, 0.0)


# Modulation that multiplies the ramp, as a function of frequency in units of the detector's Nyquist frequency. All are
# 1 with slope 0 at frequency 0, so that no kernel changes the mean HU of a large object.
MODULATION: dict[str, Callable[[Array], Array]] = {
    "ramp": np.ones_like,
    "hann": _hann,
    # A body kernel for soft tissue: half at 0.3 of Nyquist, nothing above 0.6.
    "soft": lambda frequency: _hann(frequency, 0.6),
    # Lung and bone: raises middle frequencies by up to 27% (at 0.4 of Nyquist) before it falls to 0 at Nyquist.
    "sharp": lambda frequency: (1 + 0.6 * np.sin(np.pi * frequency) ** 2) * np.cos(np.pi / 2 * frequency),
}


def filter_kernel(kernel: Kernel, samples: int, spacing_mm: float) -> Array:
    """Return the convolution kernel at lags 0 to ``samples - 1``, in 1/mm (spacing included).

    The ramp is the band-limited one in its spatial form (Kak and Slaney, Principles of Computerized Tomographic
    Imaging, 1988, eq. 3.61), which is right at zero frequency where a sampled ``|f|`` is not. The other kernels are its
    spectrum, padded fourfold, times their :data:`MODULATION`.

    Raises:
        InputError: there is no such kernel.
    """
    if kernel not in get_args(Kernel):
        raise InputError(f"There is no reconstruction kernel '{kernel}'; choose one of {', '.join(get_args(Kernel))}.")
    if kernel == "ramp":
        return _ramp(np.arange(samples)) / spacing_mm
    size = 1 << int(np.ceil(np.log2(4 * samples)))
    lags = np.minimum(np.arange(size), size - np.arange(size))
    spectrum = np.fft.rfft(_ramp(lags)).real * MODULATION[kernel](np.linspace(0.0, 1.0, size // 2 + 1))
    return np.fft.irfft(spectrum, size)[:samples] / spacing_mm


def _ramp(lag: NDArray[np.integer[Any]]) -> Array:
    """Ramp filter at integer lags for unit spacing."""
    odd = lag % 2 == 1
    return np.where(odd, -1 / (np.pi * np.where(odd, lag, 1)) ** 2, np.where(lag == 0, 0.25, 0.0))


def ray_weights(geometry: ConeBeamGeometry) -> Array:
    """Return what each fan ray (views, columns) counts for: its share of the angle, in radians.

    Opposite rays together count once. In a full scan each has half, unless the detector is shifted sideways by more
    than a tenth of its width: then the weights fade over the part seen twice (Wang, Med. Phys. 29, 2002). A short scan
    has the weights of Parker (Med. Phys. 9, 1982), with the fan widened to what the angular range allows (Silver, Med.
    Phys. 27, 2000).

    Raises:
        InputError: the views cover less than 180 degrees plus the fan angle.
    """
    step = np.deg2rad(geometry.angular_range_deg) / geometry.views
    if not geometry.is_full_scan:
        return step * _short_scan_weights(geometry)
    return step * np.broadcast_to(_full_scan_weights(geometry), (geometry.views, geometry.columns))


def is_displaced(geometry: ConeBeamGeometry) -> bool:
    """Whether the detector is shifted sideways so far that it sees part of the object only from one side."""
    return abs(geometry.detector_offset_mm[0]) > 0.1 * geometry.columns * geometry.pixel_mm[0]


def _full_scan_weights(geometry: ConeBeamGeometry) -> Array:
    u = geometry.u_mm
    shift = geometry.detector_offset_mm[0]
    if not is_displaced(geometry):
        return np.full(len(u), 0.5)
    overlap = geometry.columns * geometry.pixel_mm[0] / 2 - abs(shift)
    if overlap <= 0:
        raise InputError(
            f"The detector is shifted by {shift:g} mm and misses the rays through the axis; shift it by less than half "
            "its width."
        )
    angle = np.arctan(np.clip(np.sign(shift) * u, -overlap, overlap) / geometry.source_detector_mm)
    return 0.5 * (1 + np.sin(np.pi / 2 * angle / np.arctan(overlap / geometry.source_detector_mm)))


def _short_scan_weights(geometry: ConeBeamGeometry) -> Array:
    needed = 180.0 + geometry.fan_angle_deg
    if geometry.angular_range_deg < needed - 1e-6:
        raise InputError(
            f"The views cover {geometry.angular_range_deg:g} degrees, but reconstruction needs 180 degrees plus the "
            f"fan angle, {needed:.1f} degrees; widen angular_range_deg or use a narrower detector."
        )
    sign = 1.0 if geometry.direction == "counterclockwise" else -1.0
    turned = np.abs(geometry.angles_rad - geometry.angles_rad[0])[:, None]
    # The ray to column u and the one to -u taken pi - 2 gamma later are the same line.
    gamma = -sign * np.arctan(geometry.u_mm / geometry.source_detector_mm)[None, :]
    half = (np.deg2rad(geometry.angular_range_deg) - np.pi) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.sin(np.pi / 4 * turned / (half - gamma)) ** 2
        falling = np.sin(np.pi / 4 * (np.pi + 2 * half - turned) / (half + gamma)) ** 2
    weights = np.ones(np.broadcast_shapes(turned.shape, gamma.shape))
    weights = np.where(turned < 2 * (half - gamma), rising, weights)
    return np.where(turned > np.pi - 2 * gamma, falling, weights)
