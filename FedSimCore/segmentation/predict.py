"""From a scan to its heart: any spacing, orientation and size in, labels on the scan's own grid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent
from FedSimCore.segmentation.components import without_islands
from FedSimCore.segmentation.looking import Look, look_twice
from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.segmentation.onto_scan import entropy_on_scan, labels_on_scan
from FedSimCore.segmentation.working import first_voxel, to_working_grid
from FedSimCore.volumes import Grid, Volume

ONTO_SCAN = "bringing the labels onto the scan"
"""Stage that is told last."""
LEAST_EXTENT_MM = 30.0
"""A scan that is thinner than this along an axis shows no heart."""
LEAST_HEART_ML = 5.0
"""Less is none: a newborn's seven regions have some 30 ml."""
_LEAST_CONFIDENCE = 0.5
_DOUBTFUL_CONFIDENCE = 0.75
_DARKEST_OF_CT_HU = -250.0
"""Every CT of a chest has lung or air around the body, darker than this."""
_BRIGHTEST_OF_CT_HU = 12_000.0
_COARSE_MM = 6.0


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What was found in a scan.

    Attributes:
        labels: uint8 on the scan's grid; all 0 where no heart was found.
        found: whether a heart was found.
        volumes_ml: by region's key; regions that were not found have 0.
        confidence: mean probability, 0 to 1, of the label given to the heart's voxels; 0 without a heart.
        uncertainty: entropy of the probabilities, 0 to 1 (all labels alike), float16 on the scan's grid; None unless
            asked for.
        warnings: what gives reason for doubt, a sentence each.
    """

    labels: Volume
    found: bool
    volumes_ml: dict[str, float]
    confidence: float
    uncertainty: Volume | None = None
    warnings: tuple[str, ...] = field(default=())

    def report(self) -> dict[str, Any]:
        """Return everything but the voxels, as JSON."""
        return {
            "found": self.found,
            "volumes_ml": {key: round(ml, 2) for key, ml in self.volumes_ml.items()},
            "confidence": round(self.confidence, 4),
            "warnings": list(self.warnings),
        }


def segment(
    scan: Volume,
    segmenter: Segmenter,
    *,
    device: torch.device | None = None,
    flips: bool = False,
    uncertainty: bool = False,
    progress: Progress = silent,
) -> Segmentation:
    """Find the heart in a scan.

    The scan is brought onto a lattice along R, A and S with the segmenter's spacing, windows that overlap by half are
    blended there, islands are taken away, and the probabilities are interpolated onto the scan's grid.

    Args:
        scan: HU on any grid.
        segmenter: in evaluation mode; moved to the device.
        device: where to compute; None: the CPU.
        flips: average over mirror images; a heart is not its mirror image, so the segmenter must have seen such.
        uncertainty: return the entropy, too.
        progress: told of every window; may raise to cancel.

    Raises:
        InputError: the scan is too thin, constant, or has voxels that are not finite; or flips are asked of a
            segmenter that has not seen mirrored hearts.
    """
    header = segmenter.header
    if flips and not header.flips:
        raise InputError(
            "This segmenter has not seen mirrored hearts, which would only confuse it; leave flips out, or train one "
            "with flips=true."
        )
    warnings = check_scan(scan)
    where = device or torch.device("cpu")
    network = segmenter.network.to(where).eval()
    working = to_working_grid(scan, header.spacing_mm, progress)
    how = Look(network, header, where, flips, progress)
    hounsfield = torch.from_numpy(working.array)
    found = look_twice(how, hounsfield, first_voxel(working.grid)).numpy()
    entropy = entropy_of(found) if uncertainty else None
    label = without_islands(found)
    confidence = float(found.max(0)[label > 0].astype(np.float32).mean()) if label.any() else 0.0
    volume_ml = np.count_nonzero(label) * header.spacing_mm**3 / 1000
    there = bool(volume_ml >= LEAST_HEART_ML and confidence >= _LEAST_CONFIDENCE)
    if there:
        progress(0, 1, ONTO_SCAN)
        labels = labels_on_scan(found, label > 0, working.grid, scan.grid)
    else:
        labels = np.zeros(scan.grid.shape, np.uint8)
    volumes = _volumes(labels, scan.grid, segmenter)
    warnings += _doubts(Volume(labels, scan.grid), volumes, confidence, there, segmenter)
    return Segmentation(
        Volume(labels, scan.grid),
        bool(there and labels.any()),
        volumes,
        confidence if there else 0.0,
        Volume(entropy_on_scan(entropy, working.grid, scan.grid), scan.grid) if entropy is not None else None,
        tuple(warnings),
    )


def check_scan(scan: Volume) -> list[str]:
    """Return what is strange about a scan, a sentence each.

    Raises:
        InputError: no heart can be found in it.
    """
    array, warnings = scan.array, []
    extent = scan.grid.spacing_mm * scan.grid.shape
    if extent.min() < LEAST_EXTENT_MM:
        raise InputError(
            f"The scan is {' x '.join(map(str, scan.grid.shape))} voxels, {extent.min():.3g} mm thin; give one that is "
            f"at least {LEAST_EXTENT_MM:g} mm long along each side."
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("The scan has voxels that are NaN or infinite; export it again.")
    if low == high:
        raise InputError(f"Every voxel of the scan is {low:g}; export it again.")
    if low > _DARKEST_OF_CT_HU or high > _BRIGHTEST_OF_CT_HU:
        warnings.append(
            f"Values from {low:.0f} to {high:.0f} are not those of a CT in HU (air is -1000): this looks like MR, or "
            "like a CT whose rescaling was lost. The result cannot be relied on."
        )
    if scan.grid.spacing_mm.max() > _COARSE_MM:
        warnings.append(f"Voxels of {scan.grid.spacing_mm.max():.3g} mm are coarse: walls and valves blur.")
    return warnings


def entropy_of(found: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return the entropy (X, Y, Z), 0 to 1, of probabilities (classes, X, Y, Z)."""
    total = np.zeros(found.shape[1:], np.float32)
    for share in found:
        wide = share.astype(np.float32)
        total -= wide * np.log(np.maximum(wide, 1e-7))
    return (total / np.log(len(found))).clip(0, 1).astype(np.float16)


