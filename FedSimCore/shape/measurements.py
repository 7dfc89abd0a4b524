"""What a cardiologist measures on a heart: volumes, mass, wall, vessels, form.

The same definitions serve meshes and label maps. A label map's volumes are its voxels'; for lengths its regions
are given smooth surfaces first (:mod:`FedSimCore.shape.surfaces`). Regions that are missing leave out what needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.shape.cross_sections import vessel_diameter_mm
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.surfaces import Surface, closed_surface, enclosed_volume_mm3, solid, to_polydata
from FedSimCore.volumes.volume import Volume

Array = NDArray[np.float64]
MYOCARDIUM_G_PER_ML = 1.05
# The wall thins out towards the valves: what lies nearer to atrium or aorta than this share of the ventricle's
# length is no wall to be measured.
_BASE_MARGIN = 0.1
# Single vertices should not decide a minimum.
_LEAST, _GREATEST = 0.01, 0.99


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        key: identifier, with the unit at its end, e.g. ``"lv_volume_ml"``.
        name: as a clinician writes it.
        value: the number.
        unit: ``"ml"``, ``"g"``, ``"mm"`` or ``""``.
    """

    key: str
    name: str
    value: float
    unit: str


Measurements = dict[str, Measurement]


def measure_mesh(mesh: HeartMesh) -> Measurements:
    """Measure a heart of closed surfaces.

    Volumes are exact for the polyhedra (divergence theorem); the myocardium's is that of the shell between the
    epicardium and the blood pool.

    Returns:
        Measurements by key, see :func:`measure_labels`.
    """
    surfaces = {label: mesh.surface(label) for label in mesh.topology.labels}
    volumes = {label: enclosed_volume_mm3(*surface) / 1000 for label, surface in surfaces.items()}
    pool, wall = anatomy.region("lv").label, anatomy.region("myo").label
    if wall in volumes:
        volumes[wall] -= volumes.get(pool, 0.0)
    return _measure(volumes, surfaces)


def measure_labels(labels: Volume) -> Measurements:
    """Measure a label map (values as ``anatomy.regions()``).

    - ``{key}_volume_ml``: volume of each region, the myocardium's without the pool.
    - ``lv_mass_g``: volume of the myocardium times 1.05 g/ml.
    - ``lv_wall_mean_mm``, ``lv_wall_min_mm``, ``lv_wall_max_mm``: shortest distance from the endocardium to the
      epicardium, weighted by endocardial area; minimum and maximum are the 1st and 99th percentile. The tenth of the
      ventricle's length next to left atrium and aorta, where the wall ends, is left out.
    - ``lv_wall_basal_mm``, ``lv_wall_mid_mm``, ``lv_wall_apical_mm``: means over thirds of the ventricle's long axis.
    - ``aorta_diameter_mm``, ``pa_diameter_mm``: diameter of the circle with the area of the section half-way along.
    - ``lv_length_mm``: greatest distance of two points of the blood pool.
    - ``lv_sphericity``: volume of the blood pool over that of a ball with that diameter (three-dimensional
      sphericity index; 1 for a ball).

    Raises:
        InputError: there is no voxel of any region.
    """
    present = [label for label in anatomy.labels() if (labels.array == label).any()]
    if not present:
        raise InputError(f"The label map has no voxel of any region (labels {anatomy.labels()}).")
    counts = np.bincount(labels.array.ravel(), minlength=256)
    volumes = {label: float(counts[label]) * labels.grid.voxel_volume_mm3 / 1000 for label in present}
    surfaces = {label: closed_surface(solid(labels.array, label), labels.grid) for label in present}
    return _measure(volumes, surfaces)


def _measure(volumes_ml: Mapping[int, float], surfaces: Mapping[int, Surface]) -> Measurements:
    found = [
        Measurement(f"{region.key}_volume_ml", region.name, volumes_ml[region.label], "ml")
        for region in anatomy.regions()
        if region.label in volumes_ml
    ]
    by_key = {r.key: surfaces[r.label] for r in anatomy.regions() if r.label in surfaces}
    if "myo" in by_key:
        mass = volumes_ml[anatomy.region("myo").label] * MYOCARDIUM_G_PER_ML
        found.append(Measurement("lv_mass_g", "LV myocardial mass", mass, "g"))
    if "lv" in by_key:
        found += _form(by_key["lv"], volumes_ml[anatomy.region("lv").label])
    if "lv" in by_key and "myo" in by_key:
        found += _wall(by_key)
    for vessel, ventricle, key, name in (
        ("ao", "lv", "aorta_diameter_mm", "Ascending aorta, diameter"),
        ("pa", "rv", "pa_diameter_mm", "Pulmonary artery, diameter"),
    ):
        if vessel in by_key and ventricle in by_key:
            root = _root(by_key[vessel], by_key[ventricle])
            found.append(Measurement(key, name, vessel_diameter_mm(by_key[vessel], root), "mm"))
    return {measurement.key: measurement for measurement in found}


