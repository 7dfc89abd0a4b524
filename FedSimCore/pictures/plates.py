"""Plates of several pictures: a heart from all sides, the modes of a shape model, one heart in many scanners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from FedSimCore.pictures.annotate import DARK, Picture, sheet, with_caption, with_orientation
from FedSimCore.pictures.render import render
from FedSimCore.pictures.slices import SliceRow, Window, figure_picture, slice_panel
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Volume

# Air round the heart, as a share of its extent, so that hearts of a plate have room to grow.
_ROOM = 1.12


def views_plate(
    mesh: HeartMesh, views: Sequence[str] = ("anterior", "left", "posterior", "superior"), pixels: int = 420
) -> Picture:
    """Draw one heart from several sides at one scale, two in a row.

    Returns:
        (height, width, 3) uint8.

    Raises:
        InputError: there is no such view.
    """
    field = _field_mm([mesh])
    drawn = [_heart(mesh, name, pixels, field, name) for name in views]
    return sheet([drawn[i : i + 2] for i in range(0, len(drawn), 2)])


def modes_plate(model: ShapeModel, modes: int = 4, view: str = "anterior", pixels: int = 300) -> Picture:
    """Draw the mean between the two ends of each of the first modes, all at one scale.

    Args:
        model: the shape model; the ends are at its ``limit_sigma``, captioned with the mode and its share of variance.
        modes: how many modes, one in each row.
        view: a name of ``pictures.views.VIEWS``.
        pixels: edge of each picture.

    Returns:
        (height, width, 3) uint8.
    """
    limit = model.header.limit_sigma
    share = model.eigenvalues / model.header.total_variance_mm2
    hearts = {
        (k, end): model.mesh(HeartParameters(weights=tuple(end * (np.arange(model.mode_count) == k))))
        for k in range(min(modes, model.mode_count))
        for end in (-limit, 0.0, limit)
    }
    field = _field_mm(list(hearts.values()))
    rows = [
        [
            _heart(hearts[k, end], view, pixels, field, f"{k + 1} ({share[k]:.0%}): {end:+.1f} SD" if end else "mean")
            for end in (-limit, 0.0, limit)
        ]
        for k in range(min(modes, model.mode_count))
    ]
    return sheet(rows)


def scanners_plate(scans: Mapping[str, tuple[Volume, Volume]], window: Window, inches: float = 2.9) -> Picture:
    """Set the same heart's scans by several scanners one under the other, in three planes.

    Args:
        scans: image and label map by the title of their row.
        window: the same grey values for all.
        inches: width of each picture at 150 dots per inch.

    Returns:
        (height, width, 3) uint8.
    """
    rows = [SliceRow(title, image, labels, window) for title, (image, labels) in scans.items()]
    return figure_picture(slice_panel(rows, inches=inches))


def _heart(mesh: HeartMesh, view: str, pixels: int, field_mm: float, caption: str) -> Picture:
    drawn = render(mesh, view, (pixels, pixels), background=DARK, field_mm=field_mm)
    return with_caption(with_orientation(drawn, view), caption)


def _field_mm(meshes: Sequence[HeartMesh]) -> float:
    return _ROOM * max(float(np.ptp(mesh.vertices, axis=0).max()) for mesh in meshes)
