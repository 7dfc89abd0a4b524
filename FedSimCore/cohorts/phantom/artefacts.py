"""What a scanner adds: blur, motion, streaks and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from FedSimCore.cohorts.phantom.scanning import Scan

Image = NDArray[np.float32]


def kernel_blur(image: Image, scan: Scan) -> Image:
    """Apply the reconstruction kernel: a Gaussian, and for sharp kernels an overshoot at edges."""
    blurred = ndimage.gaussian_filter(image, scan.psf_voxels, truncate=3)
    if scan.edge > 0.02:
        blurred += np.float32(scan.edge) * (blurred - ndimage.gaussian_filter(blurred, 1.2, truncate=3))
    return blurred


def motion_blur(image: Image, moving: Image, spacing_mm: NDArray[np.float64], blur_mm: float, axis: int) -> Image:
    """Smear an image along one axis where it moves.

    Args:
        image: HU.
        moving: 0 at rest to 1 in the beating heart, same shape.
        spacing_mm: voxel sizes.
        blur_mm: how far the heart moves during the exposure.
        axis: direction of the movement.
    """
    sigma = blur_mm / 2 / float(spacing_mm[axis])
    if sigma < 0.2:
        return image
    smeared = ndimage.gaussian_filter1d(image, sigma, axis=axis, truncate=3)
    return image + moving * (smeared - image)


def streaks(
    shape: tuple[int, int, int], center_voxels: NDArray[np.float64], strength: NDArray[np.float64],
    rng: np.random.Generator, radius_voxels: float,
) -> Image:  # fmt: skip
    """Return streaks (HU) that fan out from dense contrast, slice by slice.

    Args:
        shape: of the image (i, j, k).
        center_voxels: position (i, j) of the dense vessel in each slice (k, 2).
        strength: HU at its edge in each slice (k,); slices of 0 are skipped.
        rng: source of the pattern, which changes slowly from slice to slice.
        radius_voxels: of the vessel; streaks fade with the distance over it.
    """
    bins = 180
    pattern = ndimage.gaussian_filter(rng.standard_normal((bins, shape[2])), (1.6, 1.2), mode="wrap")
    pattern = (pattern / pattern.std()).astype(np.float32)
    result = np.zeros(shape, dtype=np.float32)
    i, j = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape[:2]), indexing="ij")
    for k in np.nonzero(strength > 1)[0]:
        x, y = i - np.float32(center_voxels[k, 0]), j - np.float32(center_voxels[k, 1])
        position = (np.arctan2(y, x) + np.pi) * (bins / (2 * np.pi))
        low = position.astype(np.int32) % bins
        part = position - np.floor(position)
        along = pattern[:, k][low] * (1 - part) + pattern[:, k][(low + 1) % bins] * part
        distance = np.hypot(x, y) / radius_voxels
        result[:, :, k] = np.float32(strength[k]) * along * np.exp(-distance / 4) * np.minimum(distance, 1)
    return result


def correlated_noise(shape: tuple[int, int, int], peak: float, rng: np.random.Generator) -> Image:
    """Return noise of unit variance with the band of a reconstruction kernel.

    In each slice the power rises with frequency f as a ramp filter's does and falls off beyond ``peak`` (both as
    shares of the Nyquist frequency): it goes with f exp(-f^2 / (2 peak^2)). Neighbouring slices share some of it.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    fi, fj = np.meshgrid(fft.fftfreq(shape[0]) * 2, fft.rfftfreq(shape[1]) * 2, indexing="ij")
    frequency = np.hypot(fi, fj)
    amplitude = np.sqrt((frequency + 0.03) * np.exp(-(frequency**2) / (2 * peak**2)))
    spectrum = fft.rfft2(white, axes=(0, 1)) * amplitude[:, :, None].astype(np.float32)
    noise = fft.irfft2(spectrum, s=shape[:2], axes=(0, 1)).astype(np.float32)
    noise = ndimage.gaussian_filter1d(noise, 0.6, axis=2)
    return noise / noise.std()
