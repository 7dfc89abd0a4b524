"""Artifacts of the downstream task: what a segmenter scores on test cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from FedSimCore.cohorts import read_table
from FedSimCore.errors import InputError
from FedSimCore.experiments.artifact import Artifact, Bench
from FedSimCore.experiments.cases import CaseTable
from FedSimCore.experiments.trained import Trained
from FedSimCore.files import read_json, write_json

SCHEMA = "fedsim/experiment-scores/1"
SCORES_NAME = "scores.json"
Regions = Literal["heart", "seven"]


@dataclass(frozen=True, eq=False)
class Segmentations(Artifact):
    """What a segmenter finds in test cases.

    Attributes:
        segmenter: run of the recipe segmenter.
        tested: the cases.
    """

    segmenter: Trained
    tested: CaseTable
    result = "segmentations"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"segmentations-of-{self.segmenter.title}"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Segmenter and cases."""
        return (self.segmenter, self.tested)

    @property
    def content(self) -> Mapping[str, Any]:
        """How scans are looked at: 3, windows at fixed places in the world, is not what it was."""
        return {"looking": 3}

    def file(self, folder: Path, case: str) -> Path:
        """Return where a case's labels lie."""
        return folder / self.result / f"{case}.nii.gz"

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Segment every case as ``fedsim segment`` does."""
        import torch

        from FedSimCore.segmentation.model_file import Segmenter, segmenter_file
        from FedSimCore.segmentation.predict import segment
        from FedSimCore.volumes.io import read_volume, write_label_map

        segmenter = Segmenter.load(segmenter_file(bench.result(self.segmenter)))
        cases, empty = read_table(bench.result(self.tested) / "cohort.csv").cases, []
        for number, case in enumerate(cases):
            bench.progress(number, len(cases), self.title)
            assert case.image is not None
            found = segment(read_volume(case.image), segmenter, device=torch.device(bench.device))
            if not found.found:
                empty.append(case.id)
            write_label_map(found.labels, self.file(folder, case.id))
        return {"cases": len(cases), "empty": empty}


@dataclass(frozen=True, eq=False)
class Scores(Artifact):
    """Metrics of what a segmenter found in every test case.

    Attributes:
        found: the segmentations.
        regions: that are segmented.
    """

    found: Segmentations
    regions: Regions
    result = SCORES_NAME

    @property
    def title(self) -> str:
        """Name for people."""
        return f"scores-of-{self.found.segmenter.title}"

    @property
    def tested(self) -> CaseTable:
        """The test cases."""
        return self.found.tested

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Segmentations and cases."""
        return (self.found, self.tested)

    @property
    def content(self) -> Mapping[str, Any]:
        """What is measured."""
        return {"regions": self.regions}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Measure."""
        from FedSimCore.evaluation.segmentation import METRICS, compare, implementations
        from FedSimCore.volumes.io import read_label_map

        cases = read_table(bench.result(self.tested) / "cohort.csv").cases
        found: dict[str, dict[str, dict[str, float | None]]] = {}
        for number, case in enumerate(cases):
            bench.progress(number, len(cases), self.title)
            assert case.label is not None
            made = read_label_map(self.found.file(self.found.folder(bench.root), case.id))
            compared = compare(made, read_label_map(case.label, case.scheme), case.id, self.regions)
            found[case.id] = {
                metric: {score.region: getattr(score, metric) for score in compared.regions} for metric in METRICS
            }
        write_json(folder / SCORES_NAME, {"schema": SCHEMA, "implementations": implementations(), "cases": found})
        dice = [metrics["dice"]["heart"] or 0.0 for metrics in found.values()]
        return {"cases": len(found), "dice": sum(dice) / max(len(dice), 1)}


def read_scores(folder: Path) -> dict[str, Any]:
    """Read the scores of a finished artifact.

    Returns:
        ``cases``: case to metric to region to value (None where it is not defined), and ``implementations``: metric to
        what computed it.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / SCORES_NAME
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path} holds no scores ({SCHEMA}); remove its folder, and it is made again.")
    return content
