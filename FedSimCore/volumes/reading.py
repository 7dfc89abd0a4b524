"""What every reader shares: limits, checks of content, and errors as sentences."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.volumes.grid import Grid

MAX_VOXELS = 2**30
"""Largest volume that is read (1024 voxels cubed, 4 GiB as float32); a damaged header can claim any size."""

_DEFLATE_LIMIT = 1032
"""No deflate stream expands by more than this factor (zlib's technical details, maximum compression)."""

_SPACING_LIMITS_MM = (0.01, 100.0)


class VolumeWarning(UserWarning):
    """A file was read, but something in it deserves a look; ``fedsim cohort check`` collects these."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a parser raises while it reads ``path`` into an :class:`InputError` of one sentence.

    Third-party parsers raise nearly anything on damaged files, so every Exception is caught here, and only here.
    """
    try:
        yield
    except FedSimError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except PermissionError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); check its permissions.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is truncated or damaged ({_line(error)}); copy or export it again.") from error
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory; crop it or use a larger machine.") from error
    except Exception as error:
        raise InputError(f"{path} cannot be read as {kind} ({_line(error)}); export it again.") from error


def _line(error: Exception) -> str:
    """Return the last line of an error's text, made printable: ITK's are pages, and quote bytes of the file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:200].rstrip(".")


def spatial_shape(path: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the three spatial sizes of a file's dimensions, dropping trailing ones (a single time point).

    Raises:
        InputError: the file is 2D, 4D, empty, or larger than ``MAX_VOXELS``.
    """
    sizes = [int(n) for n in shape]
    if any(n < 1 for n in sizes) or not sizes:
        raise InputError(f"{path} holds no voxels: its sizes are {tuple(sizes)}; export it again.")
    if any(n > 1 for n in sizes[3:]):
        raise InputError(
            f"{path} is {len(sizes)}D {tuple(sizes)}, a time series or several channels; export one 3D volume of it."
        )
    spatial = tuple(sizes[:3])
    if len(spatial) < 3 or min(spatial) < 2:
        raise InputError(f"{path} is 2D {spatial}; a heart needs a 3D volume with at least two slices along each axis.")
    voxels = spatial[0] * spatial[1] * spatial[2]
    if voxels > MAX_VOXELS:
        raise InputError(
            f"{path} claims {voxels:.3g} voxels {spatial}, more than the {MAX_VOXELS} that are read; crop it."
        )
    return spatial[0], spatial[1], spatial[2]


def check_file_can_hold(path: Path, claimed_bytes: int, compressed: bool) -> None:
    """Refuse a header that claims more data than its file can hold, before anything is allocated.

    Raises:
        InputError: the file is too short.
    """
    size = path.stat().st_size
    if claimed_bytes > size * (_DEFLATE_LIMIT if compressed else 1):
        raise InputError(
            f"{path} is truncated: its header claims {claimed_bytes} bytes of voxels, but the file has {size}; "
            "copy or export it again."
        )


def check_spacing(path: Path, grid: Grid) -> None:
    """Refuse voxel sizes that no scan of a person has; mostly these are metres or micrometres called millimetres.

    Raises:
        InputError: a spacing is below 0.01 mm or above 100 mm.
    """
    low, high = _SPACING_LIMITS_MM
    spacing = grid.spacing_mm
    if spacing.min() < low or spacing.max() > high:
        shown = " x ".join(f"{value:.3g}" for value in spacing)
        raise InputError(f"{path} has voxels of {shown} mm; the unit in its header is wrong, set it to millimetres.")


def check_image(path: Path, array: NDArray[np.float32]) -> None:
    """Refuse an image that holds no picture.

    Raises:
        InputError: voxels are NaN or infinite (counted), or all have the same value.
    """
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        raise InputError(
            f"{path} has {nan} NaN and {infinite} infinite voxels of {array.size}; replace them, e.g. by -1000 (air)."
        )
    if low == high:
        raise InputError(f"{path} is constant: every voxel is {low:g}; export the image again.")
