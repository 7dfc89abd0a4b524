"""The card of a segmenter: what it has seen, how good it was, what it is not for."""

from __future__ import annotations

from FedSimCore.segmentation.model_file import Segmenter


def card(segmenter: Segmenter, more: str = "") -> str:
    """Return the card in Markdown; ``more`` is put before the figures."""
    header = segmenter.header
    regions = "the whole heart as one" if header.regions == "heart" else "the heart's seven regions"
    windows = " and ".join(f"{low:g} to {high:g} HU" for low, high in header.windows_hu)
    weights = sum(p.numel() for p in segmenter.network.parameters())
    made = header.provenance
    lines = [
        f"# A segmenter of {regions}",
        "",
        "Made by FedSim. **Not for clinical use**: no result may be relied on unseen.",
        "",
        f"- 3D U-Net of MONAI, widths {', '.join(map(str, header.channels))}, {weights / 1e6:.2f} million weights",
        f"- works at {header.spacing_mm:g} mm on windows of {header.patch} voxels along each side; sees {windows}",
        f"- {'has' if header.flips else 'has not'} seen mirrored hearts",
        *(f"- learnt from {sentence}" for sentence in header.trained_on),
        f"- {made.get('recipe', '?')}, {made.get('steps', '?')} steps of {made.get('batch_size', '?')}, seed "
        f"{made.get('seed', '?')}; FedSim {made.get('fedsim', '?')}, commit {str(made.get('commit', '?'))[:12]}",
        *([more] if more else []),
        *(f"- {name}: {value:.4g}" for name, value in header.metrics.items()),
    ]
    return "\n".join(lines) + "\n"
