"""Reading VGG-19's weights from a file that the user brings."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.files import sha256_of
from FedSimCore.networks.vgg import GAUGAN_LAYERS, VGG19, random_vgg19, trained_vgg19, weight_shapes

TORCHVISION_SHA256 = "dcbb9e9d"
"""First digits of the checksum of torchvision's file, which also are in its name, vgg19-dcbb9e9d.pth."""

_WAY_OUT = "give torchvision's vgg19-dcbb9e9d.pth or a safetensors copy of it"


def perceptual_features(path: Path | None, layers: tuple[str, ...] = GAUGAN_LAYERS) -> VGG19:
    """Return the features that a run compares images by.

    Args:
        path: file of VGG-19's weights, see :func:`read_vgg19`; None takes random ones,
            :func:`~FedSimCore.networks.vgg.random_vgg19`.
        layers: of the network.

    Returns:
        The features on the CPU in float32; their ``name`` tells which they are and belongs into every report.

    Raises:
        InputError: see :func:`read_vgg19`.
    """
    return random_vgg19(layers=layers) if path is None else trained_vgg19(*read_vgg19(path), layers)


def read_vgg19(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the weights of VGG-19's convolutions.

    A ``.pth`` is a pickle, which could run any code; torch's reader for weights only is used, which refuses all but
    tensors. Files that end in ``.safetensors`` can hold nothing else.

    Args:
        path: torchvision's ``vgg19-dcbb9e9d.pth``, or a safetensors file with the same names.

    Returns:
        float32 weights by torchvision's names, and a name for reports: it tells whether the file is torchvision's own.

    Raises:
        InputError: the file is missing, damaged, carries code, or isn't VGG-19.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path} with VGG-19's weights; {_WAY_OUT}.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__} instead of named weights; {_WAY_OUT}.")
    weights = {key: _checked(path, content, key, shape) for key, shape in weight_shapes().items()}
    digest = sha256_of(path)[: len(TORCHVISION_SHA256)]
    if digest == TORCHVISION_SHA256:
        return weights, f"VGG-19 trained on ImageNet (torchvision {TORCHVISION_SHA256})"
    return weights, f"VGG-19 from {path.name} (sha256 {digest})"


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or not a safetensors file ({error}); {_WAY_OUT}.") from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Torch warns of a strange pickle before it refuses it; the refusal tells enough.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is damaged or carries more than weights, and was not run; download it again, or {_WAY_OUT}."
        ) from error
    # What torch raises for damaged archives is not documented: any of these has been seen.
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged or not a file of weights ({error}); {_WAY_OUT}.") from error


def _checked(path: Path, content: dict[Any, Any], key: str, shape: tuple[int, ...]) -> Tensor:
    value = content.get(key)
    if not isinstance(value, Tensor):
        raise InputError(f"{path} lacks the weights {key} of VGG-19; {_WAY_OUT}.")
    if tuple(value.shape) != shape:
        raise InputError(f"{key} in {path} is {tuple(value.shape)}, but {shape} in VGG-19; {_WAY_OUT}.")
    if not value.is_floating_point() or not bool(value.isfinite().all()):
        raise InputError(f"{key} in {path} holds values that are not finite numbers; {_WAY_OUT}.")
    return value.to(torch.float32)
