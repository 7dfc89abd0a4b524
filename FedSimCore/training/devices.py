"""Where a training computes: Fabric for a config, and what it is called."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from FedSimCore.errors import InputError
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.recipes import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def make_fabric(config: TrainingConfig) -> Fabric:
    """Return Fabric for a config, not yet launched.

    Raises:
        InputError: there is no such device, or too few.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device = cuda, but no NVIDIA graphics card with a working driver is found; take auto or cpu.")
    accelerator = "cuda" if torch.cuda.is_available() and config.device != "cpu" else "cpu"
    if accelerator == "cuda" and config.devices > torch.cuda.device_count():
        raise InputError(f"devices = {config.devices}, but there are {torch.cuda.device_count()} graphics cards.")
    if config.batch_size % config.devices:
        raise ConfigError(
            "The config", {"batch_size": f"= {config.batch_size} is no multiple of {config.devices} devices"}
        )
    with warnings.catch_warnings():
        # Fabric recommends more workers, other launchers and the like.
        warnings.simplefilter("ignore")
        try:
            return Fabric(
                accelerator=accelerator,
                devices=config.devices,
                strategy="ddp" if config.devices > 1 else "auto",
                precision=config.precision,
            )
        except (MisconfigurationException, ValueError, RuntimeError) as error:
            raise InputError(f"This machine cannot train with this config: {error}") from error


def device_name(device: torch.device) -> str:
    """Return the graphics card's name, or ``"cpu"``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)
