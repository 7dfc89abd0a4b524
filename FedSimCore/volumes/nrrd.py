"""NRRD files (``.nrrd``): read through SimpleITK, which gives LPS, and written in RAS."""

from __future__ import annotations

import gzip
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.reading import VolumeWarning, check_file_can_hold, reading, spatial_shape
from FedSimCore.volumes.volume import Volume

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM_PER_UNIT = {"mm": 1.0, "": 1.0, "???": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "µm": 0.001}
# NRRD has many names for a type, e.g. "unsigned short", "ushort", "uint16", "uint16_t".
_BYTES = {"char": 1, "uchar": 1, "int8": 1, "uint8": 1, "short": 2, "ushort": 2, "int16": 2, "uint16": 2}
_BYTES |= {"int": 4, "uint": 4, "int32": 4, "uint32": 4, "float": 4}
_BYTES |= {"long long": 8, "ulong long": 8, "int64": 8, "uint64": 8, "double": 8}
_LEVEL = 4
_LONGEST_HEADER = 1 << 20


def read_nrrd(path: Path) -> Volume:
    """Read a NRRD file in the file's dtype.

    Raises:
        InputError: the file is missing, truncated, damaged, detached, not scalar 3D, or its affine can't be inverted.

    Warns:
        VolumeWarning: the header has no ``space`` or no ``space directions``, so ITK's guess is taken.
    """
    with reading(path, "NRRD"):
        fields = _header(path)
        _check_claims(path, fields)
        if not {"space", "space directions"} <= fields.keys():
            warnings.warn(
                f"{path} does not say how its axes lie in the patient; ITK's guess is taken (LPS), check left and "
                "right and the voxel size.",
                VolumeWarning,
                stacklevel=2,
            )
        reader = sitk.ImageFileReader()
        reader.SetImageIO("NrrdImageIO")
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise InputError(f"{path} has {reader.GetNumberOfComponents()} values a voxel; export a scalar image.")
        spatial_shape(path, reader.GetSize())
        image = reader.Execute()
        volume = from_itk(image if image.GetDimension() == 3 else image[:, :, :, 0])
        scale = _length_unit(path, fields)
        affine = volume.grid.affine.copy()
        affine[:3] *= scale
        return Volume(volume.array, Grid(volume.grid.shape, affine))


def nrrd_bits(path: Path) -> int:
    """Return how many bits the file stores per voxel."""
    return 8 * _bytes_per_voxel(_header(path))


def _bytes_per_voxel(fields: dict[str, str]) -> int:
    kind = fields.get("type", "").replace("unsigned ", "u").replace("signed ", "")
    return _BYTES.get(kind.removesuffix("_t"), 1)


def _header(path: Path) -> dict[str, str]:
    """Return the fields of the header, names in lower case."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
    if not start.startswith(b"NRRD000"):
        raise InputError(
            f"{path} is {'empty' if not start else 'not a NRRD file'}; check its extension or copy it again."
        )
    text = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0].decode("latin-1")
    pairs = (line.split(":", 1) for line in text.splitlines()[1:] if ":" in line and not line.startswith("#"))
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _check_claims(path: Path, fields: dict[str, str]) -> None:
    """Refuse impossible sizes before ITK allocates what the header claims."""
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{path} keeps its voxels in another file; save it with an attached header (.nrrd).")
    if "sizes" not in fields:
        raise InputError(f"{path} ends within its header; copy or export it again.")
    sizes = [int(size) for size in fields["sizes"].split()]
    if len(sizes) > 4 or (len(sizes) == 4 and 1 not in (sizes[0], sizes[3])):
        raise InputError(
            f"{path} is {len(sizes)}D {tuple(sizes)}, several channels or layers; export one 3D volume of it."
        )
    shape = spatial_shape(path, sizes[1:] if len(sizes) == 4 and sizes[0] == 1 else sizes)
    claimed = shape[0] * shape[1] * shape[2] * _bytes_per_voxel(fields)
    check_file_can_hold(path, claimed, compressed=fields.get("encoding", "") not in ("raw", "txt", "text", "ascii"))


def _length_unit(path: Path, fields: dict[str, str]) -> float:
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", "")))
    if len(units) > 1 or not units <= _MM_PER_UNIT.keys():
        raise InputError(f"{path} gives its lengths in {sorted(units)}; convert them to millimetres.")
    return _MM_PER_UNIT[units.pop()] if units else 1.0


def write_nrrd(volume: Volume, path: Path, pairs: Mapping[str, str] | None = None) -> None:
    """Write a volume of uint8, int16 or float32, packed with gzip; the same volume gives the same bytes.

    The file is put together here because ITK's writer overlooks a disk that fills up at its last flush and leaves half
    a file without a word.

    Args:
        volume: what to write.
        path: where to.
        pairs: NRRD's key/value pairs, which hold what the format itself has no field for.

    Raises:
        DiskError: the file can't be written.
    """
    directions = ["(" + ",".join(repr(float(x)) for x in column) + ")" for column in volume.grid.affine[:3].T]
    header = (
        "NRRD0004",
        f"type: {volume.array.dtype.name.replace('float32', 'float')}",
        "dimension: 3",
        "space: right-anterior-superior",
        "sizes: {} {} {}".format(*volume.grid.shape),
        "space directions: {} {} {}".format(*directions[:3]),
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        'space units: "mm" "mm" "mm"',
        f"space origin: {directions[3]}",
        *(f"{key}:={value}" for key, value in (pairs or {}).items()),
    )
    voxels = volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    with atomic_path(path) as temporary:
        temporary.write_bytes("\n".join(header).encode() + b"\n\n" + gzip.compress(voxels, _LEVEL, mtime=0))


def from_itk(image: sitk.Image) -> Volume:
    """Return a 3D SimpleITK image as a volume (LPS to RAS, array axes i, j, k)."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    array: NDArray[Any] = sitk.GetArrayFromImage(image).T
    return Volume(array, Grid((array.shape[0], array.shape[1], array.shape[2]), _RAS_FROM_LPS @ affine))
