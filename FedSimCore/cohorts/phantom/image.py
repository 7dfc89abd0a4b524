"""The CT of a phantom: attenuation painted from its signed distances, blur and noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from FedSimCore.cohorts.phantom.fields import occupancy
from FedSimCore.cohorts.phantom.labels import HeartFields
from FedSimCore.cohorts.phantom.patient import Patient
from FedSimCore.volumes import Volume

_HU = {"myo": 110.0, "rv": 330.0, "ra": 300.0, "la": 420.0, "lv": 410.0, "ao": 420.0, "pa": 360.0}


def paint(patient: Patient, fields: HeartFields, label: Volume) -> Volume:
    """Return the CT in HU, float32."""
    spacing = float(fields.grid.spacing_mm.min())
    regions = fields.carved.regions
    heart = np.minimum.reduce(list(regions.values()))
    image = np.full(fields.grid.shape, -820, dtype=np.float32)
    for distance, hu in ((heart - 10 * patient.scale, -95.0), (heart - 2.5 * patient.scale, 60.0)):
        image += occupancy(distance, spacing) * (hu - image)
    for key, hu in _HU.items():
        image += occupancy(regions[key], spacing) * (hu - image)
    noise = ndimage.gaussian_filter(patient.rng("noise").standard_normal(image.shape, dtype=np.float32), 0.6)
    return Volume(ndimage.gaussian_filter(image, 0.5) + 25 / noise.std() * noise, fields.grid)
