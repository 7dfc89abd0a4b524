"""Arrays between two processes: one raw file each, in a folder of their own, removed by whoever reads it.

Files instead of ``multiprocessing.shared_memory``: that lives only as long as a process has it open on Windows, and
its resource tracker, a third process, removes or leaks it when one side is killed. A file just written is in the
page cache, so a 128 cubed label map (2 MB) is read in under a millisecond.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors
from FedSimCore.worker.protocol import ArrayFile

PREFIX = "fedsim-worker-"
"""Exchange folders in the system's temporary folder begin so."""


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArrayFile]:
    """Write arrays and return where they are.

    Raises:
        DiskError: the temporary folder is full or refuses.
        InputError: an array is of a type that has no place in the protocol.
    """
    return {name: _write(folder, name, array) for name, array in arrays.items()}


def read_arrays(folder: Path, files: Mapping[str, ArrayFile]) -> dict[str, NDArray[Any]]:
    """Read arrays into memory and remove their files.

    Raises:
        InputError: a file is missing or has another size than told.
    """
    try:
        return {name: _read(folder / entry.file, entry) for name, entry in files.items()}
    finally:
        remove_arrays(folder, files)


def remove_arrays(folder: Path, files: Mapping[str, ArrayFile]) -> None:
    """Remove the files of arrays that nobody wants any more."""
    for entry in files.values():
        (folder / entry.file).unlink(missing_ok=True)


def _write(folder: Path, name: str, array: NDArray[Any]) -> ArrayFile:
    entry = ArrayFile.model_construct(
        file=f"{name}-{secrets.token_hex(8)}.raw", dtype=array.dtype.name, shape=array.shape
    )
    try:
        entry = ArrayFile.model_validate(entry.model_dump())
    except ValueError as error:
        raise InputError(f"The array {name!r} ({array.dtype}) cannot be handed over; convert it to float32.") from error
    path = folder / entry.file
    with disk_errors(path):
        np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tofile(path)
    return entry


def _read(path: Path, entry: ArrayFile) -> NDArray[Any]:
    try:
        array = np.fromfile(path, dtype=np.dtype(entry.dtype).newbyteorder("<"))
    except OSError as error:
        raise InputError(f"The array file {path} is gone ({error.strerror}); ask for it again.") from error
    if array.nbytes != entry.nbytes:
        raise InputError(f"The array file {path} has {array.nbytes} bytes instead of {entry.nbytes}; ask again.")
    return array.reshape(entry.shape)
