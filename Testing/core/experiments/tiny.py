"""An experiment so small that it takes a minute: nine hearts on 32 voxels of 6 mm, a few steps of each recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.experiments.processes import Order
from Testing.core.training.small_runs import write_ct_cohort

SITE, LABELLED, CASES = "A", 2, 9
QUIET = {"evaluate_every": 2, "picture_every": 100, "report_every": 1, "checkpoint_every": 1}
SCALE: dict[str, Any] = {
    "schema": "fedsim/experiment-scale/1",
    "says": "Tiny scale, for tests.",
    "size": 32,
    "spacing_mm": 6.25,
    "folds": 1,
    "random_hearts": 2,
    "synthetic": 2,
    "recipes": {
        "generator": {"steps": 1, "coarse": "read", "latent_size": 6, "hidden": [16], "modes": 3, **QUIET},
        "enhancer": {"steps": 1, "channels": 1, "hidden": 4, "discriminator_channels": 4, **QUIET},
        "semi-supervised": {"steps": 2, "batch_size": 1, "slices": 2, **QUIET},
        "segmenter": {"steps": 4, "channels": [4, 8], "precision": "32-true", **QUIET},
    },
}
LOWER: dict[str, Any] = {
    "key": "lower-bound",
    "title": "Lower Bound",
    "finetune": "labelled",
    "paper": {"A/2": [87.65, 2.2]},
}
FULL: dict[str, Any] = {
    "key": "full",
    "title": "Ours-Full",
    "finetune": "labelled",
    "pretrain": {"source": "generated", "variant": "full"},
}
SHAPES: dict[str, Any] = {
    "key": "true-shapes",
    "title": "true shapes",
    "pretrain": {"source": "exchanged", "variant": "pre", "truth": ["shapes"]},
}
RANDOM: dict[str, Any] = {
    "key": "random-intensities",
    "title": "SynthSeg-like",
    "finetune": "labelled",
    "pretrain": {"source": "random-intensities"},
}
UPPER: dict[str, Any] = {"key": "upper-bound", "title": "Upper Bound", "finetune": "all", "paper": {"A": [89.81, 2.5]}}
EXPERIMENT: dict[str, Any] = {
    "schema": "fedsim/experiment/1",
    "title": "A tiny experiment",
    "source": "Nowhere.",
    "folds": 3,
    "batch_size": 1,
    "sites": [{"key": SITE, "phantoms": "adult", "cases": 5, "labelled": [LABELLED], "sizes": [12, 4, 4]}],
    "methods": [LOWER, FULL, SHAPES, RANDOM, UPPER],
    "comparisons": [{"method": "full", "against": "lower-bound"}],
}


@dataclass(frozen=True)
class Tiny:
    """Where the files lie.

    Attributes:
        cohort: folder of nine hearts of one site.
        experiment: its file.
        scale: its file.
    """

    cohort: Path
    experiment: Path
    scale: Path

    def order(self, out: Path, **changes: Any) -> Order:
        """Return what a command would ask for."""
        fields: dict[str, Any] = {
            "experiment": str(self.experiment),
            "scale": str(self.scale),
            "out": out,
            "cohorts": ((SITE, self.cohort),),
            "threads": 1,
        }
        return Order(**{**fields, **changes})


def write_tiny(folder: Path) -> Tiny:
    """Write cohort, experiment and scale."""
    cohort = write_ct_cohort(folder, CASES)
    names = [f"heart{number}" for number in range(CASES)]
    rows = [f"{name},{name}_image.nii.gz,{name}_label.nii.gz,{SITE}" for name in names]
    (cohort / "cohort.csv").write_text("\n".join(["case,image,label,site", *rows]))
    for name, content in (("experiment", EXPERIMENT), ("scale", SCALE)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    return Tiny(cohort, folder / "experiment.json", folder / "scale.json")
