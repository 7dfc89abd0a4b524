"""Hearts in memory on the working grid, as trainings need them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.cohorts import Case, load_case
from FedSimCore.errors import InputError
from FedSimCore.files import sha256_of
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.progress import Progress
from FedSimCore.training.field_of_view import UNSEEN_HU, on_unit_scale
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import crop_round_heart


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """The voxels that everything is learnt on.

    Attributes:
        size: voxels along each side.
        spacing_mm: between voxels.
    """

    size: int
    spacing_mm: float

    @property
    def grid(self) -> Grid:
        """The grid round the origin, from which a shape model's translations count."""
        return Grid.centered(self.size, self.spacing_mm)

    @property
    def field_of_view_mm(self) -> float:
        """Length of a side."""
        return self.size * self.spacing_mm


@dataclass(frozen=True, eq=False)
class Hearts:
    """Label maps and images on the working grid, two and three bytes a voxel together.

    Attributes:
        names: case ids.
        sites: of the cases.
        labels: (cases, X, Y, Z) uint8; None where labels may not be used.
        hounsfield: (cases, X, Y, Z) int16, ``UNSEEN_HU`` beyond the scans; None where images are not needed.
        sha256: file of a case to its checksum.
    """

    names: tuple[str, ...]
    sites: tuple[str, ...]
    labels: Tensor | None
    hounsfield: Tensor | None
    sha256: dict[str, str]

    def __len__(self) -> int:
        return len(self.names)

    def images(self, cases: Tensor, intensity: IntensityRange) -> Tensor:
        """Return images (batch, 1, X, Y, Z) of cases (batch,) on the unit scale, float32 on the CPU.

        They are clipped; beyond the scan they are NaN, see :mod:`~FedSimCore.training.field_of_view`.
        """
        assert self.hounsfield is not None
        return on_unit_scale(self.hounsfield[cases], intensity)[:, None]


def read_hearts(cases: Sequence[Case], on: WorkingGrid, progress: Progress, *, labels: bool, images: bool) -> Hearts:
    """Read cases onto the working grid.

    With its label map a heart lies round the middle of its bounding box. Without, it lies round the case's
    ``center_mm``, or else round the middle of its image: where hearts usually are, and what a latent's translation has
    to make up for.

    Args:
        cases: to read.
        on: the working grid.
        progress: told of every case.
        labels: read label maps; a case without one can't be used then.
        images: read images; likewise.

    Raises:
        InputError: a case can't be used; the sentence begins with its id.
    """
    checksums: dict[str, str] = {}
    read: list[tuple[NDArray[np.uint8] | None, NDArray[np.int16] | None]] = []
    for number, case in enumerate(cases):
        progress(number, len(cases), "reading cases")
        try:
            read.append(_read(case, on, labels, images))
        except InputError as error:
            raise InputError(f"{case.id}: {error}") from error
        for path, wanted in ((case.label, labels), (case.image, images)):
            if wanted and path is not None:
                checksums[f"{case.id} {'label' if path == case.label else 'image'}"] = checksum_of(path)
    if cases:
        progress(len(cases), len(cases), "reading cases")
    empty = (0, on.size, on.size, on.size)
    all_labels = [label for label, _ in read if label is not None]
    all_images = [image for _, image in read if image is not None]
    return Hearts(
        tuple(case.id for case in cases),
        tuple(case.site for case in cases),
        torch.from_numpy(np.stack(all_labels) if all_labels else np.zeros(empty, np.uint8)) if labels else None,
        torch.from_numpy(np.stack(all_images) if all_images else np.zeros(empty, np.int16)) if images else None,
        checksums,
    )


def _read(
    case: Case, on: WorkingGrid, labels: bool, images: bool
) -> tuple[NDArray[np.uint8] | None, NDArray[np.int16] | None]:
    if (labels and case.label is None) or (images and case.image is None):
        raise InputError(f"it has no {'label map' if labels and case.label is None else 'image'}.")
    if images and case.modality != "CT":
        raise InputError(f"it is {case.modality}, but Hounsfield units are learnt; leave out its site.")
    unused = {} if labels else {"label": None}
    loaded = load_case(case.model_copy(update=unused if images else {**unused, "image": None}))
    center = case.center_mm
    if loaded.label is None and center is None and loaded.image is not None:
        middle = loaded.image.grid.center_mm
        center = (float(middle[0]), float(middle[1]), float(middle[2]))
    crop = crop_round_heart(
        loaded.image,
        loaded.label,
        on.size,
        on.spacing_mm,
        center if loaded.label is None else None,
        outside=UNSEEN_HU,
    )
    return _labels(crop.label), _hounsfield(crop.image)


def _labels(label: Volume | None) -> NDArray[np.uint8] | None:
    if label is None:
        return None
    if not label.array.any():
        raise InputError("no voxel of the working grid is labelled; lower spacing_mm.")
    return label.array.astype(np.uint8)


def _hounsfield(image: Volume | None) -> NDArray[np.int16] | None:
    if image is None:
        return None
    # Beyond the scan the crop is UNSEEN_HU, the lowest int16; a scanner's own nonsense that low counts as unseen too.
    return np.clip(np.rint(image.array), UNSEEN_HU, np.iinfo(np.int16).max).astype(np.int16)


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a DICOM folder."""
    if not path.is_dir():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()} {sha256_of(file)}".encode())
    return digest.hexdigest()
