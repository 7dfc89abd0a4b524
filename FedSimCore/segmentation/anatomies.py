"""Chests made at random, whole, for segmenters to learn from: phantoms, and hearts of the shape model in a thorax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.cohorts.phantom.image import painted
from FedSimCore.cohorts.phantom.labels import carved_on, label_array
from FedSimCore.cohorts.phantom.landmarks import MIDLINE_MM
from FedSimCore.cohorts.phantom.patient import Patient, draw_patient
from FedSimCore.cohorts.phantom.scanning import Scan, scanning
from FedSimCore.cohorts.phantom.sites import site as find_site
from FedSimCore.ct.surroundings import surround
from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.progress import Progress, silent
from FedSimCore.segmentation.appearance import draw_contrast, draw_tissues, structure_keys
from FedSimCore.segmentation.beside import Beside, draw_beside
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume

VERSION = 1
"""Of what is made of a source and a seed; a file of another version is made again."""
Source = Literal["phantom", "model"]

_LATTICE_MM = 3.0
"""Spacing of the phantoms' distance fields, nominal mm: as coarse as the voxels that are painted."""
_BELOW_MM, _ABOVE_MM = 150.0, 190.0
_MARGIN_MM = 28.0
_SEED_OF_MODEL = 2


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A chest and its heart, voxels along R, A and S.

    Attributes:
        name: source and seed.
        spacing_mm: of the cubic voxels.
        label: (X, Y, Z) uint8, the seven regions.
        structures: (X, Y, Z) uint8, labels of ``appearance.structure_keys()``; None for a phantom.
        hounsfield: (X, Y, Z) int16, painted without blur and noise; None for a structure map.
    """

    name: str
    spacing_mm: float
    label: NDArray[np.uint8]
    structures: NDArray[np.uint8] | None = None
    hounsfield: NDArray[np.int16] | None = None


@dataclass(frozen=True)
class _VariedScan(Scan):
    """A scan whose tissues and iodine are drawn much more widely than the site's."""

    slope: float
    tissues: dict[str, float]

    @property
    def iodine_slope(self) -> float:
        return self.slope

    def tissue_hu(self, tissue: str) -> float:
        known = {"spongy_bone": "spongiosa", "canal": "spinal_canal"}.get(tissue, tissue)
        return self.tissues[known]


def phantom_anatomy(site: str, seed: int, spacing_mm: float) -> Anatomy:
    """Paint a whole chest of a phantom's site.

    The body is drawn more widely than the site's: fat, muscle, arms, couch; and so are HU and iodine.

    Args:
        site: of Resources/phantom/sites.json.
        seed: of patient, body and HU.
        spacing_mm: edge of a voxel.
    """
    patient = _varied(draw_patient(find_site(site), seed), np.random.default_rng([seed, 1]))
    beside = draw_beside(np.random.default_rng([seed, 2]))
    grid = _grid_of(patient, spacing_mm, beside)
    carved = carved_on(patient, grid, _LATTICE_MM)
    hounsfield = painted(patient, grid, carved, _LATTICE_MM)
    assert isinstance(patient.scan, _VariedScan)
    beside.paint_hounsfield(hounsfield, grid, patient.scan.tissues)
    rounded = np.rint(np.clip(hounsfield, -1024, 3071)).astype(np.int16)
    label = label_array(patient, grid, carved, _LATTICE_MM)
    return Anatomy(f"phantom-{site}-{seed}", spacing_mm, label, hounsfield=rounded)


def model_anatomy(seed: int, spacing_mm: float) -> Anatomy:
    """Put a heart of the shape model, with random modes and pose within its limits, into a random thorax.

    Args:
        seed: of heart and body.
        spacing_mm: edge of a voxel.
    """
    model = builtin_model()
    generator = torch.Generator().manual_seed(seed)
    distribution: Literal["uniform", "normal"] = "uniform" if seed % 2 else "normal"
    parameters = model.sample(1, generator, distribution, pose=True)
    rng = np.random.default_rng([seed, _SEED_OF_MODEL])
    beside = draw_beside(rng)
    vertices = model.vertices(parameters)
    center = vertices[0].mean(0).numpy()
    # The heart lies to the left of the middle of a chest, whose size goes with the heart's.
    size = float(parameters[0, -1])
    half = np.array([215.0 + _MARGIN_MM, 165.0, 160.0]) * max(size, 0.4)
    middle = center + np.array([28 * size, -18 * size, 0.0])
    grid = Grid.centered(np.ceil(2 * half / spacing_mm).astype(int).tolist(), spacing_mm, middle)
    heart = label_map(vertices, model.topology, grid)[0].numpy()
    body = surround(Volume(heart, grid), "thorax", seed).inner.array.copy()
    beside.paint_structures(body, grid, {key: label for label, key in structure_keys().items()})
    return Anatomy(f"model-{seed}", spacing_mm, heart, structures=body)


