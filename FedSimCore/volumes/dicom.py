"""DICOM series in a folder or a zip, through SimpleITK (GDCM).

The affine is built here from each slice's position, not taken from ITK's series reader: that one measures only the
first gap, so a missing slice shifts the rest of the patient, and it has no place for a tilted gantry's shear.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.files import disk_errors
from FedSimCore.volumes.dicom_elements import announces_a_slice, check_lengths, is_dicom_file
from FedSimCore.volumes.grid import Grid
from FedSimCore.volumes.reading import reading, spatial_shape
from FedSimCore.volumes.volume import Volume

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_GAP_TOLERANCE = 0.05
"""How far, in slice distances, a slice may lie from where equal spacing puts it."""
_MAX_ZIP_BYTES = 4 * 2**30
_MAX_ZIP_FILES = 20_000

_POSITION, _ORIENTATION, _PIXEL_SPACING = "0020|0032", "0020|0037", "0028|0030"
_SUFFIXES = (".dcm", ".ima")
_SERIES = "0020|000e"
_FRAMES, _DESCRIPTION = "0028|0008", "0008|103e"


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str
    size: tuple[int, int]
    position: NDArray[np.float64]  # LPS mm of the first pixel's centre
    axes: NDArray[np.float64]  # (2, 3): LPS directions of growing column and row index
    spacing: tuple[float, float]  # mm between columns, between rows


def read_dicom(path: Path, series: str | None = None) -> Volume:
    """Read a DICOM series in HU (CT) or stored units (MR) as float32.

    Args:
        path: a folder with the files of one study, searched without its subfolders, or a zip of such files.
        series: SeriesInstanceUID; needed where there are several series that make a volume.

    Raises:
        InputError: there is no series that makes a volume, or several and none was chosen; slices are missing, repeated
            or not parallel; a file is damaged; a single 2D or multi-frame file was given.
    """
    with reading(path, "DICOM"), _quiet():
        if path.is_dir():
            return _read_folder(path, path, series)
        if zipfile.is_zipfile(path):
            with _unzipped(path) as folder:
                return _read_folder(path, folder, series)
        if not is_dicom_file(path):
            raise InputError(f"{path} is neither a zip archive nor a DICOM file; copy or export it again.")
        check_lengths(path)
        frames = _tags(path).get(_FRAMES, "1").strip()
        if frames not in ("", "1"):
            raise InputError(
                f"{path} is one multi-frame DICOM file of {frames} frames; convert it to NIfTI (e.g. with dcm2niix)."
            )
        raise InputError(f"{path} is a single 2D DICOM image; give the folder that holds all slices of its series.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK's warnings off standard error; what they warn of is checked here."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def _unzipped(path: Path) -> Iterator[Path]:
    """Give a temporary folder with the files of a zip under names of ours, so that none can leave the folder."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix="fedsim-dicom-") as name:
        # macOS adds a hidden twin ("._name") of every file.
        members = [
            info for info in archive.infolist() if not info.is_dir() and not _plain(info.filename).startswith(".")
        ]
        if len(members) > _MAX_ZIP_FILES or sum(info.file_size for info in members) > _MAX_ZIP_BYTES:
            raise InputError(
                f"{path} unpacks to more than 4 GiB or 20000 files; unpack it and give one series' folder."
            )
        for number, info in enumerate(members):
            # zipfile stops at the size the directory states, so a lying entry can't grow beyond the sum checked above.
            unpacked = Path(name) / f"{number}_{_plain(info.filename)}"
            with disk_errors(unpacked), archive.open(info) as source, unpacked.open("wb") as target:
                shutil.copyfileobj(source, target)
        yield Path(name)


