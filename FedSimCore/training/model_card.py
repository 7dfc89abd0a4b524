"""The card of a model: what it is, and what it is not, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.generator_file import HeartGenerator

_COARSE = {
    "rendered": "a scan of the generated material map (16 voxels cubed)",
    "read": "the generated material map itself (16 voxels cubed)",
    "fixed-materials": "a scan at full resolution with tissues from tables (the paper's Fix-Mat)",
}
_STAGE = {
    "pre-trained": 'on labelled hearts only (the paper\'s "Pre")',
    "semi-supervised": 'on labelled, then on labelled and unlabelled hearts (the paper\'s "Full")',
}


def card(generator: HeartGenerator, enhancers: Sequence[SiteEnhancer] = ()) -> str:
    """Return the card of a model in Markdown."""
    header = generator.header
    sites = Counter(case.site for case in header.cases)
    lines = [
        "# A generative model of hearts",
        "",
        "Made by FedSim after Li et al. 2020, *Federated Simulation for Medical Imaging*. Not for clinical use: its",
        "hearts are nobody's, and what it was not shown it cannot know.",
        "",
        f"- trained {_STAGE[header.stage]}",
        f"- working grid: {header.size} voxels of {header.spacing_mm:g} mm along each side",
        f"- shapes: {header.modes} modes of shape model {header.shape_model_sha256[:12]}",
        f"- the enhancer's coarse CT: {_COARSE[header.coarse]}",
        f"- perceptual features: {header.features or 'none'}",
        f"- latents: {header.latent_size} numbers for each of {len(header.cases)} cases ("
        + ", ".join(f"{site}: {count}" for site, count in sites.items())
        + ")",
        f"- generator {generator.checksum[:12]}, {_made(header.provenance)}",
        *_metrics(header.metrics),
    ]
    for enhancer in enhancers:
        own = enhancer.header
        lines += [
            "",
            f"## Enhancer of {own.site}",
            "",
            f"- {own.channels} channels, {own.hidden} hidden, learnt from {len(own.cases)} cases",
            f"- perceptual features: {own.features}",
            f"- {_made(own.provenance)}",
            *_metrics(own.metrics),
        ]
    return "\n".join(lines) + "\n"


def _made(provenance: dict[str, object]) -> str:
    told = [f"{name} {provenance[name]}" for name in ("recipe", "steps", "batch_size", "seed") if name in provenance]
    return (
        f"{', '.join(told)}; FedSim {provenance.get('fedsim', '?')}, commit {str(provenance.get('commit', '?'))[:12]}"
    )


def _metrics(metrics: dict[str, float]) -> list[str]:
    return [f"- {name}: {value:.4g}" for name, value in metrics.items()]