def _volumes(labels: NDArray[np.uint8], grid: Grid, segmenter: Segmenter) -> dict[str, float]:
    names = segmenter.header.region_names()
    counts = np.bincount(labels.ravel(), minlength=max(names) + 1)
    return {key: float(counts[value]) * grid.voxel_volume_mm3 / 1000 for value, (key, _) in names.items()}


def _doubts(
    labels: Volume, volumes: dict[str, float], confidence: float, there: bool, segmenter: Segmenter
) -> list[str]:
    if not there:
        return ["No heart was found in this scan; the label map is empty."]
    told = []
    if confidence < _DOUBTFUL_CONFIDENCE:
        told.append(f"The segmenter is unsure (mean probability {confidence:.2f}); look at every contour.")
    names = dict(segmenter.header.region_names().values())
    missing = [names[key] for key, ml in volumes.items() if ml == 0]
    if missing:
        told.append(f"Not found: {', '.join(missing)}.")
    if _reaches_the_edge(labels, segmenter.header.spacing_mm):
        told.append("The heart reaches the edge of the scan: volumes are of the part that is there.")
    return told


def _reaches_the_edge(labels: Volume, within_mm: float) -> bool:
    """Tell whether there are labels so near the edge of the scan that more of the heart may lie beyond."""
    for axis, spacing_mm in enumerate(labels.grid.spacing_mm):
        near = max(1, round(within_mm / float(spacing_mm)))
        marked = np.flatnonzero(labels.array.any(axis=tuple({0, 1, 2} - {axis})))
        if len(marked) and (marked[0] < near or marked[-1] >= labels.array.shape[axis] - near):
            return True
    return False
