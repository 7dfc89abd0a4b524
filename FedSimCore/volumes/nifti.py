"""NIfTI-1 and NIfTI-2 files (``.nii``, ``.nii.gz``)."""

from __future__ import annotations

import gzip
import logging
import struct
import warnings
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.reading import VolumeWarning, check_file_can_hold, reading, spatial_shape
from FedSimCore.volumes.volume import Volume

_Stream = IO[bytes] | gzip.GzipFile

_MM_PER_UNIT = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}
_SCANNER = 1
"""NIfTI's code for coordinates of the scanner."""

# NiBabel tells of every header field that it mends; the ones that matter to us are checked here.
_silent = logging.getLogger("FedSimCore.nibabel")
_silent.disabled = True


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI file; scaled values are float32, unscaled ones keep the file's dtype.

    The sform places the volume where its code is set, else the qform (NiBabel's rule). A stored unit of metres or
    micrometres is converted to millimetres; an unknown unit is taken as millimetres.

    Raises:
        InputError: the file is missing, truncated, damaged, not scalar 3D, or its affine can't be inverted.

    Warns:
        VolumeWarning: qform and sform disagree, or neither is set.
    """
    with reading(path, "NIfTI"):
        with _opened(path) as stream:
            header = _header(path, stream)
            shape = spatial_shape(path, header.get_data_shape())
            grid = Grid(shape, _affine(path, header))
            array = _voxels(path, stream, header, shape)
        return Volume(array, grid)


def nifti_bits(path: Path) -> int:
    """Return how many bits the file stores per voxel."""
    with _opened(path) as stream:
        return int(_header(path, stream).get_data_dtype().itemsize) * 8


def _opened(path: Path) -> _Stream:
    """Open a file, unpacking it if it is gzip, whatever its name says."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")


def _header(path: Path, stream: _Stream) -> Any:
    start = stream.read(4)
    if len(start) < 4:
        raise InputError(f"{path} is empty or ends within its header; copy or export it again.")
    sizes = {struct.unpack(order + "i", start)[0] for order in "<>"}
    header_class = nib.Nifti1Header if 348 in sizes else nib.Nifti2Header if 540 in sizes else None
    if header_class is None:
        raise InputError(f"{path} is not a NIfTI file; check its extension.")
    stream.seek(0)
    if len(stream.read(header_class.template_dtype.itemsize)) < header_class.template_dtype.itemsize:
        raise InputError(f"{path} ends within its header; copy or export it again.")
    stream.seek(0)
    header = header_class.from_fileobj(stream, check=False)
    if bytes(header["magic"])[:3] != b"n+1":
        raise InputError(f"{path} is not a single NIfTI file (.nii); convert .hdr/.img pairs to .nii.gz.")
    header.check_fix(logger=_silent)
    return header


def _affine(path: Path, header: Any) -> NDArray[np.float64]:
    unit = header.get_xyzt_units()[0]
    if unit not in _MM_PER_UNIT:
        raise InputError(f"{path} gives its lengths in {unit!r}; convert them to millimetres.")
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is None and qform is None:
        warnings.warn(
            f"{path} sets neither qform nor sform, so nothing says where left is; it is read as NiBabel does "
            "(x to the left), check it and set the sform.",
            VolumeWarning,
            stacklevel=2,
        )
    affine: NDArray[np.float64] = np.array(header.get_best_affine(), dtype=np.float64)
    if sform is not None and qform is not None:
        apart = _largest_distance(sform, qform, header.get_data_shape()[:3]) * _MM_PER_UNIT[unit]
        if not apart <= max(0.1 * _MM_PER_UNIT[unit] * float(np.abs(header.get_zooms()[:3]).min()), 1e-3):
            warnings.warn(
                f"{path}: qform and sform put a corner {apart:.1f} mm apart and other programs may choose "
                "the other one; the sform is used.",
                VolumeWarning,
                stacklevel=2,
            )
    affine[:3] *= _MM_PER_UNIT[unit]
    return affine


def _largest_distance(one: NDArray[Any], other: NDArray[Any], shape: tuple[int, ...]) -> float:
    corners = np.stack(np.meshgrid(*[(0.0, n - 1.0) for n in shape], [1.0], indexing="ij"), -1).reshape(-1, 4)
    return float(np.linalg.norm(corners @ (one - other)[:3].T, axis=1).max())


def _voxels(path: Path, stream: _Stream, header: Any, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InputError(f"{path} holds {dtype} voxels (colour or complex); export a scalar image.")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    check_file_can_hold(path, size, isinstance(stream, gzip.GzipFile))
    stream.seek(int(header.get_data_offset()))
    data = stream.read(size)
    if len(data) < size:
        raise InputError(f"{path} is truncated: {len(data)} of {size} bytes of voxels; copy or export it again.")
    while stream.read(1 << 20):  # to the end, where gzip compares its checksum
        pass
    array: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape, order="F")
    slope, intercept = header.get_slope_inter()
    if slope is None or (slope == 1 and intercept == 0):
        return array.astype(dtype.newbyteorder("="), copy=not dtype.isnative)
    return array.astype(np.float32) * np.float32(slope) + np.float32(intercept or 0)


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a volume in its own dtype with sform and qform set; the qform is left out where the affine is sheared.

    Raises:
        DiskError: the file can't be written.
    """
    affine = volume.grid.affine
    image = nib.Nifti1Image(volume.array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, _SCANNER)
    axes = affine[:3, :3] / volume.grid.spacing_mm
    rigid = np.abs(axes.T @ axes - np.eye(3)).max() < 1e-5
    image.set_qform(affine if rigid else None, _SCANNER if rigid else 0)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
