"""What a model's files share: headers that are checked, weights that fit them, half precision for shipping."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from FedSimCore.errors import InputError

Network = TypeVar("Network", bound=nn.Module)
Header = TypeVar("Header", bound="FileHeader")


class FileHeader(BaseModel):
    """What every file of a model tells.

    Attributes:
        kind: what the file holds.
        version: of this kind of file; another one is refused.
        metrics: of the finished training.
        provenance: for people: recipe, steps, seed, FedSim's version and commit; nothing reads them.
        data_sha256: checksums of what was learnt from, by case id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: str
    version: int
    metrics: dict[str, float] = {}
    provenance: dict[str, Any] = {}
    data_sha256: dict[str, str] = Field(default={}, max_length=100_000)


def checked_header(kind: type[Header], content: Mapping[str, Any], path: Path, version: int) -> Header:
    """Check a file's header.

    Raises:
        InputError: it is of another version, or an entry is impossible.
    """
    if content.get("version") != version:
        raise InputError(
            f"{path} is a {content.get('kind')} of version {str(content.get('version'))[:20]}, this FedSim reads "
            f"version {version}; train it again, or install the FedSim that wrote it."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} has an impossible header entry {where}: {first['msg']}; train it again.") from error


def network_of(make: Callable[[], Network], tensors: Mapping[str, Tensor], prefix: str, path: Path) -> Network:
    """Make a network with the weights of a file, in float32 on the CPU.

    No memory is taken before the file's weights are seen to be the network's, whatever sizes the header claims.

    Args:
        make: makes the network from the header's sizes.
        tensors: of the file.
        prefix: of the network's own, with the dot; empty for all.
        path: of the file, for the message.

    Raises:
        InputError: weights are missing, left over or of another shape.
    """
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        with torch.device("meta"):
            network = make()
    except (RuntimeError, OverflowError) as error:
        raise InputError(f"{path} tells of a network that cannot be made ({error}); take another copy.") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in sorted({*wanted, *own}):
        if name not in own or name not in wanted:
            what = "lacks" if name in wanted else "has too many weights,"
            raise InputError(f"{path} {what} {prefix}{name}; it does not fit its header, take another copy.")
        if tuple(own[name].shape) != wanted[name]:
            raise InputError(
                f"{prefix}{name} in {path} is {tuple(own[name].shape)}, but its header tells of {wanted[name]}; "
                "take another copy."
            )
    network.load_state_dict({name: in_single(tensor) for name, tensor in own.items()}, assign=True)
    return network.eval()


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return a module's weights and buffers with a prefix before their names."""
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def in_single(tensor: Tensor) -> Tensor:
    """Return a copy with memory of its own, not the file's; a floating tensor in float32."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def for_file(tensors: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    """Return tensors as they are written.

    Args:
        tensors: float32.
        half: write weights in float16, which halves the file. What has a single axis (biases, statistics of
            normalizations) or is a covariance takes no room and stays.

    Raises:
        InputError: a weight is too large for float16.
    """
    if not half:
        return dict(tensors)
    result = {}
    for name, tensor in tensors.items():
        weights = tensor.is_floating_point() and tensor.ndim > 1 and not name.endswith("covariance")
        result[name] = tensor.half() if weights else tensor
        if weights and not bool(torch.isfinite(result[name]).all()):
            raise InputError(f"{name} has weights too large for float16; write the model in full precision.")
    return result


def checksum_of(tensors: Mapping[str, Tensor], *facts: object) -> str:
    """Return a SHA-256 that is the same for weights in full and, rounded, in half precision."""
    digest = hashlib.sha256(repr(facts).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        rounded = tensor.half() if tensor.is_floating_point() else tensor
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(rounded.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
