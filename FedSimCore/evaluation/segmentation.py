"""How well labels agree with a reference: Dice and surface distances, each through a named implementation.

Distances are in millimetres of the reference's grid. A region that is in neither label map has no figures; one that is
in a single one has Dice 0 and no distances, since no distance to nothing exists.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import cut_to_content
from FedSimCore.volumes.resample import resample_labels

Metric = Literal["dice", "hd95_mm", "assd_mm", "bahd_mm"]
METRICS: tuple[Metric, ...] = ("dice", "hd95_mm", "assd_mm", "bahd_mm")
WHOLE = "heart"
"""Key of all regions as one: the paper's binary case."""


def implementations() -> dict[str, str]:
    """Return what computes each metric, for reports."""
    import monai

    name = f"MONAI {monai.__version__}"
    return {
        "dice": "2 |A and B| / (|A| + |B|) of voxels",
        "hd95_mm": f"{name} compute_hausdorff_distance, percentile 95 of either direction, the larger; surface voxels",
        "assd_mm": f"{name} compute_average_surface_distance, symmetric; surface voxels",
        "bahd_mm": "FedSim, balanced average Hausdorff distance (Aydin et al. 2021) of all voxels: "
        "(sum of d(g, S) over G + sum of d(s, G) over S) / (2 |G|)",
    }


class RegionScore(BaseModel):
    """How one region agrees with the reference.

    Attributes:
        region: its key; ``"heart"`` for all as one.
        dice: 0 to 1; None where the region is in neither.
        hd95_mm: Hausdorff distance, 95th percentile; None where the region is missing in one.
        assd_mm: average symmetric surface distance; likewise.
        bahd_mm: balanced average Hausdorff distance; likewise.
        found_ml: its volume.
        reference_ml: its volume in the reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    region: str
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    bahd_mm: float | None
    found_ml: float
    reference_ml: float


class CaseScores(BaseModel):
    """The scores of one case: the whole heart first, then the regions.

    Attributes:
        case: its id.
        regions: a score for each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    case: str
    regions: tuple[RegionScore, ...]

    def of(self, region: str) -> RegionScore:
        """Return a region's score.

        Raises:
            InputError: there is none.
        """
        for score in self.regions:
            if score.region == region:
                return score
        known = ", ".join(score.region for score in self.regions)
        raise InputError(f"There is no score of {region!r}; there are {known}.")

    def mean(self, metric: Metric = "dice") -> float | None:
        """Return the mean over the seven regions (not the whole heart) that have the figure; None if none has."""
        return _mean([getattr(score, metric) for score in self.regions if score.region != WHOLE])

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each region, for a table."""
        return [{"case": self.case, **score.model_dump()} for score in self.regions]


def compare(
    found: Volume,
    reference: Volume,
    case: str = "",
    regions: Literal["heart", "seven"] = "seven",
    metrics: Sequence[Metric] = METRICS,
) -> CaseScores:
    """Compare labels with a reference.

    Args:
        found: label map of the seven regions, or of the heart as 1; on another grid it is brought onto the reference's,
            which goes on as far as there are labels: what lies beyond the reference's scan counts as false.
        reference: label map of the seven regions; with ``regions="heart"`` everything marked is heart.
        case: id for the table.
        regions: ``"heart"``: only all as one.
        metrics: which figures; distances take most of the time.
    """
    if not found.grid.same_as(reference.grid, tolerance_mm=1e-3):
        reference = _reaching_to(reference, found)
        found = resample_labels(found, reference.grid)
    a, b = found.array, reference.array
    scores = [_score(WHOLE, a > 0, b > 0, reference, metrics)]
    if regions == "seven":
        scores += [_score(r.key, a == r.label, b == r.label, reference, metrics) for r in anatomy.regions()]
    return CaseScores(case=case, regions=tuple(scores))


def _reaching_to(reference: Volume, found: Volume) -> Volume:
    """Return a label map with enough background around it to hold another one's labels, which all count then."""
    part = cut_to_content(found)
    if part is None:
        return reference
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in part.grid.shape], indexing="ij"), -1).reshape(-1, 3)
    index = reference.grid.to_index(part.grid.to_world(corners))
    before = np.maximum(0, np.ceil(-0.5 - index.min(0) - 1e-6)).astype(int)
    after = np.maximum(0, np.ceil(index.max(0) + 0.5 - 1e-6) - reference.grid.shape).astype(int)
    array = np.pad(reference.array, list(zip(before, after, strict=True)))
    affine = reference.grid.affine.copy()
    affine[:3, 3] = reference.grid.to_world(-before)
    return Volume(array, Grid((array.shape[0], array.shape[1], array.shape[2]), affine))


