"""From a patient's implicit heart to a label map on a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.carving import HEART_EXTENT_MM, Carved, carve
from FedSimCore.cohorts.phantom.fields import Field
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.cohorts.phantom.warp import Axes, SmoothNoise, upsample
from FedSimCore.volumes import Grid

# Distances are smooth: a lattice of this spacing (nominal mm), interpolated, loses under a tenth of a mm.
COARSE_MM = 2.0
# Roughness of the trabeculated endocardium in the labels (mm): root mean square for each correlation length.
_ROUGHNESS = {"lv": 0.35, "rv": 0.5, "ra": 0.35, "la": 0.25}


@dataclass(frozen=True)
class HeartFields:
    """Signed distances of one heart, in world mm, on a fine grid; attributes as in :class:`Carved`."""

    grid: Grid
    carved: Carved


def heart_grid(patient: Patient, spacing_mm: float) -> Grid:
    """Return the grid, along R, A and S, that holds the whole heart of a patient."""
    low, high = (np.array(side) * patient.scale + patient.origin_mm for side in zip(*HEART_EXTENT_MM, strict=True))
    shape = np.ceil((high - low) / spacing_mm).astype(int)
    return Grid.centered(shape.tolist(), spacing_mm, (low + high) / 2)


def label_array(patient: Patient, grid: Grid, regions: dict[str, Field]) -> NDArray[np.uint8]:
    """Give every voxel the region whose distance is negative, lowest priority number first."""
    rng = patient.rng("roughness")
    axes = nominal_axes(patient, grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for region in sorted(anatomy.regions(), key=lambda r: -r.priority):
        distance = regions[region.key]
        if region.key in _ROUGHNESS:
            noise = SmoothNoise.draw(HEART_EXTENT_MM, 6.0, rng).on(axes)
            distance = distance + _ROUGHNESS[region.key] * patient.scale * noise
            if region.key != "lv":  # stays off the septum and the other walls
                distance = np.maximum(distance, regions[region.key])
        labels[distance < 0] = region.label
    return largest_components(labels)


def largest_components(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Clear all but the largest connected component (26 neighbours) of each region."""
    neighbours = np.ones((3, 3, 3), dtype=bool)
    for region in anatomy.regions():
        block = ndimage.find_objects(labels, max_label=region.label)[region.label - 1]
        if block is None:
            continue
        parts, count = ndimage.label(labels[block] == region.label, structure=neighbours)
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


def heart_fields(patient: Patient, grid: Grid) -> HeartFields:
    """Compute a patient's heart on a grid along R, A and S.

    Carving runs on a lattice of :data:`COARSE_MM`; the distances are interpolated to the grid's voxels.
    """
    chest = patient.deformation.moved(nominal_axes(patient, grid, COARSE_MM))
    carved = carve(patient.heart, chest)
    scale = np.float32(patient.scale)

    def fine(field: Field) -> Field:
        return upsample(field * scale, grid.shape)

    regions = {key: fine(field) for key, field in carved.regions.items()}
    return HeartFields(grid, Carved(regions, fine(carved.aorta), fine(carved.pulmonary)))
