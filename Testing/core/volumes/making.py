"""Volumes and DICOM series that the tests of this room read."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FedSimCore.volumes import Grid, Volume

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def an_affine(kind: str) -> np.ndarray:
    """Affines of the kinds that scanners, exporters and registration tools make."""
    affine = np.eye(4)
    spacing = np.diag([0.8, 1.3, 2.5])
    affine[:3, 3] = 12.5, -40.25, 7
    if kind == "tilted":  # a CT gantry's
        affine[:3, :3] = np.array([[1, 0, 0], [0, 1, 0.25], [0, 0, 1]]) @ spacing
    elif kind == "flipped":
        affine[:3, :3] = np.diag([-1, 1, -1]) @ spacing
    elif kind == "permuted":
        affine[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]) @ spacing
    elif kind in ("oblique", "sheared"):
        rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
        shear = np.array([[1, 0.2, 0], [0, 1, 0.1], [0, 0, 1]]) if kind == "sheared" else np.eye(3)
        affine[:3, :3] = rotation @ spacing @ shear
    else:
        affine[:3, :3] = spacing
    return affine


KINDS = ("straight", "flipped", "permuted", "oblique", "sheared")


def a_volume(kind: str = "oblique", shape: tuple[int, int, int] = (7, 6, 5), seed: int = 0) -> Volume:
    """HU-like whole numbers on a small grid."""
    array = np.random.default_rng(seed).integers(-1000, 1000, size=shape).astype(np.float32)
    return Volume(array, Grid(shape, an_affine(kind)))


def to_itk(volume: Volume) -> sitk.Image:
    """Return a volume as a SimpleITK image (RAS to LPS)."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    image.SetSpacing(volume.grid.spacing_mm.tolist())
    image.SetDirection((affine[:3, :3] / volume.grid.spacing_mm).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def a_label_map(kind: str = "oblique", shape: tuple[int, int, int] = (7, 6, 5)) -> Volume:
    """All seven regions in the inner voxels, background round them."""
    array = np.zeros(shape, np.uint8)
    array[1:-1, 1:-1, 1:-1] = np.random.default_rng(1).integers(1, 8, size=tuple(n - 2 for n in shape))
    return Volume(array, Grid(shape, an_affine(kind)))


@contextmanager
def in_its_locale() -> Iterator[None]:
    """Restore the locale: GDCM's writer leaves the process in C's, where text files are ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def write_dicom_series(folder: Path, volume: Volume, uid: str = "1.2.826.0.1.3680043.2.1125.1", **tags: str) -> None:
    """Write a volume as one CT file per k, stored with a rescale intercept of -1024."""
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.affine  # LPS
    spacing = volume.grid.spacing_mm
    axes = (affine[:3, :3] / spacing).T
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(volume.grid.shape[2]):
        plane = volume.array[:, :, k].T[None]
        image = sitk.GetImageFromArray(plane.astype(np.int16))  # ITK takes the intercept off on writing
        image.SetSpacing((spacing[0], spacing[1], 1.0))
        fields = {
            "0008|0060": "CT",
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{k}",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.9",
            "0020|000e": uid,
            "0020|0032": "\\".join(f"{x:.6f}" for x in affine[:3, 3] + k * affine[:3, 2]),
            "0020|0037": "\\".join(f"{x:.8f}" for x in (*axes[0], *axes[1])),
            "0028|0030": f"{spacing[1]:.6f}\\{spacing[0]:.6f}",
            "0028|1052": "-1024",
            "0028|1053": "1",
        } | tags
        for key, value in fields.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{volume.grid.shape[2] - k:03d}.dcm"))
        with in_its_locale():
            writer.Execute(image)
