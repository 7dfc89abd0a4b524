"""The seven regions in somebody's segmentation, whatever their names and wherever their layers lie.

Reading is cut in two, because a segmentation may have hundreds of millions of voxels: ``label_source_of`` (in
:mod:`scene_segmentations`) asks the scene in the GUI's thread, :meth:`LabelSource.read` does the work in any thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import cut_to_content
from FedSimCore.volumes.labels import Scheme, count_values, translate
from FedSimCore.volumes.resample import resample
from FedSimSlicerLib.region_names import likely_scheme

_ALIGNED_VOXELS = 1e-3


@dataclass(frozen=True, eq=False)
class Layer:
    """An array of a segmentation, or a label map.

    Attributes:
        volume: the array with its place in the world.
        meanings: from the array's values to those that are wanted; None for the values themselves.
    """

    volume: Volume
    meanings: Mapping[int, int] | None = None


@dataclass(frozen=True, eq=False)
class FoundLabels:
    """The regions that were found.

    Attributes:
        labels: uint8 (i, j, k) on ``grid``, FedSim's labels.
        grid: RAS mm.
        names: region key to what the segmentation calls it.
    """

    labels: NDArray[np.uint8]
    grid: Grid
    names: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of the regions that were not found."""
        return tuple(region.key for region in anatomy.regions() if region.key not in self.names)


@dataclass(frozen=True, eq=False)
class LabelSource:
    """What a node holds, to be read in any thread.

    The arrays are the node's memory. They stay valid while they are referred to, because VTK gives an image new memory
    when its old one has other users; what is edited in place meanwhile may be read half old, half new.

    Attributes:
        name: of the node.
        layers: its arrays.
        names: FedSim label to the segments' names, where these told the region; None where label values must tell.
        scheme: what values mean if ``names`` is None; found out from them if None.
    """

    name: str
    layers: tuple[Layer, ...]
    names: Mapping[int, str] | None = None
    scheme: Scheme | None = None

    def read(self) -> FoundLabels:
        """Bring all layers onto one grid, the largest layer's, and its values to FedSim's labels.

        The grid is cut down to what is not background. Where segments overlap, the region with the lowest
        ``priority`` wins. A layer on another grid is sampled at the nearest voxel.

        Raises:
            InputError: no region is among them, or label values are of no known scheme.
        """
        layers = [
            Layer(part, each.meanings) for each in self.layers if (part := cut_to_content(each.volume)) is not None
        ]
        if not layers:
            raise InputError(_("{node} is empty; segment the heart or choose another one.").format(node=self.name))
        grid = _common_grid(layers)
        merged = self._merged(layers, grid)
        if self.names is None:
            labels = self._translated(merged)
        else:
            labels = merged.astype(np.uint8)
            if not labels.any():
                raise InputError(
                    _("{node} is empty in all regions of the heart ({names}); segment them first.").format(
                        node=self.name, names=", ".join(self.names.values())
                    )
                )
        found = set(np.unique(labels).tolist()) - {anatomy.BACKGROUND}
        known = self.names or {}
        names = {r.key: known.get(r.label, r.name) for r in anatomy.regions() if r.label in found}
        return FoundLabels(labels, grid, names)

    def _merged(self, layers: list[Layer], grid: Grid) -> NDArray[np.generic]:
        if len(layers) == 1 and layers[0].meanings is None:
            return layers[0].volume.array
        result = np.zeros(grid.shape, dtype=np.uint16)
        rank = _ranks() if self.names is not None else None
        for layer in layers:
            values = _meant(layer)
            start = _offset(layer.volume.grid, grid)
            if start is None:
                part, values = result, resample(Volume(values, layer.volume.grid), grid, "nearest").array
            else:
                part = result[tuple(slice(s, s + n) for s, n in zip(start, values.shape, strict=True))]
            free = part == 0 if rank is None else rank[values] < rank[part]
            np.copyto(part, values, where=free & (values > 0))
        return result

    def _translated(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        counts = count_values(values, self.name)
        present = sorted(set(counts) - {anatomy.BACKGROUND})
        scheme = self.scheme or likely_scheme(present, values)
        if scheme is None:
            raise InputError(_no_scheme(self.name, present))
        return translate(values, scheme, self.name)


def wanted_regions() -> str:
    """Return the seven regions in words."""
    return ", ".join(region.name for region in anatomy.regions())


def _no_scheme(name: str, values: list[int]) -> str:
    shown = ", ".join(str(value) for value in values[:12]) + (", ..." if len(values) > 12 else "")
    return _(
        "{node} has the label values {values}, which are neither FedSim's or ImageCHD's (1 to 7) nor MM-WHS's (205 to "
        "850); name the segments after the regions instead: {wanted}."
    ).format(node=name, values=shown, wanted=wanted_regions())


def _ranks() -> NDArray[np.uint8]:
    """Return the priority of each label; background yields to all."""
    rank = np.full(max(anatomy.labels()) + 1, 255, dtype=np.uint8)
    for region in anatomy.regions():
        rank[region.label] = region.priority
    return rank


def _meant(layer: Layer) -> NDArray[np.uint16]:
    """Return what a layer's values mean, 0 for those that mean nothing."""
    array = layer.volume.array
    if layer.meanings is None:
        return array.astype(np.uint16)
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        # Looked up as unsigned numbers: one pass, however many segments share the layer.
        table = np.zeros(256**array.dtype.itemsize, dtype=np.uint16)
        table[list(layer.meanings)] = list(layer.meanings.values())
        return table[array.view(f"u{array.dtype.itemsize}")]
    result = np.zeros_like(array, dtype=np.uint16)
    for value, meaning in layer.meanings.items():
        result[array == value] = meaning
    return result


def _common_grid(layers: list[Layer]) -> Grid:
    """Return the largest layer's grid, extended by the layers that lie on the same lattice."""
    grids = [layer.volume.grid for layer in layers]
    largest = max(grids, key=lambda grid: int(np.prod(grid.shape)))
    low, high = np.zeros(3, dtype=int), np.array(largest.shape)
    for grid in grids:
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij"), -1).reshape(-1, 3)
        reach = largest.to_index(grid.to_world(corners))
        low = np.minimum(low, np.floor(reach.min(axis=0) + 0.5 - _ALIGNED_VOXELS).astype(int))
        high = np.maximum(high, np.ceil(reach.max(axis=0) + 0.5 + _ALIGNED_VOXELS).astype(int))
    affine = largest.affine.copy()
    affine[:3, 3] = largest.to_world(low)
    size = high - low
    return Grid((int(size[0]), int(size[1]), int(size[2])), affine)


def _offset(grid: Grid, whole: Grid) -> tuple[int, int, int] | None:
    """Return the voxel of ``whole`` at which ``grid`` begins, None if they are not on one lattice."""
    ends = np.array([(0, 0, 0), np.array(grid.shape) - 1, (grid.shape[0] - 1, 0, 0), (0, grid.shape[1] - 1, 0)])
    indices = whole.to_index(grid.to_world(ends))
    start = np.rint(indices[0]).astype(int)
    if np.abs(indices - (start + ends)).max() > _ALIGNED_VOXELS:
        return None
    return int(start[0]), int(start[1]), int(start[2])
