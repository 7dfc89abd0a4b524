"""What is exported as files, under which names, and how they are written. No Qt, no scene: may run in any thread."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from FedSimCore import anatomy
from FedSimCore.ct.recipe import Recipe, write_recipe
from FedSimCore.errors import DiskError, InputError
from FedSimCore.files import disk_errors
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.mesh_io import write_mesh
from FedSimCore.shape.parameters import HeartParameters, write_parameters
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import write_label_map, write_volume
from FedSimCore.volumes.segmentation import SUFFIX as SEGMENTATION_SUFFIX
from FedSimCore.volumes.segmentation import write_segmentation

MODEL_SUFFIXES = (".vtp", ".stl", ".obj")
VOLUME_SUFFIXES = (".nrrd", ".nii.gz")
_STAGING = ".fedsim-export-"


@dataclass(frozen=True)
class ExportChoice:
    """What to export.

    Attributes:
        name: what the names of files and nodes begin with.
        segmentation, label_map, ct, parameters: whether it is wanted.
        models: suffixes of :data:`MODEL_SUFFIXES`.
        volume_suffix: of label map and CT, one of :data:`VOLUME_SUFFIXES`.
    """

    name: str
    segmentation: bool = True
    models: tuple[str, ...] = ()
    label_map: bool = False
    ct: bool = False
    parameters: bool = True
    volume_suffix: str = VOLUME_SUFFIXES[0]

    @property
    def needs_labels(self) -> bool:
        """Whether the heart has to be voxelized."""
        return self.segmentation or self.label_map


@dataclass(frozen=True, eq=False)
class ExportScan:
    """A simulated CT.

    Attributes:
        name: of its scanner.
        image: HU.
        recipe: repeats it; None if the scene has lost it.
    """

    name: str
    image: Volume
    recipe: Recipe | None


@dataclass(frozen=True, eq=False)
class ExportContent:
    """What is to be exported, as it was when the export began.

    Attributes:
        heart: its parameters.
        model_sha256: checksum of the shape model.
        mesh: the heart, RAS mm.
        labels: the heart's label map; None if none is needed.
        scans: simulated CT volumes.
        provenance: JSON values that tell people where all this comes from.
    """

    heart: HeartParameters
    model_sha256: str
    mesh: HeartMesh
    labels: Volume | None = None
    scans: tuple[ExportScan, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedFile:
    """A file that will be written: its name, and what writes it to a path."""

    name: str
    write: Callable[[ExportContent, Path], None]


def plan_files(choice: ExportChoice, scans: Sequence[str]) -> list[PlannedFile]:
    """Return the files of an export.

    VTP (regions as cell data, colours) and OBJ (groups) hold the whole heart; STL knows no regions, so each region has
    a file of its own.

    Args:
        choice: what is wanted.
        scans: names of the scanners of the CT volumes.

    Raises:
        InputError: nothing is chosen, or the name can't be a file's.
    """
    stem = choice.name.strip()
    if not stem or re.search(r'[\\/:*?"<>|\x00-\x1f]', stem) or stem.startswith("."):
        raise InputError(
            _('"{name}" cannot be the name of a file; use letters, digits, spaces, - and _.').format(name=choice.name)
        )
    files: list[PlannedFile] = []
    if choice.segmentation:
        files.append(PlannedFile(stem + SEGMENTATION_SUFFIX, lambda c, path: write_segmentation(_labels(c), path)))
    for suffix in choice.models:
        files += _model_files(stem, suffix)
    if choice.label_map:
        name = f"{stem}-labels{choice.volume_suffix}"
        files.append(PlannedFile(name, lambda c, path: write_label_map(_labels(c), path)))
    if choice.ct:
        for number, slug in enumerate(_slugs(scans)):
            files += _scan_files(f"{stem}-ct-{slug}", number, choice)
    if choice.parameters:
        files.append(PlannedFile(f"{stem}.json", _write_parameters))
    if not files:
        raise InputError(_("Nothing is chosen to be exported; tick at least one of the boxes."))
    return files


def existing_names(files: Sequence[PlannedFile], folder: Path) -> list[str]:
    """Return the names among the planned files that are in the folder already."""
    return [file.name for file in files if (folder / file.name).exists()]


def write_files(
    files: Sequence[PlannedFile], content: ExportContent, folder: Path, progress: Progress = silent
) -> None:
    """Write all files, or none: they are made in a hidden folder beside and moved when the last one is complete.

    Raises:
        DiskError: the folder is read-only or full; what was there before is as it was.
        InputError: a file cannot be made of this content.
        CancelledError: raised by ``progress``.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    try:
        for number, file in enumerate(files):
            progress(number, len(files), file.name)
            _write_staged(file, content, staging, folder)
        progress(len(files), len(files), "")
        for file in files:
            with disk_errors(folder / file.name):
                (staging / file.name).replace(folder / file.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_staged(file: PlannedFile, content: ExportContent, staging: Path, folder: Path) -> None:
    """Write one file; errors tell where it would have been."""
    try:
        file.write(content, staging / file.name)
    except DiskError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        with disk_errors(folder / file.name):
            raise error.__cause__ from None


def _model_files(stem: str, suffix: str) -> list[PlannedFile]:
    if suffix != ".stl":
        return [PlannedFile(stem + suffix, lambda c, path: write_mesh(path, c.mesh))]
    return [
        PlannedFile(f"{stem}-{region.key}.stl", lambda c, path, label=region.label: write_mesh(path, c.mesh, label))  # type: ignore[misc]
        for region in anatomy.regions()
    ]


def _scan_files(stem: str, number: int, choice: ExportChoice) -> list[PlannedFile]:
    def write_image(content: ExportContent, path: Path) -> None:
        write_volume(content.scans[number].image, path, "int16")

    def write_how(content: ExportContent, path: Path) -> None:
        recipe = content.scans[number].recipe
        if recipe is None:
            raise InputError(
                _(
                    "The scene no longer tells how the CT {name} was made; simulate it again or leave out parameters."
                ).format(name=content.scans[number].name)
            )
        write_recipe(recipe, path)

    image = PlannedFile(stem + choice.volume_suffix, write_image)
    return [image, PlannedFile(f"{stem}.json", write_how)] if choice.parameters else [image]


def _write_parameters(content: ExportContent, path: Path) -> None:
    write_parameters(path, content.heart, content.model_sha256, content.provenance)


def _labels(content: ExportContent) -> Volume:
    assert content.labels is not None, "labels are made whenever the choice needs them"
    return content.labels


def _slugs(names: Sequence[str]) -> list[str]:
    """Return names fit for files, all different."""
    slugs: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "scan"
        slugs.append(plain if plain not in slugs else f"{plain}-{len(slugs) + 1}")
    return slugs