def _form(pool: Surface, volume_ml: float) -> list[Measurement]:
    ends = _farthest_pair(pool[0])
    length = float(np.linalg.norm(ends[1] - ends[0]))
    return [
        Measurement("lv_length_mm", "LV length", length, "mm"),
        Measurement("lv_sphericity", "LV sphericity index", 1000 * volume_ml / (np.pi / 6 * length**3), ""),
    ]


def _wall(surfaces: Mapping[str, Surface]) -> list[Measurement]:
    """Measure the wall from the endocardium of the left ventricle outwards."""
    vertices, faces = surfaces["lv"]
    thickness = np.abs(signed_distance_mm(surfaces["lv"], surfaces["myo"]))
    ends = _farthest_pair(vertices)
    base = [surfaces[key] for key in ("la", "ao") if key in surfaces]
    kept = np.ones(len(vertices), dtype=bool)
    for neighbour in base:
        kept &= signed_distance_mm(surfaces["lv"], neighbour) > _BASE_MARGIN * np.linalg.norm(ends[1] - ends[0])
    if not kept.any():
        return []
    area = _vertex_area(vertices, faces) * kept
    cumulative = np.cumsum(area[(order := thickness.argsort())]) / area.sum()
    least, greatest = (thickness[order[np.searchsorted(cumulative, q)]] for q in (_LEAST, _GREATEST))
    found = [
        Measurement("lv_wall_mean_mm", "LV wall, mean", float(np.average(thickness, weights=area)), "mm"),
        Measurement("lv_wall_min_mm", "LV wall, minimum", float(least), "mm"),
        Measurement("lv_wall_max_mm", "LV wall, maximum", float(greatest), "mm"),
    ]
    if not base:
        return found
    # Thirds of the long axis, counted from the apex: the end of the ventricle farther from the atrium or aorta.
    middle_of_base = base[0][0].mean(0)
    apex, top = sorted(ends, key=lambda end: -float(np.linalg.norm(end - middle_of_base)))
    share = (vertices - apex) @ (top - apex) / ((top - apex) @ (top - apex))
    for third, (key, name) in enumerate((("apical", "apical"), ("mid", "mid"), ("basal", "basal"))):
        inside = area * (np.clip(np.floor(3 * share), 0, 2) == third)
        if inside.sum() > 0:
            mean = float(np.average(thickness, weights=inside))
            found.append(Measurement(f"lv_wall_{key}_mm", f"LV wall, {name} third", mean, "mm"))
    return found


def signed_distance_mm(surface: Surface, target: Surface) -> Array:
    """Return the distance (v,) of each vertex of one surface to another's triangles, negative inside the other."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersGeneral import vtkDistancePolyDataFilter

    distance = vtkDistancePolyDataFilter()
    distance.SetInputData(0, to_polydata(*surface))
    distance.SetInputData(1, to_polydata(*target))
    distance.SignedDistanceOn()
    distance.ComputeSecondDistanceOff()
    distance.ComputeCellCenterDistanceOff()
    distance.Update()
    return vtk_to_numpy(distance.GetOutput().GetPointData().GetArray("Distance")).astype(np.float64)


def _root(vessel: Surface, ventricle: Surface) -> Array:
    """Middle of the tenth of a vessel's vertices that is nearest to its ventricle."""
    distance = signed_distance_mm(vessel, ventricle)
    root: Array = vessel[0][distance <= np.quantile(distance, 0.1)].mean(0)
    return root


def _farthest_pair(vertices: Array) -> Array:
    """Return the two points (2, 3) of a cloud that are farthest apart."""
    corners = vertices[ConvexHull(vertices).vertices]
    pair = np.unravel_index(squareform(pdist(corners)).argmax(), (len(corners), len(corners)))
    return corners[list(pair)]


def _vertex_area(vertices: Array, faces: NDArray[np.int64]) -> Array:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    result = np.zeros(len(vertices))
    np.add.at(result, faces, area[:, None])
    return result
