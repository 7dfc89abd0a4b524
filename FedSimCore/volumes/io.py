"""Reading and writing of images and label maps; everything comes out in RAS millimetres.

Formats: NIfTI-1/2 (``.nii``, ``.nii.gz``; NiBabel), NRRD (``.nrrd``; SimpleITK), and, for reading, a DICOM series as a
folder or a zip (SimpleITK with GDCM).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.volumes.dicom import read_dicom
from FedSimCore.volumes.dicom_elements import is_dicom_file
from FedSimCore.volumes.labels import Scheme, count_values, translate
from FedSimCore.volumes.nifti import nifti_bits, read_nifti, write_nifti
from FedSimCore.volumes.nrrd import nrrd_bits, read_nrrd, write_nrrd
from FedSimCore.volumes.reading import check_image, check_spacing, reading
from FedSimCore.volumes.volume import Volume

SUFFIXES = (".nii", ".nii.gz", ".nrrd")
"""What files of volumes end in; DICOM series are folders or ``.zip``."""


def read_volume(path: Path, series: str | None = None) -> Volume:
    """Read an image.

    Args:
        path: NIfTI or NRRD file, folder or zip with a DICOM series.
        series: DICOM SeriesInstanceUID, where the folder holds several series.

    Returns:
        The image in float32, rescaled (HU for CT), with its grid in RAS mm.

    Raises:
        InputError: the file is missing, truncated, damaged, of another format, 2D or 4D, in colour, constant, has NaN
            or infinite voxels, impossible spacing or an affine that can't be inverted.

    Warns:
        VolumeWarning: its place in the world is ambiguous.
    """
    path = Path(path)
    volume = _read(path, series)
    array = volume.array.astype(np.float32, copy=not volume.array.flags.writeable)
    check_spacing(path, volume.grid)
    check_image(path, array)
    return Volume(array, volume.grid)


def read_label_map(path: Path, scheme: Scheme = "fedsim") -> Volume:
    """Read a label map into FedSim's labels.

    Args:
        path: NIfTI or NRRD file of whole numbers.
        scheme: what the file's values stand for, see ``volumes.labels``.

    Returns:
        The label map in uint8, 0 background and 1 to 7 as ``anatomy.regions()``, with its grid in RAS mm.

    Raises:
        InputError: as :func:`read_volume`; or values aren't whole, aren't known to the scheme (named, with their
            counts), or none stands for a region.
    """
    path = Path(path)
    volume = _read(path, None)
    check_spacing(path, volume.grid)
    return Volume(translate(volume.array, scheme, str(path)), volume.grid)


def count_file_labels(path: Path) -> dict[int, int]:
    """Return how many voxels of a label file have each of its own values.

    Raises:
        InputError: the file can't be read or its values aren't whole.
    """
    return count_values(_read(Path(path), None).array, str(path))


def has_eight_bit_voxels(path: Path) -> bool:
    """Tell from the header alone whether a NIfTI or NRRD file stores eight bits a voxel, as label maps mostly do.

    Raises:
        InputError: the header can't be read.
    """
    with reading(path, "a volume"):
        bits = nrrd_bits(path) if path.name.lower().endswith(".nrrd") else nifti_bits(path)
    return bits == 8


def _read(path: Path, series: str | None) -> Volume:
    name = path.name.lower()
    with reading(path, "a volume"):
        if path.is_dir() or name.endswith(".zip"):
            return read_dicom(path, series)
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty; copy or export it again.")
        if name.endswith((".nii", ".nii.gz")):
            return read_nifti(path)
        if name.endswith(".nrrd"):
            return read_nrrd(path)
        if is_dicom_file(path):
            return read_dicom(path, series)
    raise InputError(f"{path} has no known format; give {', '.join(SUFFIXES)}, or a folder or zip of DICOM files.")


def write_volume(volume: Volume, path: Path, dtype: Literal["float32", "int16"] = "float32") -> None:
    """Write an image as NIfTI or NRRD, atomically.

    Args:
        volume: the image, e.g. in HU.
        path: ends in ``.nii``, ``.nii.gz`` or ``.nrrd``.
        dtype: ``"int16"`` rounds to whole HU, a half to the nearest even.

    Raises:
        InputError: the ending is unknown, voxels aren't finite, or don't fit into int16.
        DiskError: the file can't be written.
    """
    array = np.asarray(volume.array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{path} was not written: {int((~np.isfinite(array)).sum())} voxels are NaN or infinite.")
    if dtype == "int16":
        limits = np.iinfo(np.int16)
        if array.min() < limits.min or array.max() > limits.max:
            raise InputError(
                f"{path} was not written: values from {array.min():g} to {array.max():g} exceed int16; write float32."
            )
        _write(Volume(np.rint(array).astype(np.int16), volume.grid), Path(path))
    else:
        _write(Volume(array, volume.grid), Path(path))


def write_label_map(label_map: Volume, path: Path) -> None:
    """Write a label map (uint8, FedSim's labels) as NIfTI or NRRD, atomically.

    Raises:
        InputError: the ending is unknown, or values other than 0 to 7 occur (named, with their counts).
        DiskError: the file can't be written.
    """
    known = {anatomy.BACKGROUND, *anatomy.labels()}
    strange = {value: count for value, count in count_values(label_map.array).items() if value not in known}
    if strange:
        raise InputError(f"{path} was not written: these values (and their voxels) are no labels of ours: {strange}.")
    _write(Volume(label_map.array.astype(np.uint8), label_map.grid), Path(path))


def _write(volume: Volume, path: Path) -> None:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        write_nifti(volume, path)
    elif name.endswith(".nrrd"):
        write_nrrd(volume, path)
    else:
        raise InputError(f"{path} can't be written: its name must end in one of {', '.join(SUFFIXES)}.")
