"""The working grid round a heart: 128 voxels of 1.25 mm along R, A and S by default.

128^3 is the paper's (Li et al. 2020, sec. 2.1); 160 mm hold an adult's heart with the roots of its vessels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from FedSimCore.errors import InputError
from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.resample import AIR_HU, Order, inside, resample, resample_labels
from FedSimCore.volumes.volume import Volume

MARGIN_MM = 5.0
"""Kept free round the heart on each side."""


@dataclass(frozen=True)
class Crop:
    """An image and its label map on one working grid.

    Attributes:
        image: float32, None where none was given.
        label: the label map, None where none was given.
        grid: the working grid.
        covered: share of the grid's voxels that lie inside the image (or the label map, where there is no image).
    """

    image: Volume | None
    label: Volume | None
    grid: Grid
    covered: float


def heart_box_mm(label_map: Volume) -> NDArray[np.float64]:
    """Return the corners of the heart's bounding box in RAS mm, (2, 3): lowest and highest, voxels' faces included.

    Raises:
        InputError: the label map is empty.
    """
    marked = label_map.array > 0
    columns = np.argwhere(marked.any(axis=2))
    if len(columns) == 0:
        raise InputError("The label map is empty, so there is no heart to crop round; give a centre in mm.")
    # Of every column only the first and the last marked voxel can be outermost.
    runs = marked[columns[:, 0], columns[:, 1]]
    ends = (runs.argmax(axis=1), runs.shape[1] - 1 - runs[:, ::-1].argmax(axis=1))
    centres = label_map.grid.to_world(np.concatenate([np.column_stack([columns, end]) for end in ends]))
    half = np.abs(label_map.grid.affine[:3, :3]).sum(axis=1) / 2
    return np.stack([centres.min(0) - half, centres.max(0) + half])


def cut_to_content(volume: Volume) -> Volume | None:
    """Return the smallest part of a label map that holds all voxels other than 0, as a view; None if there are none."""
    array, grid = volume.array, volume.grid
    used = [np.flatnonzero(array.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    if not all(map(len, used)):
        return None
    part = array[tuple(slice(side[0], side[-1] + 1) for side in used)]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world([side[0] for side in used])
    return Volume(part, Grid((part.shape[0], part.shape[1], part.shape[2]), affine))


def crop_round_heart(
    image: Volume | None,
    label: Volume | None,
    size: int = 128,
    spacing_mm: float | Literal["fit"] = 1.25,
    center_mm: ArrayLike | None = None,
    outside: float = AIR_HU,
    label_order: Order = "linear",
) -> Crop:
    """Bring a heart onto a working grid along R, A and S; world coordinates stay right.

    Args:
        image: the scan, on any grid; None for labels only.
        label: the label map, on the same or another grid; None for an unlabelled case.
        size: voxels along each axis.
        spacing_mm: of the working grid; ``"fit"`` takes the finest at which the heart and a margin of 5 mm fit.
        center_mm: middle of the grid in RAS mm; by default the middle of the heart's bounding box.
        outside: image value beyond the scan (air in a CT; give 0 for MR).
        label_order: how labels are sampled, see ``resample_labels``.

    Raises:
        InputError: there is neither image nor label; an unlabelled case has no centre; the heart doesn't fit (the
            message says which spacing would do); the image doesn't reach the grid.
    """
    source = image if image is not None else label
    if source is None:
        raise InputError("There is neither an image nor a label map to crop.")
    box = heart_box_mm(label) if label is not None else None
    if box is None and (center_mm is None or spacing_mm == "fit"):
        raise InputError("A case without labels needs the middle of its heart (center_mm) and a spacing in mm.")
    centre = np.asarray(center_mm if center_mm is not None else np.mean(box, axis=0), dtype=np.float64)  # type: ignore[arg-type]
    grid = Grid.centered(size, _spacing(box, centre, size, spacing_mm), centre)
    cropped_image = resample(image, grid, "linear", outside) if image is not None else None
    cropped_label = resample_labels(label, grid, label_order) if label is not None else None
    covered = float(inside(source.grid, grid).mean())
    if covered == 0:
        raise InputError("The image and the working grid don't overlap; check the centre or the label map's header.")
    return Crop(cropped_image, cropped_label, grid, covered)


def _spacing(
    box: NDArray[np.float64] | None, centre: NDArray[np.float64], size: int, spacing_mm: float | Literal["fit"]
) -> float:
    if size < 2:
        raise InputError(f"A working grid of {size} voxels along an axis holds no heart; give at least 2.")
    if spacing_mm != "fit" and not 0 < spacing_mm < np.inf:
        raise InputError(f"A spacing of {spacing_mm} mm is impossible; give a positive number or 'fit'.")
    if box is None:
        return float(spacing_mm)
    reach = float(np.abs(box - centre).max())
    if spacing_mm == "fit":
        return float(np.ceil(2 * (reach + MARGIN_MM) / size * 1000) / 1000)
    if 2 * reach > size * spacing_mm:
        needed = np.ceil(2 * (reach + MARGIN_MM) / size * 100) / 100
        raise InputError(
            f"The heart reaches {reach:.0f} mm from the middle of the working grid, which itself reaches "
            f"{size * spacing_mm / 2:.0f} mm; use a spacing of {needed:.2f} mm, or 'fit'."
        )
    return float(spacing_mm)
