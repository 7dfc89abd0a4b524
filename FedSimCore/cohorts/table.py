"""``cohort.csv``, the table that maps images to labels, sites and splits.

Columns (only ``image`` or ``label`` is needed; the rest have the defaults of :class:`Case`): case, image, label,
site, modality, split, fold, scheme, group, series, center_mm, spacing_mm, hu_offset. Paths are relative to the
table's folder; three numbers in one cell are separated by spaces. Other columns are kept in ``Case.extra``.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path

TABLE_NAME = "cohort.csv"
COLUMNS = (
    "case",
    "image",
    "label",
    "site",
    "modality",
    "split",
    "fold",
    "scheme",
    "group",
    "series",
    "center_mm",
    "spacing_mm",
    "hu_offset",
)
_PATHS = ("image", "label")
_TRIPLES = ("center_mm", "spacing_mm")
_NAMED_SCHEMES = ("fedsim", "mmwhs", "imagechd")


def write_cohort(cohort: Cohort, path: Path) -> Path:
    """Write the table of a cohort, atomically.

    Args:
        cohort: the cases; files below the table's folder are named relative to it, others absolutely.
        path: a folder (the table becomes ``cohort.csv`` in it) or a ``.csv`` file.

    Returns:
        The table's path.

    Raises:
        DiskError: the table can't be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        path = path / TABLE_NAME
    rows = [_row(case, path.parent.resolve()) for case in cohort.cases]
    extras = sorted({column for case in cohort.cases for column in case.extra})
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *extras], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _row(case: Case, folder: Path) -> dict[str, str]:
    row = {"case": case.id, **case.extra}
    for column in COLUMNS[1:]:
        value = getattr(case, column)
        if value is None:
            row[column] = ""
        elif column in _PATHS or (column == "scheme" and value not in _NAMED_SCHEMES):
            row[column] = _relative(Path(value), folder)
        elif column in _TRIPLES:
            row[column] = " ".join(repr(float(number)) for number in value)
        else:
            row[column] = str(value)
    return row


def _relative(path: Path, folder: Path) -> str:
    # Not resolve(): a symbolic link inside the folder stays the user's link.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else absolute.as_posix()


def read_table(path: Path) -> Cohort:
    """Read ``cohort.csv``.

    Raises:
        InputError: the file is missing, not a CSV with a header, or a row can't be understood (named by its line).
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as UTF-8 text ({error}); save the table as CSV (UTF-8).") from error
    try:
        # Spreadsheets of some countries write semicolons.
        first = text.splitlines()[0] if text.strip() else ""
        reader = csv.DictReader(
            io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ","
        )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table ({error}); save it as CSV (UTF-8).") from error
    header = [str(name).strip() for name in reader.fieldnames or ()]
    if not {"image", "label"} & set(header):
        raise InputError(f"{path} has neither a column 'image' nor 'label'; its columns are {header or 'none'}.")
    if not rows:
        raise InputError(f"{path} lists no case; add one row per patient below the header.")
    cases = tuple(_case(path, line, row) for line, row in rows)
    try:
        return Cohort(name=path.resolve().parent.name or "cohort", cases=cases)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_reason(error)}; give every case its own id.") from error


def _case(path: Path, line: int, row: dict[str, Any]) -> Case:
    if None in row:
        raise InputError(f"{path}, line {line}: more cells than the header has columns; quote cells that hold commas.")
    cells = {name.strip(): (value or "").strip() for name, value in row.items()}
    values: dict[str, Any] = {"extra": {name: text for name, text in cells.items() if name not in COLUMNS}}
    values |= {name: text for name, text in cells.items() if name in COLUMNS[1:] and text}
    for name in set(_PATHS) & values.keys():
        values[name] = path.parent / values[name]
    for name in set(_TRIPLES) & values.keys():
        values[name] = tuple(values[name].replace(",", " ").split())
    if values.get("scheme", "fedsim") not in _NAMED_SCHEMES:
        values["scheme"] = str(path.parent / values["scheme"])
    try:
        return Case(id=cells.get("case") or _id_from(values), **values)
    except ValidationError as error:
        raise InputError(f"{path}, line {line}: {_first_reason(error)}; correct the row.") from error


def _id_from(values: dict[str, Any]) -> str:
    name = Path(values.get("image") or values.get("label") or "").name
    return name.split(".")[0]


def _first_reason(error: ValidationError) -> str:
    first = error.errors()[0]
    column = ".".join(str(part) for part in first["loc"][:1])
    reason = first["msg"].removeprefix("Value error, ")
    return f"{column} {first['input']!r}: {reason}" if column else reason
