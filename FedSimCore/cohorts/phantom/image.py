"""The CT of a phantom: tissues painted from signed distances, then what the scanner adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.cohorts.phantom.artefacts import correlated_noise, kernel_blur, motion_blur, streaks
from FedSimCore.cohorts.phantom.canvas import Canvas
from FedSimCore.cohorts.phantom.carving import Carved
from FedSimCore.cohorts.phantom.fields import Field
from FedSimCore.cohorts.phantom.labels import COARSE_MM, nominal_axes
from FedSimCore.cohorts.phantom.painting import paint_chest, paint_heart, paint_sac, paint_vessels
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.cohorts.phantom.thorax import thorax
from FedSimCore.cohorts.phantom.warp import interpolated
from FedSimCore.volumes import Grid


def painted(patient: Patient, grid: Grid, carved: Carved, lattice_mm: float = COARSE_MM) -> NDArray[np.float32]:
    """Draw one patient in HU (i, j, k), without blur and noise.

    Args:
        patient: who.
        grid: of the image, along R, A and S.
        carved: the heart on the coarse lattice over that grid.
        lattice_mm: spacing of that lattice, nominal mm.
    """
    coarse, fine = nominal_axes(patient, grid, lattice_mm), nominal_axes(patient, grid)
    points = patient.deformation.moved(coarse)
    tissues = thorax(patient.heart, patient.build, points)
    air = np.full(grid.shape, -1000, dtype=np.float32)
    canvas = Canvas(air, fine, coarse, patient.scale, float(np.cbrt(grid.voxel_volume_mm3)))
    rng = patient.rng("textures")
    paint_chest(canvas, tissues, patient.scan, rng)
    fatness = patient.build.fat / 16
    paint_sac(canvas, patient.heart, carved, tissues["inside"], patient.scan, fatness, rng)
    paint_vessels(canvas, tissues, carved, patient.scan)
    paint_heart(canvas, patient.heart, carved, points, patient.scan, rng)
    return canvas.hu


def scanned(patient: Patient, grid: Grid, carved: Carved, hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add motion, streaks, the kernel's blur and noise to painted HU (i, j, k)."""
    settings, rng = patient.scan, patient.rng("scan")
    from_heart = np.minimum.reduce([carved.regions[key] for key in ("myo", "rv", "la", "ra")])
    moving = np.clip(1 - from_heart / 12, 0, 1).astype(np.float32)
    coarse, fine = nominal_axes(patient, grid, COARSE_MM), nominal_axes(patient, grid)
    blur = settings.motion_mm * min(patient.scale, 1.0)
    image = motion_blur(hu, interpolated(moving, coarse, fine), grid.spacing_mm, blur, int(rng.integers(2)))
    image += _caval_streaks(patient, grid, rng)
    image = kernel_blur(image, settings)
    noise = correlated_noise(grid.shape, settings.noise_peak, rng)
    level = 1 + 0.12 * ndimage.gaussian_filter1d(rng.standard_normal(grid.shape[2]), 15)
    noise *= (settings.noise_hu * level).astype(np.float32) * (1.1 - 0.35 * _from_center(grid) ** 2)
    image += noise
    return np.clip(image, -1024, 3071, out=image)


def _from_center(grid: Grid) -> Field:
    """Return the distance from the middle of the slice, 1 at its corners."""
    i, j = (np.linspace(-1, 1, n, dtype=np.float32) for n in grid.shape[:2])
    return np.hypot(i[:, None], j[None, :])[:, :, None] / np.float32(np.sqrt(2))


def _caval_streaks(patient: Patient, grid: Grid, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fan streaks from the superior vena cava and the upper atrium, as strong as the contrast there is dense."""
    nominal_z = nominal_axes(patient, grid)[2]
    center = patient.to_world(np.stack([np.full_like(nominal_z, 69), np.full_like(nominal_z, -9), nominal_z], axis=1))
    density = np.clip(patient.scan.iodine["svc"] / 25, 0, 1.5)
    strength = patient.scan.streak_hu * density * np.clip((nominal_z - 20) / 25, 0, 1)
    strength *= np.clip(1 + 0.6 * ndimage.gaussian_filter1d(rng.standard_normal(len(nominal_z)), 3) * 2, 0.2, 2)
    return streaks(grid.shape, grid.to_index(center)[:, :2], strength, rng, 9.5 * patient.scale / grid.spacing_mm[0])
