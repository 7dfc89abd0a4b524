"""The truth about a phantom, measured on its label map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.volumes import Volume

MYOCARDIUM_G_PER_ML = 1.05
# The wall ends at the valves: endocardium nearer to atria and aorta than this (nominal mm) is left out.
_BASE_MM = 8.0


def facts(patient: Patient, label: Volume, image: Volume) -> dict[str, Any]:
    """Return what is true of a phantom, as JSON: person, variant, sizes, HU, scan and the numbers of form.

    Args:
        patient: who.
        label: label map on a grid along R, A and S.
        image: HU on the same grid.
    """
    volumes, subject = volumes_ml(label), patient.subject
    wall = wall_thickness_mm(label, _BASE_MM * patient.scale)
    low, high = np.percentile(wall, (5, 95))
    return {
        "site": patient.site.name,
        "seed": patient.seed,
        "variant": patient.variant.name,
        "diagnosis": patient.variant.meaning,
        **vars(subject),
        "bsa_m2": subject.bsa_m2,
        "volumes_ml": volumes,
        "lv_mass_g": volumes["myo"] * MYOCARDIUM_G_PER_ML,
        "wall_mm": {"mean": float(wall.mean()), "p5": float(low), "p95": float(high)},
        "diameters_mm": diameters_mm(patient, label),
        "hu": hu_by_region(label, image),
        "scan": dict(vars(patient.scan)),
        "targets": dict(vars(patient.targets)),
        "shape": dict(patient.heart.shape),
        "growth": dict(vars(patient.heart.growth)),
    }


def volumes_ml(label: Volume) -> dict[str, float]:
    """Return the volume of each region by key."""
    counts = np.bincount(label.array.ravel(), minlength=8)
    return {r.key: float(counts[r.label] * label.grid.voxel_volume_mm3 / 1000) for r in anatomy.regions()}


def wall_thickness_mm(label: Volume, base_mm: float = _BASE_MM) -> NDArray[np.float64]:
    """Return the thickness of the left ventricular wall at each voxel of myocardium that touches the pool (n,).

    It is the distance to the nearest voxel that is neither pool nor myocardium. Voxels within ``base_mm`` of
    an atrium or the aorta are left out.
    """
    wall, pool = anatomy.region("myo").label, anatomy.region("lv").label
    (block,) = ndimage.find_objects(((label.array == wall) | (label.array == pool)).astype(np.uint8))
    array = np.pad(label.array[block], 1)
    spacing = label.grid.spacing_mm
    thickness = ndimage.distance_transform_edt((array == wall) | (array == pool), sampling=spacing)
    base = np.isin(array, [anatomy.region(key).label for key in ("la", "ra", "ao")])
    touching = (array == wall) & ndimage.binary_dilation(array == pool)
    if base.any():
        touching &= ndimage.distance_transform_edt(~base, sampling=spacing) > base_mm
    return thickness[touching]


def diameters_mm(patient: Patient, label: Volume) -> dict[str, float]:
    """Return the diameters of circles with the sections' areas: mid ascending aorta and mid pulmonary trunk."""
    arteries = patient.heart.arteries
    sections = {
        "ascending_aorta": ("ao", arteries.aorta, round(len(arteries.aorta[: 62 // 5]) * 0.6)),
        "pulmonary_trunk": ("pa", arteries.trunk, len(arteries.trunk) // 2),
    }
    result = {}
    for name, (key, line, index) in sections.items():
        middle = patient.to_world(line[index])
        reach = patient.targets.aorta_mm if key == "ao" else patient.targets.pa_mm
        result[name] = section_diameter_mm(label, key, middle, line[index + 1] - line[index - 1], reach)
    return result


def section_diameter_mm(label: Volume, key: str, point_mm: ArrayLike, direction: ArrayLike, reach_mm: float) -> float:
    """Return the diameter of the circle that has the area of a region's section by a plane.

    Args:
        label: label map.
        key: region.
        point_mm: on the plane, RAS.
        direction: across the plane.
        reach_mm: voxels further than this from the point are not counted.
    """
    normal = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    offset = label.grid.to_world(np.argwhere(label.array == anatomy.region(key).label)) - np.asarray(point_mm)
    half_mm = 2 * float(label.grid.spacing_mm.max())
    slab = (np.abs(offset @ normal) < half_mm) & (np.linalg.norm(offset, axis=1) < reach_mm)
    area = slab.sum() * label.grid.voxel_volume_mm3 / (2 * half_mm)
    return float(np.sqrt(4 * area / np.pi))


def hu_by_region(label: Volume, image: Volume) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of HU of each region, without the voxels at its border."""
    blocks = ndimage.find_objects(label.array, max_label=7)
    result = {}
    for region in anatomy.regions():
        block = blocks[region.label - 1]
        if block is None:
            continue
        inside = label.array[block] == region.label
        inner = ndimage.binary_erosion(inside)
        values = image.array[block][inner if inner.any() else inside]
        result[region.key] = {"mean": float(values.mean()), "sd": float(values.std())}
    return result
