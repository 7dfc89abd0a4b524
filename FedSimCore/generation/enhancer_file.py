"""A site's enhancer and its discriminator, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from FedSimCore.errors import InputError
from FedSimCore.generation.coarse import Coarse
from FedSimCore.generation.fixed_materials import FixedMaterials
from FedSimCore.generation.weights import (
    FileHeader,
    checked_header,
    checksum_of,
    for_file,
    network_of,
    prefixed,
)
from FedSimCore.networks.discriminator import MultiScaleDiscriminator
from FedSimCore.networks.enhancer import CONDITION_CHANNELS, Enhancer
from FedSimCore.networks.intensity import IntensityRange
from FedSimCore.networks.spade import Norm, Shrinking
from FedSimCore.progress import Progress, silent
from FedSimCore.tensor_files import read_weights, write_weights
from FedSimCore.volumes import Grid

ENHANCER: Literal["site enhancer"] = "site enhancer"
DISCRIMINATOR: Literal["site discriminator"] = "site discriminator"
VERSION: Literal[1] = 1
SITE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._ -]*$"


class EnhancerHeader(FileHeader):
    """What an enhancer's file tells beside the weights.

    Attributes:
        site: whose look it gives.
        condition: the coarse CT it was trained with.
        fixed_materials: with ``"fixed-materials"`` the scan that makes it.
        generator_sha256: checksum of the generator whose coarse CT it was trained with.
        channels: see :class:`~FedSimCore.networks.enhancer.Enhancer`.
        hidden: likewise.
        norm: likewise.
        shrinking: likewise.
        size: voxels along each side of the working grid.
        spacing_mm: of the working grid.
        low_hu: see :class:`~FedSimCore.networks.intensity.IntensityRange`.
        high_hu: likewise.
        features: what the perceptual loss compared images by.
        cases: ids of those it has learnt from.
    """

    kind: Literal["site enhancer"] = ENHANCER
    version: Literal[1] = VERSION
    stage: Literal["pre-trained", "semi-supervised"] = "pre-trained"
    site: str = Field(min_length=1, max_length=100, pattern=SITE_PATTERN)
    condition: Coarse
    fixed_materials: FixedMaterials | None = None
    generator_sha256: str
    channels: int = Field(ge=1)
    hidden: int = Field(ge=1)
    norm: Norm = "batch"
    shrinking: Shrinking = "area"
    size: int = Field(ge=32, le=1024, multiple_of=32)
    spacing_mm: float = Field(gt=0, le=50)
    low_hu: float = -1000.0
    high_hu: float = 1000.0
    features: str
    cases: tuple[str, ...]


class SiteEnhancer(nn.Module):
    """An enhancer with what has to be known to use it.

    Attributes:
        header: sizes and origin.
        network: the enhancer.
    """

    def __init__(self, header: EnhancerHeader, network: Enhancer) -> None:
        """Put both together; the network has the header's sizes."""
        super().__init__()
        self.header, self.network = header, network

    @property
    def grid(self) -> Grid:
        """The working grid, round the origin."""
        return Grid.centered(self.header.size, self.header.spacing_mm)

    @property
    def intensity(self) -> IntensityRange:
        """The unit scale of the images."""
        return IntensityRange(self.header.low_hu, self.header.high_hu)

    @property
    def checksum(self) -> str:
        """SHA-256 of the network, its site and its generator; the same in full and in half precision."""
        return checksum_of(self.network.state_dict(), self.header.site, self.header.generator_sha256)

    def enhance(self, coarse: Tensor, regions: Tensor, batch: int = 16, progress: Progress = silent) -> Tensor:
        """Make CT volumes (B, 1, X, Y, Z) in HU.

        Args:
            coarse: (B, 1, x, y, z) coarse CT on the unit scale; any size.
            regions: (B, X, Y, Z) label map or (B, R, X, Y, Z) probabilities.
            batch: slices at a time.
            progress: told after each batch.
        """
        return self.intensity.hounsfield(self.network.enhance(coarse, regions, batch, progress))

    def save(self, path: Path, half: bool = False) -> Path:
        """Write the enhancer.

        Args:
            path: ends in ``.safetensors``.
            half: weights in float16, for shipping.

        Raises:
            InputError: a weight is too large for float16.
            DiskError: the file can't be written.
        """
        tensors = for_file(prefixed("enhancer.", self.network), half)
        write_weights(path, tensors, self.header.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, path: Path) -> SiteEnhancer:
        """Read an enhancer onto the CPU, in float32 and evaluation mode.

        Raises:
            InputError: the file is missing, damaged, hostile, of another version or kind, or its weights don't fit
                its header.
        """
        tensors, content = read_weights(path, ENHANCER)
        header = checked_header(EnhancerHeader, content, path, VERSION)
        if header.condition == "fixed-materials" and header.fixed_materials is None:
            raise InputError(f"{path} does not tell how its fixed materials are scanned; train it again.")
        return cls(header, network_of(lambda: new_enhancer(header), tensors, "enhancer.", path))


def new_enhancer(header: EnhancerHeader, seed: int = 0) -> Enhancer:
    """Make an untrained enhancer of a header's sizes."""
    return Enhancer(
        channels=header.channels, hidden=header.hidden, norm=header.norm, shrinking=header.shrinking, seed=seed
    )


class DiscriminatorHeader(FileHeader):
    """What a discriminator's file tells beside the weights.

    Attributes:
        site: whose slices it knows.
        enhancer_sha256: checksum of the enhancer it was trained against.
        channels: see :class:`~FedSimCore.networks.discriminator.PatchDiscriminator`.
        layers: likewise.
        scales: levels of the image pyramid.
    """

    kind: Literal["site discriminator"] = DISCRIMINATOR
    version: Literal[1] = VERSION
    site: str = Field(min_length=1, max_length=100, pattern=SITE_PATTERN)
    enhancer_sha256: str
    channels: int = Field(ge=1)
    layers: int = Field(ge=2, le=8)
    scales: int = Field(ge=1, le=8)


class SiteDiscriminator(nn.Module):
    """A discriminator; only training goes on with it.

    Attributes:
        header: sizes and origin.
        network: the discriminator.
    """

    def __init__(self, header: DiscriminatorHeader, network: MultiScaleDiscriminator) -> None:
        """Put both together; the network has the header's sizes."""
        super().__init__()
        self.header, self.network = header, network

    def save(self, path: Path, half: bool = False) -> Path:
        """Write the discriminator; see :meth:`SiteEnhancer.save`."""
        tensors = for_file(prefixed("discriminator.", self.network), half)
        write_weights(path, tensors, self.header.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, path: Path) -> SiteDiscriminator:
        """Read a discriminator; see :meth:`SiteEnhancer.load`."""
        tensors, content = read_weights(path, DISCRIMINATOR)
        header = checked_header(DiscriminatorHeader, content, path, VERSION)
        network = network_of(lambda: new_discriminator(header), tensors, "discriminator.", path)
        return cls(header, network)


def new_discriminator(header: DiscriminatorHeader, seed: int = 0) -> MultiScaleDiscriminator:
    """Make an untrained discriminator of a header's sizes."""
    return MultiScaleDiscriminator(
        CONDITION_CHANNELS, channels=header.channels, layers=header.layers, scales=header.scales, seed=seed
    )
