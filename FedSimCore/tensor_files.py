"""Tensors in safetensors files, the only files of weights that FedSim reads.

They hold numbers and a JSON header, and cannot run code, whoever wrote them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path

WEIGHTS_SCHEMA = "fedsim/weights/1"
_KEY = "fedsim"
_OS_ERROR = re.compile(r"os error (\d+)")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file.

    Raises:
        OSError: the disk refuses; safetensors' own error tells the number of the system's only in words.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        number = _OS_ERROR.search(str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error), str(path)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Returns:
        Its tensors on the CPU, and its metadata.

    Raises:
        InputError: the file is missing or anything else than whole safetensors, e.g. a pickle.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged or no safetensors file ({error}); take another copy.") from error


def write_weights(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """Write trained weights, atomically, for others to use.

    Args:
        path: ends in ``.safetensors``.
        tensors: dotted names to weights.
        header: JSON: what they are and what made them; ``kind`` names the model.

    Returns:
        The content's checksum (SHA-256, hexadecimal).

    Raises:
        DiskError: the file can't be written.
    """
    content = json.loads(json.dumps(header, allow_nan=False))
    own = {name: plain(tensor) for name, tensor in tensors.items()}
    checksum = _checksum(own, content)
    text = json.dumps({"schema": WEIGHTS_SCHEMA, "sha256": checksum, **content})
    with atomic_path(path) as temporary:
        write_tensors(temporary, own, {_KEY: text})
    return checksum


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_weights` wrote.

    Args:
        path: the file.
        kind: what it has to be.

    Returns:
        The weights as they were written, and the header.

    Raises:
        InputError: the file is missing, damaged, hostile, of another version or kind, or has NaN or infinite numbers.
    """
    tensors, metadata = read_tensors(path)
    try:
        header = json.loads(metadata.get(_KEY, ""))
        schema, found, checksum = header.pop("schema"), header["kind"], header.pop("sha256", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} holds no weights of FedSim; give a file that `fedsim train` wrote.") from None
    if schema != WEIGHTS_SCHEMA:
        raise InputError(
            f"{path} is of version {str(schema)[:60]!r}, this FedSim reads {WEIGHTS_SCHEMA!r}; train it again."
        )
    if found != kind:
        raise InputError(f"{path} holds a {str(found)[:60]}, but a {kind} is needed; give another file.")
    if checksum != _checksum(tensors, header):
        raise InputError(f"{path} is damaged: its content does not match its checksum; take another copy.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path} has numbers in {name} that are not finite; train it again.")
    return tensors, header


def _checksum(tensors: Mapping[str, Tensor], header: Any) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def plain(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU with memory of its own: safetensors refuses tensors that share theirs."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
