"""From a patient's implicit heart to a label map on a regular grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.carving import HEART_EXTENT_MM, Carved, carve
from FedSimCore.cohorts.phantom.fields import Field
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.cohorts.phantom.warp import Axes, SmoothNoise, block_of, interpolated, within
from FedSimCore.volumes import Grid

# Distances are smooth: a lattice of this spacing (nominal mm), interpolated, loses under a tenth of a mm.
COARSE_MM = 2.0
# Middle of the field of view (R, A) and range of the slices (S) in nominal mm.
SCAN_CENTER_MM = (24.0, -6.0)
SCAN_RANGE_MM = (-64.0, 110.0)
# Roughness of the trabeculated endocardium in the labels (mm): root mean square for each correlation length.
_ROUGHNESS = {"lv": 0.35, "rv": 0.5, "ra": 0.35, "la": 0.25}


def scan_grid(patient: Patient, spacing_mm: float | None = None) -> Grid:
    """Return the grid, along R, A and S, of a patient's scan.

    Args:
        patient: who is scanned, with field of view and slice spacing.
        spacing_mm: edge of cubic voxels instead of the scanner's own.
    """
    settings = patient.scan
    low, high = np.array(SCAN_RANGE_MM) * patient.scale
    in_plane = spacing_mm or settings.fov_mm / settings.matrix
    between = spacing_mm or settings.slice_mm
    across = round(settings.fov_mm / in_plane)
    center = patient.to_world(np.array([*SCAN_CENTER_MM, float(np.mean(SCAN_RANGE_MM))]))
    shape = (across, across, int(np.ceil((high - low) / between)) + 1)
    return Grid.centered(shape, (in_plane, in_plane, between), center)


def label_array(patient: Patient, grid: Grid, carved: Carved, lattice_mm: float = COARSE_MM) -> NDArray[np.uint8]:
    """Give every voxel of a RAS grid the region it lies in, lowest priority number first.

    The regions' distances come on the lattice of :func:`nominal_axes` with ``lattice_mm``; to those of blood
    pools is added the roughness of a trabeculated endocardium.
    """
    rng = patient.rng("roughness")
    coarse, fine = nominal_axes(patient, grid, lattice_mm), nominal_axes(patient, grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for region in sorted(anatomy.regions(), key=lambda r: -r.priority):
        field = carved.regions[region.key]
        block = block_of(field, coarse, fine, margin_mm=2 * _ROUGHNESS.get(region.key, 0))
        if block is None:
            continue
        axes = within(fine, block)
        distance: Field = interpolated(field, coarse, axes)
        if region.key in _ROUGHNESS:
            rms = _ROUGHNESS[region.key]
            rough = distance + rms * SmoothNoise.draw(HEART_EXTENT_MM, 6.0, rng).on(axes)
            # Other pools than the left ventricle's have only dents, lest they grow into their neighbours; the mean
            # of the dents, 0.4 of the noise's spread, is given back.
            distance = rough if region.key == "lv" else np.maximum(distance, rough) - 0.4 * rms
        labels[block][distance < 0] = region.label
    return largest_components(labels)


def largest_components(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Clear all but the largest component, connected through voxels' faces, of each region."""
    for region in anatomy.regions():
        block = ndimage.find_objects(labels, max_label=region.label)[region.label - 1]
        if block is None:
            continue
        parts, count = ndimage.label(labels[block] == region.label)
        if count > 1:
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            labels[block][(parts > 0) & (parts != sizes.argmax())] = 0
    return labels


def nominal_axes(patient: Patient, grid: Grid, spacing_mm: float | None = None) -> Axes:
    """Return the nominal coordinates along a RAS grid's axes: of its voxels, or about ``spacing_mm`` apart."""
    first = (grid.to_world((0, 0, 0)) - patient.origin_mm) / patient.scale
    last = (grid.to_world(np.array(grid.shape) - 1) - patient.origin_mm) / patient.scale
    counts = grid.shape if spacing_mm is None else np.ceil((last - first) / spacing_mm).astype(int) + 1
    x, y, z = (np.linspace(a, b, n, dtype=np.float32) for a, b, n in zip(first, last, counts, strict=True))
    return x, y, z


def carved_on(patient: Patient, grid: Grid, lattice_mm: float = COARSE_MM) -> Carved:
    """Carve a patient's heart on the coarse lattice over a grid along R, A and S."""
    return carve(patient.heart, patient.deformation.moved(nominal_axes(patient, grid, lattice_mm)))
