"""Scans in three planes with the outlines of label maps, shown as radiologists look at them.

Axial slices are seen from the feet and coronal ones from the front, so that the patient's right is at the picture's
left; sagittal ones from the patient's left, anterior at the picture's left. Planes run along the patient's axes
whatever the grid's affine is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from FedSimCore import anatomy
from FedSimCore.errors import InputError, MissingDependencyError
from FedSimCore.files import atomic_path
from FedSimCore.pictures.annotate import DARK, Picture
from FedSimCore.pictures.views import VIEWS, View
from FedSimCore.volumes.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = {"axial": VIEWS["inferior"], "coronal": VIEWS["anterior"], "sagittal": VIEWS["left"]}
_OUTSIDE_HU = -1024.0
_TEXT = "#dfe3e6"
_GAP = 0.004


@dataclass(frozen=True)
class Window:
    """Which HU are shown from black to white.

    Attributes:
        level_hu: middle grey.
        width_hu: HU between black and white.
    """

    level_hu: float = 200.0
    width_hu: float = 900.0


@dataclass(frozen=True, eq=False)
class SliceRow:
    """One row of a panel: a scan in three planes.

    Attributes:
        title: shown at the left.
        image: the scan, HU.
        labels: outlines to draw, on any grid; None for none.
        window: grey values.
    """

    title: str
    image: Volume
    labels: Volume | None = None
    window: Window = Window()


def plane(
    volume: Volume,
    looking: View,
    center_mm: ArrayLike,
    field_mm: float,
    pixel_mm: float,
    outside: float = _OUTSIDE_HU,
) -> NDArray[np.float32]:
    """Sample a plane through a volume of any affine, linearly.

    Args:
        volume: the scan.
        looking: the view whose right and up span the plane.
        center_mm: (3,) RAS point in the middle of the picture.
        field_mm: width and height of the picture.
        pixel_mm: edge of a pixel.
        outside: value beyond the volume.

    Returns:
        (rows, columns), the first row at the top.
    """
    count = max(1, round(field_mm / pixel_mm))
    offsets = (np.arange(count) - (count - 1) / 2) * pixel_mm
    points = np.asarray(center_mm, dtype=float) + offsets[:, None] * looking.right - offsets[:, None, None] * looking.up
    index = np.moveaxis(volume.grid.to_index(points), -1, 0)
    array = volume.array.astype(np.float32)
    sampled: NDArray[np.float32] = map_coordinates(array, index, order=1, mode="constant", cval=outside)
    return sampled


def slice_panel(
    rows: Sequence[SliceRow],
    *,
    center_mm: ArrayLike | None = None,
    field_mm: float | None = None,
    planes: Sequence[str] = ("axial", "coronal", "sagittal"),
    inches: float = 3.2,
    legend: bool = True,
) -> Figure:
    """Draw scans in several planes, one row for each, with outlines of their labels.

    Args:
        rows: the scans.
        center_mm: (3,) RAS point where all planes meet; the middle of each row's labels, or of its grid, if None.
        field_mm: width of each picture; the image's own extent, at most 200 mm, if None.
        planes: which of axial, coronal and sagittal.
        inches: width of each picture.
        legend: name the outlines' colours below.

    Returns:
        A matplotlib figure without a window; see :func:`write_figure` and :func:`figure_picture`.

    Raises:
        InputError: a plane is unknown, or there are no rows.
        MissingDependencyError: matplotlib is not installed.
    """
    if not rows or any(name not in PLANES for name in planes):
        raise InputError(f"A panel needs rows, and planes of {', '.join(PLANES)}, not {list(planes)}.")
    figure = _figure(inches * len(planes), inches * len(rows) + (0.35 if legend else 0.0))
    bottom = 0.35 / (inches * len(rows) + 0.35) if legend else 0.0
    drawn: set[int] = set()
    for r, row in enumerate(rows):
        center = _center(row) if center_mm is None else np.asarray(center_mm, dtype=float)
        extent = field_mm or min(200.0, float((row.image.grid.spacing_mm * row.image.grid.shape).max()))
        for c, name in enumerate(planes):
            height = (1 - bottom) / len(rows)
            left, low = c / len(planes), bottom + (len(rows) - 1 - r) * height
            axes = figure.add_axes((left + _GAP, low + _GAP, 1 / len(planes) - 2 * _GAP, height - 2 * _GAP))
            drawn |= _draw_plane(axes, row, name, center, extent, titled=c == 0)
    if legend and drawn:
        _draw_legend(figure, drawn)
    return figure


def write_figure(path: Path | str, figure: Figure, dots_per_inch: int = 150) -> None:
    """Write a figure as PNG.

    Raises:
        DiskError: the file cannot be written.
    """
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=dots_per_inch, facecolor=figure.get_facecolor())


def figure_picture(figure: Figure, dots_per_inch: int = 150) -> Picture:
    """Return a figure as (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dots_per_inch)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError('Pictures need matplotlib; run: pip install "fedsim[pictures]"') from error
    return Figure(figsize=(width, height), facecolor=_unit(DARK))


