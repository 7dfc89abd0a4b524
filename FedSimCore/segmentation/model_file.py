"""A segmenter and its file: weights as safetensors with a header that says how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.generation.weights import FileHeader, checked_header, checksum_of, for_file, network_of
from FedSimCore.networks.segmenter import divisor, new_segmenter_network
from FedSimCore.resources import resource_path
from FedSimCore.tensor_files import read_weights, write_weights

SEGMENTER: Literal["segmenter"] = "segmenter"
VERSION: Literal[1] = 1
SHIPPED = "models/segmenter.safetensors"
Regions = Literal["heart", "seven"]
Window = tuple[float, float]
WINDOWS: tuple[Window, ...] = ((-160.0, 240.0), (-1000.0, 1000.0))
"""Soft tissue as radiologists look at it, and everything but metal."""


class SegmenterHeader(FileHeader):
    """What a segmenter's file tells beside the weights.

    Attributes:
        regions: ``"heart"``, one label for all regions (Li et al. 2020), or the ``"seven"``.
        channels: width of each level of the network.
        windows_hu: an input channel for each, from -1 to 1, clipped.
        spacing_mm: of the working grid.
        patch: voxels along each side of what the network sees at once.
        flips: whether it has seen mirrored hearts.
        trained_on: what it has learnt from, for people, a sentence each.
        cases: ids of those of a cohort that it has learnt from; nothing may be measured on them.
    """

    kind: Literal["segmenter"] = SEGMENTER
    version: Literal[1] = VERSION
    regions: Regions = "seven"
    channels: tuple[int, ...] = Field(min_length=2, max_length=8)
    windows_hu: tuple[Window, ...] = Field(default=WINDOWS, min_length=1, max_length=8)
    spacing_mm: float = Field(ge=0.3, le=10)
    patch: int = Field(ge=16, le=512)
    flips: bool = False
    trained_on: tuple[str, ...] = ()
    cases: tuple[str, ...] = Field(default=(), max_length=100_000)

    @model_validator(mode="after")
    def _sizes_fit(self) -> SegmenterHeader:
        if not all(1 <= width <= 1024 for width in self.channels):
            raise ValueError("channels must be from 1 to 1024")
        if self.patch % divisor(self.channels):
            raise ValueError(f"patch must be a multiple of {divisor(self.channels)} with these channels")
        if not all(low < high for low, high in self.windows_hu):
            raise ValueError("a window must rise")
        return self

    @property
    def classes(self) -> int:
        """Background and regions."""
        return 2 if self.regions == "heart" else 1 + len(anatomy.labels())

    def region_names(self) -> dict[int, tuple[str, str]]:
        """Return key and name of every label the segmenter gives."""
        if self.regions == "heart":
            return {1: ("heart", "Heart")}
        return {region.label: (region.key, region.name) for region in anatomy.regions()}

    def trained_label(self, label: Tensor) -> Tensor:
        """Return a label map of the seven regions as this segmenter gives it."""
        return (label > 0).to(label.dtype) if self.regions == "heart" else label


class Segmenter(nn.Module):
    """A network with what has to be known to use it.

    Attributes:
        header: sizes and origin.
        network: from (B, windows, X, Y, Z) to logits (B, classes, X, Y, Z).
    """

    def __init__(self, header: SegmenterHeader, network: nn.Module) -> None:
        """Put both together; the network has the header's sizes."""
        super().__init__()
        self.header, self.network = header, network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (B, classes, X, Y, Z) of inputs (B, windows, X, Y, Z)."""
        logits: Tensor = self.network(inputs)
        return logits

    def inputs(self, hounsfield: Tensor) -> Tensor:
        """Return the network's inputs (B, windows, X, Y, Z) of HU (B, X, Y, Z)."""
        return windowed(hounsfield, self.header.windows_hu)

    @property
    def checksum(self) -> str:
        """SHA-256 of weights and sizes; the same in full and in half precision."""
        header = self.header
        facts = header.regions, header.channels, header.windows_hu, header.spacing_mm, header.patch
        return checksum_of(self.network.state_dict(), *facts)

    def save(self, path: Path, half: bool = False) -> Path:
        """Write the segmenter.

        Args:
            path: ends in ``.safetensors``.
            half: weights in float16, for shipping.

        Raises:
            InputError: a weight is too large for float16.
            DiskError: the file can't be written.
        """
        write_weights(path, for_file(self.network.state_dict(), half), self.header.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, path: Path) -> Segmenter:
        """Read a segmenter onto the CPU, in float32 and evaluation mode.

        Raises:
            InputError: the file is missing, damaged, hostile, of another version or kind, or its weights don't fit
                its header.
        """
        tensors, content = read_weights(path, SEGMENTER)
        header = checked_header(SegmenterHeader, content, path, VERSION)
        return cls(header, network_of(lambda: new_network(header), tensors, "", path)).eval()


def windowed(hounsfield: Tensor, windows_hu: tuple[Window, ...]) -> Tensor:
    """Return (B, windows, X, Y, Z) from -1 to 1 of HU (B, X, Y, Z)."""
    channels = [((hounsfield - low) * (2 / (high - low)) - 1).clamp(-1, 1) for low, high in windows_hu]
    return torch.stack(channels, dim=1)


def new_network(header: SegmenterHeader, seed: int = 0) -> nn.Module:
    """Make an untrained network of a header's sizes."""
    return new_segmenter_network(len(header.windows_hu), header.classes, header.channels, seed)


def segmenter_file(run_or_file: Path) -> Path:
    """Return the segmenter's file of a finished run, or the file that is named itself.

    Raises:
        InputError: a folder has none.
    """
    if not run_or_file.is_dir():
        return run_or_file
    for path in (run_or_file / MODEL_OF_RUN, run_or_file / "segmenter.safetensors"):
        if path.exists():
            return path
    raise InputError(f"{run_or_file} has no {MODEL_OF_RUN}; name a segmenter's file, or a finished run that wrote one.")


MODEL_OF_RUN = "model/segmenter.safetensors"


def shipped_segmenter() -> Path:
    """Return the file of the segmenter that ships with FedSim.

    Raises:
        InputError: it is missing.
    """
    return resource_path(SHIPPED)
