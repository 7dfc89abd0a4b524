"""A trained model as a folder: a generator, and enhancers of any number of sites.

| file | holds |
|---|---|
| ``generator.safetensors`` | shape and material generator, latents, their distribution |
| ``enhancer-SITE.safetensors`` | one for each site |
| ``discriminator-SITE.safetensors`` | only for training on |
| ``shape_model.safetensors`` | the shape model, where it is not the one that ships |
| ``card.md`` | for people: what the model is, and what it is not |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.generation.enhancer_file import SiteDiscriminator, SiteEnhancer
from FedSimCore.generation.generator_file import SHAPE_MODEL_FILE, HeartGenerator
from FedSimCore.resources import resource_path

GENERATOR_FILE = "generator.safetensors"
CARD_FILE = "card.md"
SHIPPED = "models/phantom-hearts"
MODEL_OF_RUN = "model"
"""Folder in a run's folder that holds what it has made."""


def enhancer_file(site: str) -> str:
    """Return the name of a site's enhancer."""
    return f"enhancer-{site}.safetensors"


def discriminator_file(site: str) -> str:
    """Return the name of a site's discriminator."""
    return f"discriminator-{site}.safetensors"


@dataclass(frozen=True, eq=False)
class GenerativeModel:
    """A model folder that has been opened.

    Attributes:
        folder: where it lies.
        generator: of shapes and coarse CT.
        sites: those that have an enhancer, in alphabetical order.
    """

    folder: Path
    generator: HeartGenerator
    sites: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> GenerativeModel:
        """Open a model folder, or a finished run's; enhancers are read when they are asked for.

        Raises:
            InputError: there is no generator, or it can't be used.
        """
        folder = model_folder(folder)
        generator = HeartGenerator.load(folder / GENERATOR_FILE)
        return cls(folder, generator, _sites(folder, "enhancer-"))

    def enhancer(self, site: str) -> SiteEnhancer:
        """Read a site's enhancer onto the CPU.

        Raises:
            InputError: there is none, it can't be used, or it was trained with another generator.
        """
        if site not in self.sites:
            has = f"it has those of {', '.join(self.sites)}" if self.sites else "it has none at all"
            raise InputError(f"{self.folder} has no enhancer of a site {site!r}; {has}.")
        path = self.folder / enhancer_file(site)
        enhancer = SiteEnhancer.load(path)
        if enhancer.header.generator_sha256 != self.generator.checksum:
            raise InputError(
                f"{path} was trained with generator {enhancer.header.generator_sha256[:12]}, not with "
                f"{self.generator.checksum[:12]} in the same folder; copy both from the same training."
            )
        return enhancer

    def discriminator(self, site: str) -> SiteDiscriminator:
        """Read a site's discriminator onto the CPU.

        Raises:
            InputError: there is none, it can't be used, or it was trained against another enhancer.
        """
        path = self.folder / discriminator_file(site)
        if not path.exists():
            raise InputError(f"{path} does not exist; the enhancer's training has left it beside the enhancer.")
        discriminator = SiteDiscriminator.load(path)
        if discriminator.header.enhancer_sha256 != self.enhancer(site).checksum:
            raise InputError(f"{path} was trained against another enhancer; copy both from the same training.")
        return discriminator


def shipped_model() -> Path:
    """Return the folder of the model that ships with FedSim, which has learnt from phantoms alone.

    Raises:
        InputError: it is missing.
    """
    return resource_path(SHIPPED)


def model_folder(folder: Path) -> Path:
    """Return the model folder that a path means: itself, or the one in a run.

    Raises:
        InputError: neither holds a generator.
    """
    folder = Path(folder)
    for candidate in (folder, folder / MODEL_OF_RUN):
        if (candidate / GENERATOR_FILE).is_file():
            return candidate
    raise InputError(
        f"{folder} holds no {GENERATOR_FILE}; give a model folder, or a finished run of the recipe generator, "
        "enhancer or semi-supervised."
    )


def write_model(
    folder: Path,
    generator: HeartGenerator,
    enhancers: Iterable[SiteEnhancer] = (),
    discriminators: Iterable[SiteDiscriminator] = (),
    *,
    shape_model: Path | None = None,
    card: str = "",
    half: bool = False,
) -> list[Path]:
    """Write a model folder.

    Args:
        folder: made if need be.
        generator: of the model.
        enhancers: of its sites.
        discriminators: of its sites, for training on.
        shape_model: file of the generator's shape model; None if it is the one that ships.
        card: Markdown for people.
        half: weights in float16, for shipping.

    Returns:
        The files.

    Raises:
        InputError: a weight is too large for float16, or the shape model's file can't be read.
        DiskError: a file can't be written.
    """
    files = [generator.save(folder / GENERATOR_FILE, half)]
    files += [one.save(folder / enhancer_file(one.header.site), half) for one in enhancers]
    files += [one.save(folder / discriminator_file(one.header.site), half) for one in discriminators]
    if shape_model is not None:
        files.append(_copied(shape_model, folder / SHAPE_MODEL_FILE))
    if card:
        with atomic_path(folder / CARD_FILE) as temporary:
            temporary.write_text(card, encoding="utf-8")
        files.append(folder / CARD_FILE)
    return files


def _copied(source: Path, target: Path) -> Path:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error}); restore the shape model.") from error
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return target


def _sites(folder: Path, prefix: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem.removeprefix(prefix) for path in folder.glob(f"{prefix}*.safetensors")))
