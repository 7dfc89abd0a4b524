"""Tensors in safetensors files, and trees of anything that a training has to remember.

Only safetensors and JSON are ever read: neither can run code, whoever wrote the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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


def write_weights(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write trained weights, atomically, for others to use.

    Args:
        path: ends in ``.safetensors``.
        tensors: dotted names to weights.
        header: JSON: what they are and what made them; ``kind`` names the model.

    Raises:
        DiskError: the file can't be written.
    """
    text = json.dumps({"schema": WEIGHTS_SCHEMA, **header}, allow_nan=False)
    with atomic_path(path) as temporary:
        write_tensors(temporary, {name: _plain(tensor) for name, tensor in tensors.items()}, {_KEY: text})


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_weights` wrote.

    Args:
        path: the file.
        kind: what it has to be.

    Raises:
        InputError: the file is missing, damaged, hostile, of another version or kind, or has NaN or infinite numbers.
    """
    tensors, metadata = read_tensors(path)
    try:
        header = json.loads(metadata.get(_KEY, ""))
        schema, found = header.pop("schema"), header["kind"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} holds no weights of FedSim; give a file that `fedsim train` wrote.") from None
    if schema != WEIGHTS_SCHEMA:
        raise InputError(
            f"{path} is of version {str(schema)[:60]!r}, this FedSim reads {WEIGHTS_SCHEMA!r}; train it again."
        )
    if found != kind:
        raise InputError(f"{path} holds a {str(found)[:60]}, but a {kind} is needed; give another file.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path} has numbers in {name} that are not finite; train it again.")
    return tensors, header


def split_tree(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """Take a tree of dicts, lists, tuples, numbers, texts, arrays and tensors apart, for :func:`join_tree`.

    Returns:
        JSON in which tensors are replaced by their names, and the tensors, on the CPU and apart in memory.

    Raises:
        TypeError: the tree holds something else.
    """
    tensors: dict[str, Tensor] = {}
    return _split(tree, "", tensors), tensors


def join_tree(content: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put a tree together again; numbers, types and tensors are exactly those that were taken apart.

    Raises:
        InputError: a tensor is missing.
    """
    if isinstance(content, list):
        return [join_tree(value, tensors) for value in content]
    if not isinstance(content, dict):
        return content
    if len(content) == 1:
        ((mark, value),) = content.items()
        if mark == "$tensor":
            if value not in tensors:
                raise InputError(f"The tensor {value!r} is missing.")
            return tensors[value]
        if mark == "$tuple":
            return tuple(join_tree(part, tensors) for part in value)
        if mark == "$items":
            return {join_tree(key, tensors): join_tree(part, tensors) for key, part in value}
        if mark == "$array":
            return np.array(value[1], dtype=value[0])
        if mark == "$float":
            return float(value)
    return {key: join_tree(part, tensors) for key, part in content.items()}


def _split(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    def inner(value: Any, key: object) -> Any:
        return _split(value, f"{name}.{key}" if name else str(key), tensors)

    if isinstance(tree, Tensor):
        tensors[name] = _plain(tree)
        return {"$tensor": name}
    if isinstance(tree, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in tree):
            return {key: inner(value, key) for key, value in tree.items()}
        return {"$items": [[inner(key, "key"), inner(value, key)] for key, value in tree.items()]}
    if isinstance(tree, tuple):
        return {"$tuple": [inner(value, index) for index, value in enumerate(tree)]}
    if isinstance(tree, list):
        return [inner(value, index) for index, value in enumerate(tree)]
    if isinstance(tree, np.ndarray):
        return {"$array": [tree.dtype.str, tree.tolist()]}
    if isinstance(tree, float):
        return float(tree) if math.isfinite(tree) else {"$float": repr(float(tree))}
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    raise TypeError(f"{name or 'the state'} is a {type(tree).__name__}, which a checkpoint cannot hold.")


def _plain(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU with memory of its own: safetensors refuses tensors that share theirs."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
