"""Pictures of hearts while they are learnt: plain pixels, seen as radiologists do, without any library for drawing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from FedSimCore.anatomy import regions
from FedSimCore.pictures.slices import Window

Picture = NDArray[np.uint8]
"""(height, width, 3)."""

_PLANE_PIXELS = 128


def label_planes(labels: NDArray[np.uint8]) -> Picture:
    """Return the three middle slices of a label map (X, Y, Z) side by side, axial, coronal and sagittal."""
    return _enlarged(label_colours(np.concatenate(_middle_planes(labels), axis=1)), max(labels.shape))


def image_planes(hounsfield: NDArray[np.floating], window: Window | None = None) -> Picture:
    """Return the three middle slices of a CT (X, Y, Z), HU, side by side."""
    return _enlarged(greys(np.concatenate(_middle_planes(hounsfield), axis=1), window), max(hounsfield.shape))


def axial(volume_slice: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an axial slice (X, Y), axes to R and A, as rows and columns seen from the feet."""
    return volume_slice[::-1, ::-1].T


def label_colours(labels: NDArray[np.generic]) -> Picture:
    """Give every label of a picture (height, width) its region's colour."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for region in regions():
        colours[region.label] = region.color
    return colours[labels.astype(np.uint8)]


def greys(hounsfield: NDArray[np.generic], window: Window | None = None) -> Picture:
    """Show HU (height, width) in a window."""
    shown = window or Window()
    share = (hounsfield.astype(np.float32) - shown.level_hu) / shown.width_hu + 0.5
    return (255 * share.clip(0, 1)).astype(np.uint8)[..., None].repeat(3, axis=-1)


def in_rows(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Put pictures of equal size side by side, row below row."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def _middle_planes(volume: NDArray[np.generic]) -> tuple[NDArray[np.generic], ...]:
    i, j, k = (size // 2 for size in volume.shape)
    # Patient's right and anterior at the left, superior and anterior at the top; array axes run to R, A and S.
    return axial(volume[:, :, k]), volume[::-1, j, ::-1].T, volume[i, ::-1, ::-1].T


def _enlarged(picture: Picture, size: int) -> Picture:
    times = -(-_PLANE_PIXELS // size)
    return picture.repeat(times, axis=0).repeat(times, axis=1)
