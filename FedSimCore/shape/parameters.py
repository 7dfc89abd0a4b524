"""The numbers that move a heart: mode weights and pose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from FedSimCore.errors import InputError
from FedSimCore.files import read_json, write_json

Vector3 = tuple[float, float, float]


class Pose(BaseModel):
    """A similarity transform about the model's origin: ``x -> scale * R(rotation) x + translation``.

    Attributes:
        rotation_rad: rotation vector (axis times angle, radians, RAS axes).
        translation_mm: RAS millimetres, applied last.
        scale: unitless, positive; 1 is the mean size of the model's hearts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    rotation_rad: Vector3 = (0.0, 0.0, 0.0)
    translation_mm: Vector3 = (0.0, 0.0, 0.0)
    scale: float = Field(default=1.0, gt=0.0)


class HeartParameters(BaseModel):
    """The 14 + 7 parameters of the paper (section 2.1): SSM weights and a rigid pose with scale.

    Attributes:
        weights: mode weights in units of sigma, i.e. b_k / sqrt(eigenvalue_k).
        pose: the pose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    weights: tuple[float, ...]
    pose: Pose = Pose()

    def vector(self) -> NDArray[np.float64]:
        """Return (modes + 7,): weights in sigma, rotation (rad), translation (mm), scale."""
        pose = self.pose
        return np.array([*self.weights, *pose.rotation_rad, *pose.translation_mm, pose.scale])

    @classmethod
    def from_vector(cls, vector: NDArray[np.float64]) -> HeartParameters:
        """Rebuild the parameters from what :meth:`vector` gave."""
        values = [float(v) for v in vector]
        pose = Pose(
            rotation_rad=(values[-7], values[-6], values[-5]),
            translation_mm=(values[-4], values[-3], values[-2]),
            scale=values[-1],
        )
        return cls(weights=tuple(values[:-7]), pose=pose)


PARAMETERS_SCHEMA = "fedsim/heart-parameters/1"


def parameters_content(
    parameters: HeartParameters, model_sha256: str, provenance: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a file of parameters holds: the checksum of the model they belong to, and where they come from.

    Args:
        parameters: the heart.
        model_sha256: checksum of its shape model.
        provenance: JSON values for people, e.g. date and patient; nothing reads them.
    """
    content = {"schema": PARAMETERS_SCHEMA, "model_sha256": model_sha256, **parameters.model_dump(mode="json")}
    return {**content, "provenance": dict(provenance)} if provenance else content


def write_parameters(
    path: Path, parameters: HeartParameters, model_sha256: str, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write parameters as JSON, see :func:`parameters_content`.

    Raises:
        DiskError: the file cannot be written.
    """
    write_json(path, parameters_content(parameters, model_sha256, provenance))


def read_parameters(path: Path, modes: int | None = None, model_sha256: str | None = None) -> HeartParameters:
    """Read a file that :func:`write_parameters` wrote.

    Args:
        path: JSON file.
        modes: number of weights the model has; not checked if None.
        model_sha256: checksum of the model they are meant for; not checked if None.

    Raises:
        InputError: the file is missing, no parameters, or belongs to another model.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != PARAMETERS_SCHEMA:
        raise InputError(
            f"{path} holds no heart parameters ({PARAMETERS_SCHEMA}); `fedsim shape fit` writes such files."
        )
    made_for = content.get("model_sha256")
    if model_sha256 is not None and made_for != model_sha256:
        raise InputError(
            f"{path} belongs to another shape model ({str(made_for)[:12]}, not {model_sha256[:12]}); "
            "name its model with --model."
        )
    try:
        parameters = HeartParameters.model_validate({k: content[k] for k in ("weights", "pose") if k in content})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} has impossible parameters at {where}: {first['msg']}.") from error
    if modes is not None and len(parameters.weights) != modes:
        raise InputError(f"{path} has {len(parameters.weights)} weights but the model has {modes} modes.")
    return parameters
