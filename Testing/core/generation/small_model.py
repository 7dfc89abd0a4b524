"""A model of a few thousand weights, untrained, for tests of files and of what is made with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from FedSimCore.generation.coarse import Coarse
from FedSimCore.generation.enhancer_file import (
    DiscriminatorHeader,
    EnhancerHeader,
    SiteDiscriminator,
    SiteEnhancer,
    new_discriminator,
    new_enhancer,
)
from FedSimCore.generation.generator_file import GeneratorHeader, HeartGenerator, TrainingCase
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.generation.model_folder import write_model
from FedSimCore.networks.generators import Latents, ShapeGenerator
from FedSimCore.networks.material_generator import MaterialGenerator
from FedSimCore.shape.model import ShapeModel, builtin_model

SITES = ("a", "b")


def small_generator(coarse: Coarse = "read", model: ShapeModel | None = None, **changes: Any) -> HeartGenerator:
    """Return a generator with random weights for four cases of two sites, on a grid of 32 voxels of 5 mm."""
    model = model or builtin_model(None).with_modes(3)
    cases = tuple(TrainingCase(id=f"case{number}", site=SITES[number % 2]) for number in range(4))
    fields = {
        "coarse": coarse,
        "latent_size": 4,
        "hidden": (8,),
        "kernels": (3, 3, 5),
        "modes": model.mode_count,
        "shape_model_sha256": model.checksum,
        "size": 32,
        "spacing_mm": 5.0,
        "cases": cases,
    }
    header = GeneratorHeader(**{**fields, **changes})
    latents = Latents(len(cases), 4, seed=5).vectors.weight
    material = MaterialGenerator(4, header.kernels, seed=3) if coarse != "fixed-materials" else None
    shape = ShapeGenerator(model.parameter_count, 4, (8,), seed=2)
    return HeartGenerator(header, model, shape, material, latents, LatentNormal.fitted(latents)).eval()


def small_enhancer(generator: HeartGenerator, site: str = "a", **changes: Any) -> SiteEnhancer:
    """Return an untrained enhancer for a small generator."""
    fields = {
        "site": site,
        "condition": generator.header.coarse,
        "generator_sha256": generator.checksum,
        "channels": 1,
        "hidden": 4,
        "size": 32,
        "spacing_mm": 5.0,
        "features": "none",
        "cases": ("case0",),
    }
    header = EnhancerHeader(**{**fields, **changes})
    return SiteEnhancer(header, new_enhancer(header, seed=SITES.index(site))).eval()


def small_discriminator(enhancer: SiteEnhancer) -> SiteDiscriminator:
    """Return an untrained discriminator for an enhancer."""
    header = DiscriminatorHeader(
        site=enhancer.header.site, enhancer_sha256=enhancer.checksum, channels=4, layers=2, scales=2
    )
    return SiteDiscriminator(header, new_discriminator(header))


def write_small_model(folder: Path, half: bool = False) -> HeartGenerator:
    """Write a model folder with enhancers and discriminators of both sites; return its generator."""
    generator = small_generator()
    enhancers = [small_enhancer(generator, site) for site in SITES]
    discriminators = [small_discriminator(enhancer) for enhancer in enhancers]
    write_model(folder, generator, enhancers, discriminators, card="# A model for tests\n", half=half)
    return generator


def random_latents(count: int = 2) -> torch.Tensor:
    """Return latents of the small generator."""
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(7))
