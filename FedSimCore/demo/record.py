"""What the demonstration has made so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from FedSimCore.pictures.slices import Window

SITES = {"adult": "Healthy adults", "congenital-mild": "Congenital, mild", "congenital-severe": "Congenital, severe"}
UNSEEN_SEED = 123_456
"""Of the patients. What ships was made from other seeds, so they are new to every model."""
CTA = Window(level_hu=200.0, width_hu=900.0)


@dataclass
class Demonstration:
    """What the demonstration made.

    Attributes:
        out: folder of everything.
        files: what was written, relative to ``out``, with a sentence for each.
        results: numbers for machines.
    """

    out: Path
    files: dict[str, str] = field(default_factory=dict)
    results: dict[str, object] = field(default_factory=dict)

    def keep(self, name: str, about: str) -> Path:
        """Register a file and return its path."""
        self.files[name] = about
        return self.out / name