def summary(cases: Sequence[CaseScores]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean, standard deviation (divisor n - 1) and number of the cases with a figure, by region and metric."""
    keys = [score.region for score in cases[0].regions] if cases else []
    table: dict[str, dict[str, dict[str, float]]] = {}
    for key in keys:
        table[key] = {}
        for metric in METRICS:
            values = [v for v in (getattr(case.of(key), metric) for case in cases) if v is not None]
            if values:
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                table[key][metric] = {"mean": float(np.mean(values)), "sd": spread, "n": float(len(values))}
    return table


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float | None:
    """Return Dice of two masks; None where both are empty."""
    both = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / both if both else None


def balanced_average_hausdorff(
    found: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> float | None:
    """Return the balanced average Hausdorff distance in mm; None where a mask is empty.

    Aydin et al. 2021 (European Radiology Experimental 5:4): both sums of nearest distances are divided by the number of
    the reference's voxels. The plain one divides the second by the segmentation's own, so that many false voxels
    dilute their own distances and segmentations are ranked wrongly.
    """
    if not found.any() or not reference.any():
        return None
    to_found = ndimage.distance_transform_edt(~found, sampling=spacing_mm)
    to_reference = ndimage.distance_transform_edt(~reference, sampling=spacing_mm)
    total = float(to_found[reference].sum()) + float(to_reference[found].sum())
    return total / (2 * int(np.count_nonzero(reference)))


def _score(
    key: str, a: NDArray[np.bool_], b: NDArray[np.bool_], reference: Volume, metrics: Sequence[Metric]
) -> RegionScore:
    ml = reference.grid.voxel_volume_mm3 / 1000
    figures: Mapping[str, float | None] = dict.fromkeys(METRICS)
    volumes = {"found_ml": np.count_nonzero(a) * ml, "reference_ml": np.count_nonzero(b) * ml}
    block = _box_of(a | b)
    if block is not None:
        a, b = a[block], b[block]
        spacing = tuple(reference.grid.spacing_mm.tolist())
        functions = {"dice": lambda: dice(a, b), "bahd_mm": lambda: balanced_average_hausdorff(a, b, spacing)}
        functions |= {
            "hd95_mm": lambda: _surface("hausdorff", a, b, spacing),
            "assd_mm": lambda: _surface("average", a, b, spacing),
        }
        figures = {**figures, **{name: functions[name]() for name in metrics}}
    return RegionScore.model_validate({"region": key, **figures, **volumes})


def _box_of(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Return the block of a mask with a voxel round it where there is one; MONAI's surfaces end at an array's edge."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return None
    return tuple(slice(max(0, s.start - 1), s.stop + 1) for s in found[0])


def _surface(
    which: Literal["hausdorff", "average"], a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: tuple[float, ...]
) -> float | None:
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_distance import compute_average_surface_distance

    if not a.any() or not b.any():
        return None
    # A shell of background, so that what touches the image's edge has a surface there too.
    first, second = (torch.from_numpy(np.pad(mask, 1))[None, None].float() for mask in (a, b))
    with warnings.catch_warnings():
        # MONAI 1.5 and 1.6 call a function of their own with an argument that they have deprecated.
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        if which == "hausdorff":
            value = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=spacing)
        else:
            value = compute_average_surface_distance(
                first, second, include_background=True, symmetric=True, spacing=spacing
            )
    number = float(value)
    return number if math.isfinite(number) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
