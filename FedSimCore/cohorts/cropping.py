"""A cohort on the working grid: the crops, their table, and ``crops.json`` that tells how each was made."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.load import LoadedCase, load_case
from FedSimCore.cohorts.table import write_cohort
from FedSimCore.errors import DiskError, FedSimError, InputError
from FedSimCore.files import read_json, write_json
from FedSimCore.progress import Progress, silent
from FedSimCore.volumes.crop import Crop, crop_round_heart
from FedSimCore.volumes.io import write_label_map, write_volume
from FedSimCore.volumes.reading import VolumeWarning
from FedSimCore.volumes.resample import AIR_HU

SCHEMA = "fedsim/crops/1"
RECORD_NAME = "crops.json"
_OUTSIDE = {"CT": AIR_HU, "MR": 0.0}


@dataclass(frozen=True)
class CroppedCohort:
    """What came of cropping a cohort.

    Attributes:
        cohort: the crops, in the order of the original cases.
        record: case id to what ``crops.json`` says of it.
        failures: case id to the sentence that says why it has no crop.
    """

    cohort: Cohort
    record: dict[str, dict[str, Any]]
    failures: dict[str, str]


def crop_cohort(
    cohort: Cohort,
    folder: Path,
    size: int = 128,
    spacing_mm: float | Literal["fit"] = 1.25,
    suffix: Literal[".nii.gz", ".nrrd"] = ".nii.gz",
    progress: Progress = silent,
) -> CroppedCohort:
    """Bring every case onto a working grid round its heart and write a new cohort.

    Images are written as int16 HU (float32 for MR), label maps in FedSim's labels. An unlabelled case is cropped round
    its ``center_mm``, or else round the middle of its image, which the record says. Called again on the same folder,
    it leaves the crops that were made with the same settings from unchanged files.

    Args:
        cohort: the cases.
        folder: where the crops, ``cohort.csv`` and ``crops.json`` go.
        size: voxels along each axis.
        spacing_mm: of the working grid, or ``"fit"`` for each heart's own.
        suffix: format of the crops.
        progress: called per case.

    Raises:
        InputError: ``folder`` holds files of the cohort itself, or a damaged ``crops.json``.
        DiskError: the folder can't be written.
    """
    folder = Path(folder)
    _refuse_own_folder(cohort, folder)
    record, failures, crops = _read_record(folder), {}, []
    for number, case in enumerate(cohort.cases):
        progress(number, len(cohort.cases), "cropping")
        try:
            wanted = {"size": size, "spacing": spacing_mm, "source": _source(case)}
            crop = _target(case, folder, suffix)
            if not _is_current(record.get(case.id), wanted, crop):
                record[case.id] = wanted | _make(case, crop, size, spacing_mm)
                write_json(folder / RECORD_NAME, {"schema": SCHEMA, "crops": record})
            crops.append(crop)
        except DiskError:
            raise
        except FedSimError as error:
            failures[case.id] = str(error)
            record.pop(case.id, None)
    progress(len(cohort.cases), len(cohort.cases), "cropping")
    record = {case.id: record[case.id] for case in crops}
    made = Cohort(name=folder.resolve().name or cohort.name, cases=tuple(crops))
    if crops:
        write_json(folder / RECORD_NAME, {"schema": SCHEMA, "crops": record})
        write_cohort(made, folder)
    return CroppedCohort(made, record, failures)


def _refuse_own_folder(cohort: Cohort, folder: Path) -> None:
    for case in cohort.cases:
        for path in (case.image, case.label):
            if path is not None and path.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{folder} holds {path.name} of the cohort itself; write the crops to another folder.")


def _read_record(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / RECORD_NAME
    if not path.exists():
        return {}
    content = read_json(path)
    crops = content.get("crops") if isinstance(content, dict) and content.get("schema") == SCHEMA else None
    if not isinstance(crops, dict) or not all(isinstance(entry, dict) for entry in crops.values()):
        raise InputError(f"{path} is damaged or of another version; remove it to crop anew.")
    return crops


def _target(case: Case, folder: Path, suffix: str) -> Case:
    """Return the case as it is after cropping."""
    image = folder / f"{case.id}_image{suffix}" if case.image is not None else None
    label = folder / f"{case.id}_label{suffix}" if case.label is not None else None
    done = {"scheme": "fedsim", "series": None, "spacing_mm": None, "hu_offset": 0.0, "center_mm": None}
    return case.model_copy(update={"image": image, "label": label, **done})


def _source(case: Case) -> dict[str, Any]:
    """Return what a crop depends on besides its settings: the case's entry and its files' sizes and times."""
    files = [path for path in (case.image, case.label) if path is not None and path.exists()]
    stats = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    return {"case": case.model_dump(mode="json", exclude={"extra", "split", "fold", "group", "site"}), "files": stats}


def _is_current(entry: dict[str, Any] | None, wanted: dict[str, Any], crop: Case) -> bool:
    written = all(path.is_file() for path in (crop.image, crop.label) if path is not None)
    return entry is not None and written and all(entry.get(name) == value for name, value in wanted.items())


def _make(case: Case, crop: Case, size: int, spacing_mm: float | Literal["fit"]) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VolumeWarning)
        loaded = load_case(case)
    notes = [str(one.message) for one in caught if issubclass(one.category, VolumeWarning)]
    center = case.center_mm
    if loaded.label is None and center is None and loaded.image is not None:
        center = tuple(float(value) for value in loaded.image.grid.center_mm)  # type: ignore[assignment]
        notes.append("unlabelled: cropped round the middle of the image")
    try:
        made = crop_round_heart(loaded.image, loaded.label, size, spacing_mm, center, _OUTSIDE[case.modality])
    except InputError as error:
        raise InputError(f"{case.id}: {error}") from error
    _write(made, crop)
    return {
        "center_mm": [round(float(value), 4) for value in made.grid.center_mm],
        "spacing_mm": float(made.grid.spacing_mm[0]),
        "covered": round(made.covered, 4),
        "image": crop.image.name if crop.image is not None else None,
        "label": crop.label.name if crop.label is not None else None,
        "notes": notes,
        "original": _original(loaded),
    }


def _write(made: Crop, crop: Case) -> None:
    if made.image is not None and crop.image is not None:
        write_volume(made.image, crop.image, "int16" if crop.modality == "CT" else "float32")
    if made.label is not None and crop.label is not None:
        write_label_map(made.label, crop.label)


def _original(loaded: LoadedCase) -> dict[str, Any]:
    volumes = {"image": loaded.image, "label": loaded.label}
    return {
        name: {"shape": list(volume.grid.shape), "affine": volume.grid.affine.round(6).tolist()}
        for name, volume in volumes.items()
        if volume is not None
    }
