"""A shape model as one file: safetensors with a JSON header, read without executing anything from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.shape.pose_statistics import PoseStatistics

SCHEMA = "fedsim/shape-model/1"
_KEY = "fedsim"
_ORTHONORMAL = 1e-4

Arrays = dict[str, NDArray[Any]]


class Provenance(BaseModel):
    """Where a model comes from.

    Attributes:
        cohort: name of the cohort.
        sites: cases of each site.
        cases: number of cases.
        skipped: what was left out, and why.
        command: that made the model.
        version: of FedSim.
        seed: of the quality's random samples.
        created: date, UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cohort: str
    sites: dict[str, int]
    cases: int = Field(ge=1)
    skipped: tuple[str, ...] = ()
    command: str
    version: str
    seed: int
    created: str


class ModelHeader(BaseModel):
    """Everything of a model that is not an array.

    Attributes:
        limit_sigma: mode weights lie within plus and minus this many sigma (paper: 1.5).
        pose_limit_sigma: what the generator may reach of the pose, in standard deviations of the cohort's.
        pose: spread of the poses.
        total_variance_mm2: variance of all modes, kept or not.
        units: of the vertices.
        space: of the vertices.
        provenance: where it comes from.
        quality: report of :mod:`FedSimCore.shape.quality`; empty if it was not made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    limit_sigma: float = Field(default=1.5, gt=0)
    pose_limit_sigma: float = Field(default=2.0, gt=0)
    pose: PoseStatistics
    total_variance_mm2: float = Field(gt=0)
    units: str = Field(default="mm", pattern="^mm$")
    space: str = Field(default="RAS", pattern="^RAS$")
    provenance: Provenance
    quality: dict[str, Any] = {}


def write_model(path: Path, arrays: Arrays, header: ModelHeader) -> str:
    """Write a model file, atomically.

    Args:
        path: ends in ``.safetensors``.
        arrays: mean (V, 3) and modes (K, V, 3) float32, eigenvalues (K,) float64, faces (F, 3) int32,
            face_region (F,) uint8.
        header: the rest.

    Returns:
        The content's checksum (SHA-256, hexadecimal).

    Raises:
        InputError: the path has another suffix.
        DiskError: the file cannot be written.
    """
    from safetensors.numpy import save_file

    if path.suffix != ".safetensors":
        raise InputError(f"{path} does not end in .safetensors; name the model file so.")
    content = header.model_dump(mode="json")
    checksum = _checksum(arrays, content)
    text = json.dumps({"schema": SCHEMA, "sha256": checksum, "header": content}, allow_nan=False)
    with atomic_path(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, {_KEY: text})
    return checksum


def read_model(path: Path) -> tuple[Arrays, ModelHeader, str]:
    """Read and check a model file.

    Returns:
        Its arrays as :func:`write_model` takes them, its header, and its checksum.

    Raises:
        InputError: the file is missing, damaged, truncated, of another version, or its numbers make no model.
    """
    path = Path(path)
    arrays, text = _read_safetensors(path)
    try:
        envelope = json.loads(text)
        schema, checksum, content = envelope["schema"], envelope["sha256"], envelope["header"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is a safetensors file but no FedSim shape model; choose another file.") from None
    if schema != SCHEMA:
        raise InputError(
            f"{path} is a shape model of version {str(schema)[:60]!r}, this FedSim reads {SCHEMA!r}; "
            "install the FedSim that wrote it, or build the model again."
        )
    if checksum != _checksum(arrays, content):
        raise InputError(f"{path} is damaged: its content does not match its checksum; copy or build it again.")
    try:
        header = ModelHeader.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} has an impossible header entry {where}: {first['msg']}; build it again.") from error
    _check_arrays(path, arrays)
    return arrays, header, checksum


def _read_safetensors(path: Path) -> tuple[Arrays, str]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # numpy lacks some of the format's types (bfloat16, float8): TypeError or AttributeError.
        raise InputError(f"{path} is damaged or no safetensors file ({error}); copy or build it again.") from error
    if _KEY not in metadata:
        raise InputError(f"{path} is a safetensors file but no FedSim shape model; choose another file.")
    return arrays, metadata[_KEY]


def _checksum(arrays: Arrays, content: Any) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_arrays(path: Path, arrays: Arrays) -> None:
    expected = {"mean": "f", "modes": "f", "eigenvalues": "f", "faces": "i", "face_region": "u"}
    kinds = {name: array.dtype.kind for name, array in arrays.items()}
    if kinds != expected:
        raise InputError(f"{path} has the arrays {sorted(kinds)} but a model has {sorted(expected)}; build it again.")
    shapes = {name: array.shape for name, array in arrays.items()}
    count, vertices, faces = len(arrays["modes"]), len(arrays["mean"]), len(arrays["faces"])
    wanted = {
        "mean": (vertices, 3),
        "modes": (count, vertices, 3),
        "eigenvalues": (count,),
        "faces": (faces, 3),
        "face_region": (faces,),
    }
    if shapes != wanted or not (count and vertices and faces):
        raise InputError(f"{path} has arrays whose shapes {shapes} do not fit each other; build it again.")
    for name in ("mean", "modes", "eigenvalues"):
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{path} has NaN or infinite numbers in {name!r}; build it again.")
    if (arrays["eigenvalues"] < 0).any():
        raise InputError(f"{path} has a negative eigenvalue ({arrays['eigenvalues'].min():g} mm²); build it again.")
    if arrays["faces"].min() < 0 or arrays["faces"].max() != vertices - 1:
        raise InputError(f"{path} has faces that do not fit its {vertices} vertices; build it again.")
    flat = arrays["modes"].reshape(count, -1).astype(np.float64)
    error = float(np.abs(flat @ flat.T - np.eye(count)).max())
    if error > _ORTHONORMAL:
        raise InputError(f"{path} has modes that are not orthonormal (off by {error:.2g}); build it again.")
