"""The truth about a phantom, measured on its label map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.volumes import Volume

MYOCARDIUM_G_PER_ML = 1.05


def volumes_ml(label: Volume) -> dict[str, float]:
    """Return the volume of each region by key."""
    counts = np.bincount(label.array.ravel(), minlength=8)
    return {r.key: float(counts[r.label] * label.grid.voxel_volume_mm3 / 1000) for r in anatomy.regions()}


def wall_thickness_mm(label: Volume) -> NDArray[np.float64]:
    """Return the thickness of the left ventricular wall at each voxel of its endocardium (n,).

    At a voxel of myocardium that touches the pool: the distance to the nearest voxel that is neither pool nor
    myocardium. The voxels within 8 mm of the atrium, the right atrium and the aorta are left out, where the
    wall ends at the valves.
    """
    wall, pool = anatomy.region("myo").label, anatomy.region("lv").label
    blocks = ndimage.find_objects(np.isin(label.array, (wall, pool)).astype(np.uint8))
    array = np.pad(label.array[blocks[0]], 2)
    spacing = label.grid.spacing_mm
    outside = ndimage.distance_transform_edt((array == wall) | (array == pool), sampling=spacing)
    base = np.isin(array, [anatomy.region(key).label for key in ("la", "ra", "ao")])
    from_base = ndimage.distance_transform_edt(~base, sampling=spacing) if base.any() else np.full(array.shape, np.inf)
    inner = (array == wall) & ndimage.binary_dilation(array == pool)
    chosen = inner & (from_base > 8)
    # Both ends of the distance are voxel centres: half a voxel of wall lies before the first one.
    return outside[chosen] + 0.0


def hu_by_region(label: Volume, image: Volume) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of HU per region, a voxel away from its border."""
    result = {}
    for region in anatomy.regions():
        inner = ndimage.binary_erosion(label.array == region.label)
        values = image.array[inner] if inner.any() else image.array[label.array == region.label]
        result[region.key] = {"mean": float(values.mean()), "sd": float(values.std())}
    return result


def facts(patient: Patient, label: Volume, image: Volume) -> dict[str, Any]:
    """Return what is true of a phantom: the person, the variant, the sizes, the numbers of form."""
    volumes = volumes_ml(label)
    wall = wall_thickness_mm(label)
    subject = patient.subject
    return {
        "site": patient.site.name,
        "seed": patient.seed,
        "variant": patient.variant.name,
        "diagnosis": patient.variant.meaning,
        "sex": subject.sex,
        "age_years": subject.age_years,
        "height_cm": subject.height_cm,
        "weight_kg": subject.weight_kg,
        "bsa_m2": subject.bsa_m2,
        "volumes_ml": volumes,
        "lv_mass_g": volumes["myo"] * MYOCARDIUM_G_PER_ML,
        "wall_mm": {
            "mean": float(wall.mean()),
            "p5": float(np.percentile(wall, 5)),
            "p95": float(np.percentile(wall, 95)),
        },
        "diameters_mm": {"ascending_aorta": patient.targets.aorta_mm, "pulmonary_trunk": patient.targets.pa_mm},
        "hu": hu_by_region(label, image),
        "scan": dict(vars(patient.scan)),
        "targets": dict(vars(patient.targets)),
        "shape": dict(patient.heart.shape),
        "growth": dict(vars(patient.heart.growth)),
    }
