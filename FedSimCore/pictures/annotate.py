"""Letters, captions and sheets of pictures, and PNG files (Pillow)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import MissingDependencyError
from FedSimCore.files import atomic_path
from FedSimCore.pictures.views import view

Picture = NDArray[np.uint8]
DARK = (18, 20, 24)
_TEXT = (222, 226, 230)


def pillow(module: str) -> ModuleType:
    """Import a module of Pillow.

    Raises:
        MissingDependencyError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise MissingDependencyError('Pictures need Pillow; run: pip install "fedsim[pictures]"') from error


def write_png(path: Path | str, picture: Picture) -> None:
    """Write a picture (height, width, 3 or 4) uint8 as PNG.

    Raises:
        MissingDependencyError: Pillow is not installed.
        DiskError: the file cannot be written.
    """
    with atomic_path(Path(path)) as temporary:
        pillow("Image").fromarray(picture).save(temporary, format="PNG")


def with_orientation(picture: Picture, view_name: str, color: tuple[int, int, int] = _TEXT) -> Picture:
    """Return the picture with letters at its sides that tell the patient's directions (R, L, A, P, S, I)."""
    height, width = picture.shape[:2]
    size = max(12, min(width, height) // 26)
    places = {
        "left": (size * 0.4, height / 2, "lm"),
        "right": (width - size * 0.4, height / 2, "rm"),
        "top": (width / 2, size * 0.4, "ma"),
        "bottom": (width / 2, height - size * 0.4, "md"),
    }
    texts = [(places[side], letters) for side, letters in view(view_name).letters().items()]
    return _with_texts(picture, texts, size, color)


def with_caption(picture: Picture, caption: str, color: tuple[int, int, int] = _TEXT) -> Picture:
    """Return the picture with a caption in its upper left corner."""
    size = max(13, min(picture.shape[:2]) // 22)
    return _with_texts(picture, [((size * 0.6, size * 0.5, "la"), caption)], size, color)


def sheet(pictures: Sequence[Sequence[Picture]], gap: int = 8, background: tuple[int, int, int] = DARK) -> Picture:
    """Lay pictures (rows of equal height) out on one sheet.

    Returns:
        (height, width, 3) uint8; transparent parts show the background.
    """
    rows = [_joined([_opaque(picture, background) for picture in row], gap, background, axis=1) for row in pictures]
    width = max(row.shape[1] for row in rows)
    return _joined([_padded(row, width, background) for row in rows], gap, background, axis=0)


def _with_texts(
    picture: Picture,
    texts: Sequence[tuple[tuple[float, float, str], str]],
    size: int,
    color: tuple[int, int, int],
) -> Picture:
    image = pillow("Image").fromarray(picture)
    draw = pillow("ImageDraw").Draw(image)
    font = pillow("ImageFont").load_default(size=size)
    for (x, y, anchor), text in texts:
        draw.text((x, y), text, fill=color if picture.shape[2] == 3 else (*color, 255), font=font, anchor=anchor)
    return np.asarray(image)


def _opaque(picture: Picture, background: tuple[int, int, int]) -> Picture:
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:] / 255.0
    return np.rint(picture[..., :3] * alpha + np.array(background) * (1 - alpha)).astype(np.uint8)


def _joined(pictures: Sequence[Picture], gap: int, background: tuple[int, int, int], axis: int) -> Picture:
    parts: list[Picture] = []
    for picture in pictures:
        shape = list(picture.shape)
        shape[axis] = gap
        parts += [picture, np.broadcast_to(np.array(background, dtype=np.uint8), shape)]
    return np.concatenate(parts[:-1], axis=axis)


def _padded(picture: Picture, width: int, background: tuple[int, int, int]) -> Picture:
    missing = width - picture.shape[1]
    left = np.broadcast_to(np.array(background, dtype=np.uint8), (picture.shape[0], missing // 2, 3))
    right = np.broadcast_to(np.array(background, dtype=np.uint8), (picture.shape[0], missing - missing // 2, 3))
    return np.concatenate((left, picture, right), axis=1)
