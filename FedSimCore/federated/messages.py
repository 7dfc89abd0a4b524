"""What goes between server and sites, and the list of what may.

Arrays are little-endian float32 by name. The list of allowed names with their shapes follows from the study's recipe
alone, so each side makes it by itself and neither can be talked into more.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from FedSimCore.errors import FedSimError

Arrays = Mapping[str, NDArray[np.float32]]
RequestKind = Literal["agree", "round", "moments", "finish", "stop"]
ReplyKind = Literal["agreement", "update", "moments", "done", "refusal"]
_BLOCK = 1 << 14


class RefusedUpdate(FedSimError):  # noqa: N818 (it is no fault of the program)
    """An update is not what was asked for; it is left out, and the weights are as they were."""


@dataclass(frozen=True)
class Request:
    """What the server asks.

    Attributes:
        kind: ``"agree"`` to a study, make a ``"round"``, tell the latents' ``"moments"``, ``"finish"`` or ``"stop"``.
        round: of the study, counted from 0.
        arrays: weights of the shared part, or the final model.
        values: JSON beside them.
    """

    kind: RequestKind
    round: int = 0
    arrays: Arrays = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What a site answers.

    Attributes:
        site: who.
        kind: ``"refusal"`` has its sentence in ``values["reason"]``.
        round: that was asked for.
        arrays: of an update, the gradient of each shared parameter, or what local steps took from it; of moments, mean
            and covariance.
        values: JSON; of an update ``cases``, its weight in the average, and ``metrics``, mean losses where told.
    """

    site: str
    kind: ReplyKind
    round: int = 0
    arrays: Arrays = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return str(self.values.get("reason", "no reason given"))


class AllowList:
    """Names and shapes of arrays that may be exchanged.

    Attributes:
        shapes: by name.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Allow exactly these."""
        self.shapes = dict(shapes)

    @classmethod
    def of(cls, modules: Mapping[str, nn.Module]) -> AllowList:
        """Allow the parameters of modules, not their buffers."""
        return cls({name: tuple(parameter.shape) for name, parameter in parameters_of(modules).items()})

    @property
    def numbers(self) -> int:
        """How many numbers all arrays have together."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def check(self, arrays: Arrays, largest_norm: float = math.inf) -> float:
        """Check arrays.

        Returns:
            Their Euclidean norm.

        Raises:
            RefusedUpdate: a name, shape or type is another, a number is not finite, or the norm is too large.
        """
        strange, missing = sorted(set(arrays) - set(self.shapes)), sorted(set(self.shapes) - set(arrays))
        if strange or missing:
            raise RefusedUpdate(
                f"It has {strange[0]!r}, which is not allowed." if strange else f"{missing[0]} is missing."
            )
        squares = 0.0
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != self.shapes[name]:
                found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise RefusedUpdate(f"{name} is {found}, but float32 {self.shapes[name]} is needed.")
            own = _sum_of_squares(array)
            if not math.isfinite(own) and not np.isfinite(array).all():  # Else the square of a number is too large.
                raise RefusedUpdate(f"{name} has numbers that are not finite.")
            squares += own
        norm = math.sqrt(squares)
        if norm > largest_norm:
            raise RefusedUpdate(f"Its norm is {norm:.4g}, more than the {largest_norm:g} that the study allows.")
        return norm


def parameters_of(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """Return the parameters of modules by dotted names, e.g. ``shape.0.weight``."""
    return {
        f"{module_name}.{name}": parameter
        for module_name, module in modules.items()
        for name, parameter in module.named_parameters()
    }


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Return float32 copies of tensors in the memory of their own."""
    return {name: tensor.detach().cpu().float().numpy().copy() for name, tensor in tensors.items()}


@torch.no_grad()
def load_arrays(arrays: Arrays, parameters: Mapping[str, Tensor]) -> None:
    """Put arrays into parameters (or buffers) of the same names."""
    for name, parameter in parameters.items():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))


def norm_of(arrays: Arrays) -> float:
    """Return the Euclidean norm of all arrays together."""
    return math.sqrt(sum(_sum_of_squares(array) for array in arrays.values()))


def _sum_of_squares(array: NDArray[np.float32]) -> float:
    """Return it in double precision, block by block: an array of twice the size of all would be slow."""
    flat = np.ravel(array)
    blocks = (flat[start : start + _BLOCK].astype(np.float64) for start in range(0, flat.size, _BLOCK))
    return math.fsum(float(np.dot(block, block)) for block in blocks)


def same_request(one: Request, other: Request) -> bool:
    """Tell whether a request was made twice, to the last bit of its arrays."""
    if (one.kind, one.round, one.arrays.keys()) != (other.kind, other.round, other.arrays.keys()):
        return False
    return all(np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items())


def bytes_of(arrays: Arrays) -> int:
    """Return the number of bytes of all arrays."""
    return sum(array.nbytes for array in arrays.values())


def checksum_of(arrays: Arrays) -> str:
    """Return the SHA-256 of names, shapes and numbers, hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
