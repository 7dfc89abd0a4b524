"""A label map made ready for the shape model: checked, cleaned of islands, cropped, measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from FedSimCore.anatomy import BACKGROUND, regions
from FedSimCore.anatomy import labels as region_labels
from FedSimCore.errors import InputError
from FedSimCore.shape.surfaces import Surface, closed_surface, solid
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import heart_box_mm

Array = NDArray[np.float64]
FEWEST_VOXELS = 30
"""A region of fewer voxels has no surface worth the name."""


@dataclass(frozen=True, eq=False)
class LabelledHeart:
    """One case's label map, cropped to the heart, one connected piece per region.

    Attributes:
        name: how messages call the case.
        labels: uint8 label map in FedSim's values, RAS mm.
        present: label values of the regions it has, ascending.
    """

    name: str
    labels: Volume
    present: tuple[int, ...]

    @classmethod
    def from_volume(cls, name: str, volume: Volume) -> LabelledHeart:
        """Check and clean a label map in FedSim's label values.

        Of each region only the largest connected piece is kept; specks of a hand-drawn label map would
        otherwise attract the surface.

        Raises:
            InputError: the map has unknown label values or none of the seven regions.
        """
        array = np.asarray(volume.array)
        _check_values(name, array)
        array = array.astype(np.uint8)
        boxes = ndimage.find_objects(array)
        cleaned = np.zeros_like(array)
        present = []
        for value, box in enumerate(boxes, start=1):
            piece = None if box is None else _largest_piece(array[box] == value)
            if box is not None and piece is not None and piece.sum() >= FEWEST_VOXELS:
                cleaned[box][piece] = value
                present.append(value)
        if not present:
            raise InputError(f"{name} has no voxels of any of the seven regions; check the label map.")
        return cls(name, _crop(Volume(cleaned, volume.grid)), tuple(present))

    def require_all_regions(self) -> None:
        """Refuse a heart that lacks a region.

        Raises:
            InputError: a region is missing or has only a few voxels.
        """
        for r in regions():
            if r.label not in self.present:
                raise InputError(
                    f"{self.name} has no voxels of region {r.name} (label {r.label}); "
                    "label it, or leave the case out with --skip-incomplete."
                )

    def solid(self, label: int) -> NDArray[np.bool_]:
        """Return the voxels that a present region's surface encloses (the myocardium's: the pool too)."""
        return solid(self.labels.array, label)

    def surface(self, label: int) -> Surface:
        """Return the closed surface of a present region, RAS mm."""
        return closed_surface(self.solid(label), self.labels.grid)

    @cached_property
    def centroids_mm(self) -> dict[int, Array]:
        """Centre of mass (3,) of each present region's solid, RAS mm."""
        grid = self.labels.grid
        return {value: grid.to_world(np.argwhere(self.solid(value)).mean(0)) for value in self.present}

    @cached_property
    def volumes_mm3(self) -> dict[int, float]:
        """Volume of each present region's solid."""
        voxel = self.labels.grid.voxel_volume_mm3
        return {value: float(self.solid(value).sum()) * voxel for value in self.present}

    @property
    def centre_mm(self) -> Array:
        """Middle (3,) of the labels' bounding box, RAS mm: of the working grid, and the origin of pose statistics."""
        middle: Array = heart_box_mm(self.labels).mean(0)
        return middle


def _check_values(name: str, array: NDArray[np.generic]) -> None:
    values, counts = np.unique(array, return_counts=True)
    known = {BACKGROUND, *region_labels()}
    unknown = [(v, n) for v, n in zip(values.tolist(), counts.tolist(), strict=True) if v not in known]
    if unknown:
        listed = ", ".join(f"{value:g} ({count} voxels)" for value, count in unknown[:5])
        raise InputError(f"{name} has unknown label values {listed}; name the label scheme of its file (--scheme).")


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, number = ndimage.label(mask, np.ones((3, 3, 3)))
    if number == 1:
        return mask
    result: NDArray[np.bool_] = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    return result


def _crop(volume: Volume) -> Volume:
    inside = np.nonzero(volume.array)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in inside)
    array = np.ascontiguousarray(volume.array[box])
    affine = volume.grid.affine.copy()
    affine[:3, 3] = volume.grid.to_world([axis.start for axis in box])
    return Volume(array, Grid((array.shape[0], array.shape[1], array.shape[2]), affine))