def _plain(name: str) -> str:
    """Return the last part of a zip member's name, in letters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rsplit("/", 1)[-1])[-100:]


def _read_folder(shown: Path, folder: Path, series: str | None) -> Volume:
    """Read the chosen series of ``folder``; messages name ``shown``, what the user gave."""
    found = _series(folder)
    if series is not None and series not in found:
        raise InputError(f"{shown} has no series {series} that makes a volume; it has {_listed(found)}.")
    if not found:
        raise InputError(f"{shown} holds no DICOM series of two or more slices; give the folder with the .dcm files.")
    if series is None and len(found) > 1:
        raise InputError(f"{shown} holds {len(found)} series, choose one by its UID: {_listed(found)}.")
    slices = found[series if series is not None else next(iter(found))]
    grid, ordered = _geometry(shown, slices)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)  # after GDCM has applied each slice's own rescale slope and intercept
    reader.SetFileNames([str(item.path) for item in ordered])
    array = sitk.GetArrayFromImage(reader.Execute()).T
    return Volume(array, grid)


def _series(folder: Path) -> dict[str, list[_Slice]]:
    """Return the slices of every series that has at least two with a place in the world."""
    found: dict[str, list[_Slice]] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        if not is_dicom_file(path):
            if path.suffix.lower() in _SUFFIXES:
                raise InputError(f"{path} is no DICOM file; restore it or remove it from the folder.")
        else:
            item = _slice(path)
            if item is not None:
                found.setdefault(item.series, []).append(item)
    return {uid: slices for uid, slices in found.items() if len(slices) > 1}


def _listed(found: dict[str, list[_Slice]]) -> str:
    named = []
    for uid, slices in found.items():
        description = _tags(slices[0].path).get(_DESCRIPTION, "").strip() or "no description"
        named.append(f"{uid} ({len(slices)} slices, {description})")
    return "; ".join(named) or "none"


def _tags(path: Path) -> dict[str, str]:
    reader = _header_reader(path)
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def _header_reader(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _slice(path: Path) -> _Slice | None:
    """Return where a file's slice lies; None for objects that have no place (reports, plans, multi-frame files)."""
    check_lengths(path)
    try:
        reader = _header_reader(path)
    except RuntimeError as error:
        if announces_a_slice(path):
            raise InputError(f"{path} is a damaged DICOM slice; restore it or remove it from the folder.") from error
        return None
    if not all(reader.HasMetaDataKey(key) for key in (_SERIES, _POSITION, _ORIENTATION, _PIXEL_SPACING)):
        return None
    try:
        numbers = [
            np.array([float(text) for text in reader.GetMetaData(key).split("\\")])
            for key in (_POSITION, _ORIENTATION, _PIXEL_SPACING)
        ]
    except ValueError:
        numbers = []
    if [len(values) for values in numbers] != [3, 6, 2] or not all(np.isfinite(values).all() for values in numbers):
        raise InputError(f"{path} has an unreadable position, orientation or pixel spacing; export the series again.")
    position, orientation, (between_rows, between_columns) = numbers
    columns, rows = reader.GetSize()[:2]
    uid = "".join(c for c in reader.GetMetaData(_SERIES) if c.isdigit() or c == ".")
    return _Slice(
        path, uid, (columns, rows), position, orientation.reshape(2, 3), (float(between_columns), float(between_rows))
    )


def _geometry(shown: Path, slices: list[_Slice]) -> tuple[Grid, list[_Slice]]:
    """Return the grid of a stack of slices and the slices in its order (along the normal of the images)."""
    first = slices[0]
    for item in slices:
        same_plane = np.allclose(item.axes, first.axes, atol=1e-3) and np.allclose(
            item.spacing, first.spacing, rtol=1e-3
        )
        if item.size != first.size or not same_plane:
            raise InputError(
                f"{shown}: not all slices of the series have one size and orientation; choose another series."
            )
    normal = np.cross(first.axes[0], first.axes[1])
    ordered = sorted(slices, key=lambda item: float(item.position @ normal))
    positions = np.array([item.position for item in ordered])
    gaps = np.diff(positions @ normal)
    if gaps.min() < 1e-3:
        raise InputError(f"{shown} has several images at one position (a time series?); keep one phase in the folder.")
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    expected = positions[0] + np.arange(len(ordered))[:, None] * step
    if np.linalg.norm(positions - expected, axis=1).max() > _GAP_TOLERANCE * np.linalg.norm(step):
        raise InputError(
            f"{shown}: slice distances vary from {gaps.min():.2f} to {gaps.max():.2f} mm, so slices are missing or "
            "uneven; restore the missing files or resample the series."
        )
    affine = np.eye(4)
    affine[:3, 0] = _LPS_TO_RAS * first.axes[0] * first.spacing[0]
    affine[:3, 1] = _LPS_TO_RAS * first.axes[1] * first.spacing[1]
    affine[:3, 2] = _LPS_TO_RAS * step
    affine[:3, 3] = _LPS_TO_RAS * positions[0]
    return Grid(spatial_shape(shown, (*first.size, len(ordered))), affine), ordered