def cached_anatomy(folder: Path | None, source: Source, site: str, seed: int, spacing_mm: float) -> Anatomy:
    """Return an anatomy, from the folder where it is there already.

    Args:
        folder: of anatomies; None: nothing is kept.
        source: ``"phantom"`` or ``"model"``.
        site: of a phantom.
        seed: of the anatomy.
        spacing_mm: edge of a voxel.

    Raises:
        InputError: a file of the folder is damaged.
        DiskError: the folder can't be written.
    """

    def make() -> Anatomy:
        return phantom_anatomy(site, seed, spacing_mm) if source == "phantom" else model_anatomy(seed, spacing_mm)

    if folder is None:
        return make()
    of = f"-{site}" if source == "phantom" else ""
    path = folder / f"{source}{of}-{seed}-{spacing_mm:g}mm-v{VERSION}.npz"
    if path.exists():
        return _read(path)
    anatomy = make()
    voxels = {"structures": anatomy.structures, "hounsfield": anatomy.hounsfield}
    arrays: dict[str, Any] = {name: array for name, array in voxels.items() if array is not None}
    arrays |= {"label": anatomy.label, "name": np.array(anatomy.name), "spacing_mm": np.array(spacing_mm)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return anatomy


def make_anatomies(
    wanted: Sequence[tuple[Source, str, int]], spacing_mm: float, folder: Path | None, progress: Progress = silent
) -> list[Anatomy]:
    """Return anatomies of sources, sites and seeds; see :func:`cached_anatomy`."""
    made = []
    for number, (source, site, seed) in enumerate(wanted):
        progress(number, len(wanted), "making chests")
        made.append(cached_anatomy(folder, source, site, seed, spacing_mm))
    if wanted:
        progress(len(wanted), len(wanted), "making chests")
    return made


def _read(path: Path) -> Anatomy:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Anatomy(
            str(arrays["name"]),
            float(arrays["spacing_mm"]),
            arrays["label"],
            arrays.get("structures"),
            arrays.get("hounsfield"),
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it, and it is made again.") from error


def _varied(patient: Patient, rng: np.random.Generator) -> Patient:
    contrast, tissues = draw_contrast(rng), draw_tissues(rng)
    tissues["skin"] = max(tissues["skin"], -20.0)
    known = scanning()
    kvp = "120" if "120" in known.iodine_hu_per_mg_ml else next(iter(known.iodine_hu_per_mg_ml))
    values = {**vars(patient.scan), "kvp": kvp, "phase": contrast.phase, "iodine": dict(contrast.iodine)}
    scan = _VariedScan(**values, slope=contrast.slope, tissues=tissues)
    build = replace(
        patient.build,
        fat=float(rng.uniform(3, 42)),
        muscle=float(rng.uniform(7, 20)),
        half_width=patient.build.half_width * float(rng.uniform(0.92, 1.12)),
        half_depth=patient.build.half_depth * float(rng.uniform(0.9, 1.15)),
        dome=patient.build.dome + float(rng.normal(0, 8)),
        spine_depth=patient.build.spine_depth + float(rng.normal(0, 4)),
    )
    return replace(patient, scan=scan, build=build)


def _grid_of(patient: Patient, spacing_mm: float, beside: Beside) -> Grid:
    """Return a grid that holds the whole chest."""
    build = patient.build
    shell = 12 + build.muscle + build.fat + _MARGIN_MM + (30 if beside.arms else 0)
    wide, deep = build.half_width + shell, build.half_depth + shell
    low = patient.to_world(np.array([MIDLINE_MM - wide, -27 - deep, -_BELOW_MM]))
    high = patient.to_world(np.array([MIDLINE_MM + wide, -27 + deep, _ABOVE_MM]))
    shape = np.ceil((high - low) / spacing_mm).astype(int)
    return Grid.centered(shape.tolist(), spacing_mm, (low + high) / 2)
