"""Stand-in for the module of the PyTorch extension: it records what is asked of it and installs nothing.

The real one is PyTorchUtils/PyTorchUtils.py of github.com/fepegar/SlicerPyTorch; the signatures are its own. Its
``installTorch`` asks for consent, installs light-the-torch, lets that install torch and torchvision on the GUI's thread
(``slicer.util.executePythonModule``), and gives back torch, or None if the user declined.

Left out: the panel, uninstalling, backends, torch hub, devices.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class RecordedTorchInstall:
    """A call of ``installTorch``, with the options for pip that it found in the environment."""

    askConfirmation: bool
    torchVersionRequirement: str | None
    pip_options: dict[str, str]


recorded_installs: list[RecordedTorchInstall] = []
installer: Callable[[RecordedTorchInstall], Any] | None = None
"""Plays the installation; what it returns is given back as torch."""


class PyTorchUtilsLogic:
    """The extension's logic."""

    @property
    def torch(self) -> Any:
        if not self.torchInstalled():
            return self.installTorch()
        import torch

        return torch

    @staticmethod
    def torchInstalled() -> bool:
        try:
            return bool(importlib.metadata.version("torch"))
        except importlib.metadata.PackageNotFoundError:
            return False

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        import slicer

        if (
            askConfirmation
            and not slicer.app.commandOptions().testingEnabled
            and not slicer.util.confirmOkCancelDisplay("PyTorch will be downloaded and installed.")
        ):
            return None
        options = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        recorded_installs.append(RecordedTorchInstall(askConfirmation, torchVersionRequirement, options))
        return installer(recorded_installs[-1]) if installer is not None else object()
