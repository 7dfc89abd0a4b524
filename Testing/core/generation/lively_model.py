"""The small model with enhancers that show something: fresh ones make images that are 0 HU all over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.model_folder import write_model
from Testing.core.generation.small_model import SITES, small_enhancer, small_generator


def lively_enhancer(generator: HeartGenerator, site: str, **changes: Any) -> SiteEnhancer:
    """Return an enhancer with large random weights, whose images span hundreds of HU."""
    enhancer = small_enhancer(generator, site, **changes)
    source = torch.Generator().manual_seed(11 + SITES.index(site))
    with torch.no_grad():
        for parameter in enhancer.network.parameters():
            parameter.normal_(0, 0.5, generator=source)
    return enhancer


def write_lively_model(folder: Path) -> HeartGenerator:
    """Write a model folder with enhancers of both sites; return its generator."""
    generator = small_generator()
    write_model(folder, generator, [lively_enhancer(generator, site) for site in SITES])
    return generator
