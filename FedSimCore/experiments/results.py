"""What an experiment has found so far: values of every case, summaries of every cell of a table, tests, and holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from FedSimCore.experiments.definition import Comparison, Method
from FedSimCore.experiments.planning import Cell, Plan
from FedSimCore.experiments.segmenters import read_scores
from FedSimCore.experiments.statistics import PairedTest, Summary, holm, paired_test, summarize
from FedSimCore.experiments.workshop import state_of
from FedSimCore.files import read_json

MAIN = "dice"
WHOLE = "heart"
"""Region that all others are part of."""


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        title: of its table.
        unit: of the shown numbers.
        factor: from the stored to the shown number.
        digits: after the point.
    """

    title: str
    unit: str
    factor: float = 1.0
    digits: int = 2


METRICS: dict[str, Metric] = {
    "dice": Metric("Dice", "%", 100.0),
    "hd95_mm": Metric("95th percentile Hausdorff distance", "mm"),
    "assd_mm": Metric("average symmetric surface distance", "mm"),
    "bahd_mm": Metric("balanced average Hausdorff distance", "mm"),
}


@dataclass(frozen=True)
class Difference:
    """A comparison in a column.

    Attributes:
        column: of the table.
        comparison: which methods.
        result: of the patients that both were tested on.
        corrected: p after Holm's correction for all tests of the table.
    """

    column: str
    comparison: Comparison
    result: PairedTest
    corrected: float | None


@dataclass(frozen=True, eq=False)
class Results:
    """What is there.

    Attributes:
        plan: of the experiment.
        values: cell name to case to metric to region to value; None where a metric is not defined.
        holes: cell name to why it has no values.
        implementations: metric to what computed it.
        commits: of which sources the artifacts were made.
        seconds: of the processor, of all artifacts.
    """

    plan: Plan
    values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float | None]]]]
    holes: Mapping[str, str]
    implementations: Mapping[str, str]
    commits: tuple[str, ...]
    seconds: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the tables."""
        return tuple(dict.fromkeys(cell.column for cell in self.plan.cells))

    def cells(self, method: str, column: str) -> list[Cell]:
        """Return a method's cells in a column, a fold each."""
        return [cell for cell in self.plan.cells if (cell.method, cell.column) == (method, column)]

    def cases(self, cell: Cell, metric: str) -> dict[str, float]:
        """Return the value of each case, mean over its regions; cases for which it is not defined are left out."""
        found = {}
        for case, metrics in self.values.get(cell.name, {}).items():
            regions = metrics.get(metric, {})
            counted = [name for name in regions if name != WHOLE] or list(regions)
            known = [value for name in counted if (value := regions[name]) is not None]
            if known:
                found[case] = float(np.mean(known))
        return found

    def summary(self, method: str, column: str, metric: str = MAIN) -> Summary | None:
        """Return a number of the table; None where nothing is there."""
        return summarize({cell.fold: list(self.cases(cell, metric).values()) for cell in self.cells(method, column)})

    def differences(self, metric: str = MAIN) -> list[Difference]:
        """Return the experiment's comparisons in every column where both methods have values."""
        found = []
        for column in self.columns:
            for comparison in self.plan.experiment.comparisons:
                one, other = (self._by_case(key, column, metric) for key in (comparison.method, comparison.against))
                result = paired_test(one, other)
                if result is not None:
                    found.append((column, comparison, result))
        corrected = holm([result.p for _, _, result in found])
        return [Difference(*parts, p) for parts, p in zip(found, corrected, strict=True)]

    def _by_case(self, method: str, column: str, metric: str) -> dict[str, float]:
        return {case: value for cell in self.cells(method, column) for case, value in self.cases(cell, metric).items()}

    def paper(self, method: Method, column: str) -> tuple[float, ...] | None:
        """Return the paper's mean and standard deviation in percent; None where it has none."""
        return method.paper.get(column) or method.paper.get(column.split("/")[0])


def read_results(plan: Plan, root: Path) -> Results:
    """Read what is there.

    Args:
        plan: of the experiment.
        root: folder of the artifacts.

    Raises:
        InputError: a file of scores is damaged.
    """
    values: dict[str, Any] = {}
    holes: dict[str, str] = {}
    implementations: dict[str, str] = {}
    for cell in plan.cells:
        state, failure = state_of(cell, root)
        if state == "done":
            scores = read_scores(cell.scores.folder(root))
            values[cell.name] = scores["cases"]
            implementations |= scores["implementations"]
        else:
            holes[cell.name] = failure.reason if failure else {"waiting": "not run"}.get(state, "not finished")
    made = {one.key: one for cell in plan.cells for one in cell.scores.with_needs() if one.is_done(root)}
    told = [read_json(one.folder(root) / "artifact.json") for one in made.values()]
    commits = tuple(sorted({one["commit"] for one in told}))
    seconds = sum(one["facts"].get("processor_seconds", 0.0) for one in told)
    return Results(plan, values, holes, implementations, commits, seconds)
