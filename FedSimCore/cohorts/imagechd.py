"""The two tables beside ImageCHD's volumes: diagnoses, and the voxel sizes that its NIfTI files lost.

As distributed, ImageCHD's files have a spacing of 1 x 1 x 1 with unknown unit, and voxels from 0 to 4095, i.e.
without the rescale intercept of -1024. The true spacing stands in ``imagechd_dataset_image_info``, in one row of words
and numbers per case (``idx`` n ``PixelSpacing`` a b ``calculate_z_thick`` c), where n + 1000 is the number in the
file's name. The diagnoses stand in ``imageCHD_dataset_info``, one row per case number and one column per diagnosis,
marked by 1. Observed by others who audited the release; the authors document neither.
"""

from __future__ import annotations

import csv
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from FedSimCore.errors import InputError
from FedSimCore.volumes.reading import VolumeWarning, reading

_DIAGNOSES = "imagechd_dataset_info"
_GEOMETRY = "imagechd_dataset_image_info"
_LOST = {_DIAGNOSES: "diagnoses", _GEOMETRY: "voxel sizes"}
_FIRST_NUMBER = 1000
_NOT_DIAGNOSES = {"IGNORED", "ONLYFIRST8", "FIRST8+MORE", "UNKNOWN", ""}

Cell = str | float | None


@dataclass(frozen=True)
class ImageCHDTables:
    """What the tables say of each case number (1001, ...).

    Attributes:
        diagnosis: e.g. ``"ASD+VSD"``.
        spacing_mm: along i, j, k.
    """

    diagnosis: dict[int, str] = field(default_factory=dict)
    spacing_mm: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> ImageCHDTables:
        """Read the tables from a folder or the one above it; CSV always, XLSX where openpyxl is installed.

        Raises:
            InputError: a table is damaged.

        Warns:
            VolumeWarning: a table is missing, or is XLSX and openpyxl isn't there.
        """
        return cls(_diagnoses(_rows(folder, _DIAGNOSES)), _spacings(_rows(folder, _GEOMETRY)))


def _rows(folder: Path, name: str) -> list[list[Cell]]:
    places = (folder, folder.resolve().parent)
    found = [item for place in places for item in sorted(place.iterdir()) if item.stem.lower() == name]
    tables = [item for suffix in (".csv", ".xlsx") for item in found if item.suffix.lower() == suffix]
    for table in tables:
        if table.suffix.lower() == ".csv":
            return _csv_rows(table)
        try:
            import openpyxl  # only this data set needs it
        except ImportError:
            continue
        with reading(table, "an Excel workbook"):
            sheet = openpyxl.load_workbook(table, read_only=True, data_only=True).worksheets[0]
            return [list(row) for row in sheet.iter_rows(values_only=True)]
    what = (
        f"{tables[0]} needs openpyxl; install it or save the table as CSV"
        if tables
        else f"{folder} has no {name} table"
    )
    warnings.warn(f"{what}; without it ImageCHD's {_LOST[name]} are unknown.", VolumeWarning, stacklevel=2)
    return []


def _csv_rows(table: Path) -> list[list[Cell]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return [list(row) for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is not readable as CSV ({error}); save the table as CSV (UTF-8) again.") from error


def _diagnoses(rows: list[list[Cell]]) -> dict[int, str]:
    header: list[str] = []
    found: dict[int, str] = {}
    for row in rows:
        number = _number(row[0]) if row else None
        if number is None:
            header = [str(cell or "").strip() for cell in row] if not found else header
            continue
        marked = [name for name, cell in zip(header[1:], row[1:], strict=False) if _number(cell) == 1]
        found[int(number)] = "+".join(name for name in marked if name.upper() not in _NOT_DIAGNOSES)
    return found


def _spacings(rows: list[list[Cell]]) -> dict[int, tuple[float, float, float]]:
    found = {}
    for row in rows:
        numbers = _numbers_by_name(row)
        spacing = [*numbers.get("pixelspacing", [])[:2], *numbers.get("calculate_z_thick", [])[:1]]
        if len(spacing) == 3 and min(spacing) > 0 and "idx" in numbers:
            between_rows, between_columns, between_slices = spacing  # DICOM's order: rows, i.e. along j, first
            found[int(numbers["idx"][0]) + _FIRST_NUMBER] = (between_columns, between_rows, between_slices)
    return found


def _numbers_by_name(row: list[Cell]) -> dict[str, list[float]]:
    """Return the numbers that follow each word in a row."""
    named: dict[str, list[float]] = {}
    name = ""
    for cell in row:
        number = _number(cell)
        if number is None:
            name = str(cell or "").strip().lower()
        else:
            named.setdefault(name, []).append(number)
    return named


def _number(cell: Cell) -> float | None:
    try:
        number = float(str(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
