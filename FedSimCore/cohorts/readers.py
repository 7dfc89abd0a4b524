"""Cohorts from folders: MM-WHS and ImageCHD as distributed, ``cohort.csv``, and files matched by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from FedSimCore.cohorts.case import Case, Cohort, Modality
from FedSimCore.cohorts.imagechd import ImageCHDTables
from FedSimCore.cohorts.table import TABLE_NAME, read_table
from FedSimCore.errors import InputError
from FedSimCore.volumes.dicom_elements import is_dicom_file
from FedSimCore.volumes.io import has_eight_bit_voxels

_MMWHS = re.compile(
    r"(?P<id>(?P<modality>ct|mr)_(?:train|test)_\d+)_(?P<role>image|label)\.nii(?:\.gz)?", re.IGNORECASE
)
_IMAGECHD = re.compile(r"(?P<id>ct_\d{4})_(?P<role>image|label)\.nii(?:\.gz)?", re.IGNORECASE)
_IMAGECHD_OFFSET_HU = -1024.0
_MMWHS_SITES = {"ct": "CT20", "mr": "MR20"}

_VOLUME = re.compile(r"(?P<stem>.+?)(?:\.nii|\.nii\.gz|\.nrrd)", re.IGNORECASE)
_LABEL_END = re.compile(r"[._-](labels?|seg|segmentation|masks?|gt)$", re.IGNORECASE)
_IMAGE_END = re.compile(r"[._-](image|img|ct|mr|scan|0000)$", re.IGNORECASE)
_LABEL_FOLDER = re.compile(r"(labels?|seg|segmentations|masks?).*", re.IGNORECASE)
_IMAGE_FOLDER = re.compile(r"(images?|scans?).*", re.IGNORECASE)


def read_cohort(path: Path) -> Cohort:
    """Read a cohort.

    Args:
        path: ``cohort.csv`` or another table of its form; or a folder that holds ``cohort.csv``; or MM-WHS as
            distributed (``ct_train_1001_image.nii.gz``, ``..._label.nii.gz``, ``mr_...``, ``ct_test_...``, in one
            folder or its subfolders); or ImageCHD as distributed (``ct_1001_image.nii.gz``, ...; see
            :mod:`.imagechd`); or any folder of NIfTI and NRRD files and of folders with a DICOM series, matched by
            name (see docs/data.md).

    Returns:
        The cases, ordered by id (a table's own order is kept). No volume is opened.

    Raises:
        InputError: there is nothing at ``path``, or nothing that is a cohort, or the table can't be understood.
    """
    path = Path(path)
    if path.is_file():
        return read_table(path)
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give a folder of volumes or a cohort.csv.")
    if (path / TABLE_NAME).is_file():
        return read_table(path / TABLE_NAME)
    files = _files(path)
    for pattern, make in ((_MMWHS, _mmwhs_cases), (_IMAGECHD, _imagechd_cases)):
        paired = _paired(files, pattern)
        if paired:
            cases = make(path, paired)
            break
    else:
        cases = _cases_by_name(path, files)
    if not cases:
        raise InputError(
            f"{path} holds no cohort: neither {TABLE_NAME}, nor NIfTI or NRRD files, nor folders of DICOM files."
        )
    return Cohort(name=path.resolve().name or "cohort", cases=tuple(sorted(cases, key=lambda case: case.id)))


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and of its subfolders, two levels deep, hidden ones left out."""
    found = [item for depth in ("*", "*/*", "*/*/*") for item in folder.glob(depth) if item.is_file()]
    return sorted(item for item in found if not any(part.startswith(".") for part in item.relative_to(folder).parts))


def _paired(files: Iterable[Path], pattern: re.Pattern[str]) -> dict[str, dict[str, Path]]:
    """Return id to {"image": path, "label": path} of the files whose whole name matches."""
    cases: dict[str, dict[str, Path]] = {}
    for file in files:
        match = pattern.fullmatch(file.name)
        if match:
            _place(cases, match["id"].lower(), match["role"].lower(), file)
    return cases


def _place(cases: dict[str, dict[str, Path]], case_id: str, role: str, file: Path) -> None:
    other = cases.setdefault(case_id, {}).setdefault(role, file)
    if other != file:
        raise InputError(f"{other} and {file} are both the {role} of {case_id}; keep one or write a {TABLE_NAME}.")


def _mmwhs_cases(_: Path, paired: dict[str, dict[str, Path]]) -> list[Case]:
    cases = []
    for case_id, roles in paired.items():
        kind = case_id[:2]
        modality: Modality = "CT" if kind == "ct" else "MR"
        image, label = roles.get("image"), roles.get("label")
        site = _MMWHS_SITES[kind]
        cases.append(Case(id=case_id, image=image, label=label, site=site, modality=modality, scheme="mmwhs"))
    return cases


def _imagechd_cases(folder: Path, paired: dict[str, dict[str, Path]]) -> list[Case]:
    tables = ImageCHDTables.read(folder)
    return [
        Case(
            id=case_id,
            image=roles.get("image"),
            label=roles.get("label"),
            site="ImageCHD",
            scheme="imagechd",
            group=tables.diagnosis.get(number, ""),
            spacing_mm=tables.spacing_mm.get(number),
            hu_offset=_IMAGECHD_OFFSET_HU,
        )
        for case_id, roles in paired.items()
        for number in [int(case_id.removeprefix("ct_"))]
    ]


def _cases_by_name(folder: Path, files: list[Path]) -> list[Case]:
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        match = _VOLUME.fullmatch(file.name)
        if match:
            case_id, role = _role(folder, file, match["stem"])
            _place(found, case_id, role, file)
    for series in _dicom_folders(folder, files):
        _place(found, re.sub(r"[^A-Za-z0-9._-]", "_", series.name), "image", series)
    try:
        return [Case(id=name, image=roles.get("image"), label=roles.get("label")) for name, roles in found.items()]
    except ValidationError as error:
        name = error.errors()[0]["input"]
        raise InputError(
            f"{folder}: {name!r} can't be a case's name; rename the file or write a {TABLE_NAME}."
        ) from error


def _role(folder: Path, file: Path, stem: str) -> tuple[str, str]:
    """Return a file's case id and whether it is an image or a label map.

    The end of its name decides, then its folder's name; an unmarked file is a label map if its voxels have eight bits,
    which no CT fits in, else an image.
    """
    for pattern, role in ((_LABEL_END, "label"), (_IMAGE_END, "image")):
        if pattern.search(stem):
            return pattern.sub("", stem), role
    parent = file.parent.name if file.parent != folder else ""
    for pattern, role in ((_LABEL_FOLDER, "label"), (_IMAGE_FOLDER, "image")):
        if pattern.fullmatch(parent):
            return stem, role
    return stem, "label" if has_eight_bit_voxels(file) else "image"


def _dicom_folders(folder: Path, files: list[Path]) -> list[Path]:
    """Return the subfolders whose first file is DICOM."""
    first = {file.parent: file for file in reversed(files) if file.parent != folder}
    return sorted(parent for parent, file in first.items() if not _VOLUME.fullmatch(file.name) and is_dicom_file(file))
