"""A phantom cohort beside the norms: are its volumes, walls, HU and shape variance those of people?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from FedSimCore import anatomy
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.volumes import Volume

ADULT_YEARS = 20.0
_QUANTITIES = {
    "lv_volume_ml": lambda f: f["volumes_ml"]["lv"],
    "rv_volume_ml": lambda f: f["volumes_ml"]["rv"],
    "la_volume_ml": lambda f: f["volumes_ml"]["la"],
    "ra_volume_ml_per_m2": lambda f: f["volumes_ml"]["ra"] / f["bsa_m2"],
    "lv_mass_g_per_m2": lambda f: f["lv_mass_g"] / f["bsa_m2"],
    "lv_wall_mean_mm": lambda f: f["wall_mm"]["mean"],
    "aorta_diameter_mm": lambda f: f["diameters_mm"]["ascending_aorta"],
    "pa_diameter_mm": lambda f: f["diameters_mm"]["pulmonary_trunk"],
}
# Distances beyond this are cut off, so that the variance is that of the surfaces.
_BAND_MM = 10.0
_PCA_SPACING_MM = 4.0


@dataclass(frozen=True)
class Row:
    """One line of the comparison; the norm is empty where none applies, the spread None where there is none."""

    quantity: str
    group: str
    unit: str
    cases: int
    mean: float
    sd: float | None
    norm: str
    citation: str


def compare(facts: Sequence[dict[str, Any]], labels: Sequence[Volume]) -> list[Row]:
    """Compare a cohort with Resources/anatomy/norms.json.

    Args:
        facts: of each phantom.
        labels: their label maps; a coarse sampling will do. With fewer than 3 there is no variance profile.
    """
    norms = read_json(resource_path("anatomy/norms.json"))
    return [*_anatomy_rows(facts, norms), *_hu_rows(facts, norms), *_variance_rows(labels, norms)]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain data."""
    return [asdict(row) for row in rows]


def _anatomy_rows(facts: Sequence[dict[str, Any]], norms: dict[str, Any]) -> list[Row]:
    """Norms are those of healthy adults; children and variants are listed without."""
    rows = []
    for norm in norms["quantities"]:
        measured = _QUANTITIES.get(norm["key"])
        if measured is None:
            continue
        for sex in ("male", "female"):
            group = [fact for fact in facts if fact["sex"] == sex]
            if not group:
                continue
            values = [measured(fact) for fact in group]
            normal = all(f["age_years"] >= ADULT_YEARS and f["variant"] == "normal" for f in group)
            rows.append(_row(norm["name"], sex, norm["unit"], values, _spread(norm[sex]) if normal else "", norm))
    return rows


def _spread(spread: dict[str, Any]) -> str:
    if "mean" not in spread:
        return ", ".join(f"P{key} {value:g}" for key, value in spread["percentiles"].items())
    return f"{spread['mean']:g} ± {spread['sd']:g}" if "sd" in spread else f"{spread['mean']:g}"


def _row(name: str, group: str, unit: str, values: Sequence[float], norm: str, source: dict[str, Any]) -> Row:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Row(name, group, unit, len(values), float(np.mean(values)), spread, norm, source["citation"] if norm else "")


def _hu_rows(facts: Sequence[dict[str, Any]], norms: dict[str, Any]) -> list[Row]:
    rows = []
    for phase in sorted({fact["scan"]["phase"] for fact in facts}):
        group = [fact for fact in facts if fact["scan"]["phase"] == phase]
        normal = norms["hu"]["venous" if phase == "late" else "arterial"]
        for region in anatomy.regions():
            values = [fact["hu"][region.key]["mean"] for fact in group]
            low, high = normal[region.key]["range"]
            rows.append(_row(region.name, phase, "HU", values, f"{low} to {high}", {"citation": "norms.json"}))
    return rows


def _variance_rows(labels: Sequence[Volume], norms: dict[str, Any]) -> list[Row]:
    if len(labels) < 3:
        return []
    shares = variance_shares(labels)
    reference = norms["pca_variance"]["whole_heart_19_ct"]
    known = np.cumsum(reference["share_percent"])
    rows = []
    for modes in (1, 2, 3, 5, 9, 14):
        if modes <= len(shares):
            total = float(shares[:modes].sum())
            norm, name = f"{known[modes - 1]:.1f}", f"Shape variance, first {modes} mode{'s' * (modes > 1)}"
            rows.append(Row(name, "all", "%", len(labels), total, None, norm, reference["citation"]))
    return rows


def variance_shares(labels: Sequence[Volume]) -> NDArray[np.float64]:
    """Return the share (%) of variance of each principal component of a cohort's shapes, greatest first.

    Hearts are turned and shifted onto their mean by their regions' centres (size kept). Each is represented by
    the signed distances to its seven regions on a common 4 mm lattice, cut off at 10 mm.
    """
    centers = np.stack([_centers(label) for label in labels])
    mean = centers - centers.mean(1, keepdims=True)
    mean = np.stack([Rotation.align_vectors(mean[0], each)[0].apply(each) for each in mean]).mean(0)
    vectors = np.stack([_distances(label, own, mean) for label, own in zip(labels, centers, strict=True)])
    vectors -= vectors.mean(0)
    variances = np.linalg.eigvalsh(vectors @ vectors.T)[::-1][:-1]
    return 100 * variances / variances.sum()


def _centers(label: Volume) -> NDArray[np.float64]:
    middles = ndimage.center_of_mass(label.array > 0, label.array, anatomy.labels())
    return label.grid.to_world(np.array(middles))


def _distances(label: Volume, centers: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    middle = centers.mean(0)
    rotation = Rotation.align_vectors(centers - middle, mean)[0]
    axis = np.arange(-108, 108.1, _PCA_SPACING_MM)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    index = label.grid.to_index(rotation.apply(lattice) + middle).T
    turned = ndimage.map_coordinates(label.array, index, order=0, mode="constant").reshape([len(axis)] * 3)
    parts = []
    for value in anatomy.labels():
        inside = turned == value
        distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
        parts.append(np.clip(distance * _PCA_SPACING_MM, -_BAND_MM, _BAND_MM).astype(np.float32).ravel())
    return np.concatenate(parts)
