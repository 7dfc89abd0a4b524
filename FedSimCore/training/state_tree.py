"""Trees of anything that a training has to remember, as JSON beside tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.tensor_files import plain


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
        tensors[name] = plain(tree)
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
