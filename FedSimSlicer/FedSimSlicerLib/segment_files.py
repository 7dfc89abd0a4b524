"""Results of segmenting as files: label map, uncertainty, and a JSON that says what made them. Any thread may write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from FedSimCore.files import disk_errors, write_json
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import write_label_map, write_volume
from FedSimCore.worker.protocol import SegmentResult

NIFTI, NRRD = ".nii.gz", ".nrrd"
SCHEMA = "fedsim/segmentation/1"


@dataclass(frozen=True)
class SaveChoice:
    """Where results are saved.

    Attributes:
        folder: made if it is missing.
        suffix: of label map and uncertainty, :data:`NIFTI` or :data:`NRRD`.
    """

    folder: Path
    suffix: str = NIFTI


def file_stems(names: list[str]) -> list[str]:
    """Return names of scans as beginnings of file names, all different whatever the file system."""
    stems: list[str] = []
    for name in names:
        stem = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "-", name).strip(" .") or _("scan")
        number, free = 1, stem
        while free.casefold() in (taken.casefold() for taken in stems):
            number += 1
            free = f"{stem}-{number}"
        stems.append(free)
    return stems


def save_result(
    choice: SaveChoice,
    stem: str,
    scan: str,
    segmenter: str,
    result: SegmentResult,
    labels: Volume,
    uncertainty: Volume | None,
) -> list[Path]:
    """Write a result and return its files.

    Args:
        choice: where.
        stem: what the files' names begin with.
        scan: name of the scan.
        segmenter: its file; empty for the one that ships.
        result: what was found.
        labels: uint8, on the scan's grid.
        uncertainty: percent on the scan's grid; None for none.

    Raises:
        DiskError: the folder is full or refuses.
    """
    with disk_errors(choice.folder):
        choice.folder.mkdir(parents=True, exist_ok=True)
    label_path = choice.folder / f"{stem}_label{choice.suffix}"
    write_label_map(labels, label_path)
    files = {"labels": label_path}
    if uncertainty is not None:
        files["uncertainty"] = choice.folder / f"{stem}_uncertainty{choice.suffix}"
        write_volume(uncertainty, files["uncertainty"], "int16")
    told = {
        "schema": SCHEMA,
        "scan": scan,
        "segmenter": segmenter or "shipped",
        **result.model_dump(mode="json", exclude={"kind"}),
        "files": {what: path.name for what, path in files.items()},
        "not_for_clinical_use": True,
    }
    path = choice.folder / f"{stem}_segmentation.json"
    write_json(path, told)
    return [*files.values(), path]