def _unit(color: tuple[int, int, int]) -> tuple[float, float, float]:
    return color[0] / 255, color[1] / 255, color[2] / 255


def _center(row: SliceRow) -> NDArray[np.float64]:
    if row.labels is None or not (row.labels.array > 0).any():
        return row.image.grid.center_mm
    inside = np.argwhere(row.labels.array > 0)
    return row.labels.grid.to_world((inside.min(0) + inside.max(0)) / 2)


def _draw_plane(
    axes: Any, row: SliceRow, name: str, center: NDArray[np.float64], field_mm: float, titled: bool
) -> set[int]:
    """Draw one picture and return the labels outlined in it."""
    looking, pixel = PLANES[name], field_mm / 400
    low = row.window.level_hu - row.window.width_hu / 2
    picture = plane(row.image, looking, center, field_mm, pixel)
    axes.imshow(picture, cmap="gray", vmin=low, vmax=low + row.window.width_hu, interpolation="bilinear")
    axes.set_axis_off()
    found: set[int] = set()
    if row.labels is not None:
        for region in sorted(anatomy.regions(), key=lambda r: -r.priority):  # shared borders show who has priority
            inside = Volume((row.labels.array == region.label).astype(np.float32), row.labels.grid)
            share = plane(inside, looking, center, field_mm, pixel, outside=0.0)
            if share.max() > 0.5:
                axes.contour(share, levels=[0.5], colors=[_unit(region.color)], linewidths=1.3)
                found.add(region.label)
    for side, letters in looking.letters().items():
        x, y, horizontal, vertical = _PLACES[side]
        _text(axes, x, y, letters, horizontal, vertical)
    _text(axes, 0.02, 0.985, f"{row.title}\n{name}" if titled and row.title else name, "left", "top")
    _scale_bar(axes, picture.shape[1], field_mm)
    return found


_PLACES = {
    "left": (0.02, 0.5, "left", "center"),
    "right": (0.98, 0.5, "right", "center"),
    "top": (0.5, 0.985, "center", "top"),
    "bottom": (0.5, 0.015, "center", "bottom"),
}


def _text(axes: Any, x: float, y: float, text: str, horizontal: str, vertical: str) -> None:
    from matplotlib.patheffects import withStroke

    written = axes.text(
        x, y, text, color=_TEXT, fontsize=8, ha=horizontal, va=vertical, transform=axes.transAxes, linespacing=1.25
    )
    written.set_path_effects([withStroke(linewidth=2, foreground="black")])


def _scale_bar(axes: Any, width: int, field_mm: float) -> None:
    length_mm = 50 if field_mm >= 120 else 20 if field_mm >= 50 else 5
    length = length_mm / field_mm * width
    start, y = 0.04 * width, 0.955 * width
    axes.plot(
        [start, start + length], [y, y], color=_TEXT, linewidth=2, solid_capstyle="butt", scalex=False, scaley=False
    )
    _text(axes, 0.04, 0.06, f"{length_mm} mm", "left", "bottom")


def _draw_legend(figure: Any, drawn: set[int]) -> None:
    from matplotlib.lines import Line2D

    known = [region for region in anatomy.regions() if region.label in drawn]
    handles = [Line2D([], [], color=_unit(region.color), linewidth=3) for region in known]
    figure.legend(
        handles,
        [region.name for region in known],
        loc="lower center",
        ncols=len(known),
        frameon=False,
        labelcolor=_TEXT,
        fontsize=7,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.3,
    )
