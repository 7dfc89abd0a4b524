"""Islands: small pieces of label away from the heart, and of a region away from the rest of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TOUCHING = ndimage.generate_binary_structure(3, 3)
SMALL = 0.1
"""Pieces of a region that have less than this share of its largest piece are given to the next likely label."""


def without_islands(found: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Take islands away from probabilities, in place, and return the labels that are left.

    Of the whole heart one piece stays, since its regions touch each other: the one that has much of many regions. Of a
    region all large pieces stay, so that nothing is lost where a vessel is cut in two; small ones become what is next
    likely. What looks like a region in lungs or bones goes; a heart of one piece with clean regions stays as it is.

    Args:
        found: (classes, X, Y, Z), background first.

    Returns:
        (X, Y, Z) label values.
    """
    labels = found.argmax(0).astype(np.uint8)
    pieces, count = ndimage.label(labels > 0, _TOUCHING)
    if count > 1:
        away = (pieces > 0) & (pieces != _heart_among(pieces, labels, count))
        found[1:, away] = 0
        found[0, away] = 1
        labels[away] = 0
    for value, box in enumerate(ndimage.find_objects(labels, max_label=len(found) - 1), start=1):
        if box is not None:
            _clean_region(found[(slice(None), *box)], labels[box], value)
    return labels


def _heart_among(pieces: NDArray[np.integer], labels: NDArray[np.uint8], count: int) -> int:
    """Return the number of the piece with the largest sum of the square roots of its regions' voxels.

    A liver may be larger than a heart, but it is taken for one or two regions, not for seven.
    """
    inside = pieces > 0
    table = np.zeros((count + 1, int(labels.max()) + 1))
    np.add.at(table, (pieces[inside], labels[inside]), 1)
    return int(np.sqrt(table).sum(1).argmax())


def _clean_region(found: NDArray[np.float16], labels: NDArray[np.uint8], value: int) -> None:
    pieces, count = ndimage.label(labels == value, _TOUCHING)
    if count < 2:
        return
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    small = np.flatnonzero((sizes < SMALL * sizes.max()) & (sizes > 0))
    if len(small) == 0:
        return
    away = np.isin(pieces, small)
    found[value, away] = 0
    labels[away] = found[:, away].argmax(0)
