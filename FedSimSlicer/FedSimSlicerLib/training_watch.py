"""Looking at runs again and again, in a thread: what there is, how far it is, and the details of what is chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from FedSimCore.errors import FedSimError
from FedSimCore.runs.comparison import Comparison, compare_runs
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimSlicerLib.repeated_look import RepeatedLook
from FedSimSlicerLib.run_reader import REST_S, RunReader
from FedSimSlicerLib.training_runs import TrainingRuns, log_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from FedSimCore.runs.events import Pictured
    from FedSimCore.runs.history import RunHistory, RunStatus
    from FedSimSlicerLib.training_runs import Start

MOST_POINTS = 1000
"""Of a curve; more are thinned."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A metric of a run.

    Attributes:
        run: name of the run.
        metric: name of the metric.
        steps: at which it was told.
        values: then.
    """

    run: str
    metric: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Details:
    """What is shown of the run that is chosen.

    Attributes:
        path: of the run.
        pictures: in the order in which they were made.
        log: its end.
        keep: whether the run goes on when Slicer ends.
        has_model: whether it has made a model whose hearts can be seen.
        has_segmenter: whether it has made a segmenter.
    """

    path: Path
    pictures: tuple[Pictured, ...]
    log: str
    keep: bool
    has_model: bool
    has_segmenter: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """One look.

    Attributes:
        rows: every run's state, the newest run first.
        starting: folders of those whose process has not made a step, with what it prepares.
        begun: folders of those that have since the last look.
        failed: folders of those that ended before, with the reason.
        problem: why nothing could be seen; empty if it could.
        details: of the chosen run; None without one.
        curves: of the chosen runs.
        metrics: names of all that the chosen runs tell.
        comparison: of the chosen runs; None for fewer than two.
    """

    rows: tuple[RunStatus, ...] = ()
    starting: Mapping[Path, str] = field(default_factory=dict)
    begun: tuple[Path, ...] = ()
    failed: Mapping[Path, str] = field(default_factory=dict)
    problem: str = ""
    details: Details | None = None
    curves: tuple[Curve, ...] = ()
    metrics: tuple[str, ...] = ()
    comparison: Comparison | None = None


class TrainingWatch(RepeatedLook[Seen]):
    """Looks at the runs in a folder; of the first that is chosen the details are wanted, of all the curves.

    Args:
        runs: whose processes are followed until they train.
    """

    def __init__(self, runs: TrainingRuns) -> None:
        super().__init__(runs, _Eyes().look, lambda problem: Seen(problem=problem))


class _Eyes:
    """What is known of the runs; used by the thread alone."""

    def __init__(self) -> None:
        self._reader = RunReader()
        self._drawn: dict[Path, tuple[int, list[Curve]]] = {}
        self._compared: tuple[list[RunStatus], Comparison | None] = [], None

    def look(self, folder: Path, chosen: Sequence[Path], starting: Sequence[Start]) -> Seen:
        begun, failed, waiting = [], {}, {}
        for start in starting:
            path = start.run.path
            history = self._reader.history(path)
            if start.begun(history):
                begun.append(path)
            elif reason := start.failure():
                failed[path] = reason
            else:
                newest = history.status() if start.run.exists else None
                waiting[path] = newest.stage if newest is not None and newest.session == 0 else ""
        # After that, so that a run that has just begun is among them.
        try:
            found = [run.path for run in runs_below(folder)] if folder.is_dir() else []
        except (FedSimError, OSError) as error:
            return Seen(problem=str(error))
        self._forget_all_but({*found, *waiting})
        states = {path: status for path in found if (status := self._reader.status(path)) is not None}
        there = [path for path in chosen if path in states]
        histories = [self._reader.history(path) for path in there]
        return Seen(
            rows=tuple(sorted(states.values(), key=lambda row: self._began(Path(row.path)), reverse=True)),
            starting=waiting,
            begun=tuple(begun),
            failed=failed,
            details=self._details(there[0]) if there else None,
            curves=tuple(curve for history in histories for curve in self._curves(history)),
            metrics=tuple(dict.fromkeys(name for history in histories for name in history.metric_names())),
            comparison=self._comparison([states[path] for path in there]),
        )

    def _began(self, path: Path) -> float:
        events = self._reader.history(path).events
        return events[0].time if events else math.inf

    def _forget_all_but(self, paths: set[Path]) -> None:
        self._reader.forget_all_but(paths)
        for path in set(self._drawn) - paths:
            del self._drawn[path]

    def _details(self, path: Path) -> Details:
        return Details(
            path,
            pictures=tuple(self._reader.history(path).pictures()),
            log=log_tail(path),
            keep=TrainingRuns.keeps(path),
            has_model=(path / "model" / "generator.safetensors").is_file(),
            has_segmenter=(path / "model" / "segmenter.safetensors").is_file(),
        )

    def _curves(self, history: RunHistory) -> list[Curve]:
        path, name = history.run.path, history.run.name
        if path not in self._drawn or self._drawn[path][0] != len(history.events):
            curves = []
            for metric in history.metric_names():
                curves.append(Curve(name, metric, *thinned(*history.curve(metric))))
                time.sleep(REST_S)
            self._drawn[path] = len(history.events), curves
        return self._drawn[path][1]

    def _comparison(self, states: list[RunStatus]) -> Comparison | None:
        if states != self._compared[0]:
            runs = [RunFolder(Path(state.path)) for state in states]
            self._compared = states, compare_runs(runs) if len(runs) > 1 else None
        return self._compared[1]


def thinned(
    at: Sequence[float], told: Sequence[float], most: int = MOST_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a curve with at most ``most`` points: of each stretch its lowest and its highest, and the newest point."""
    steps, values = np.asarray(at, dtype=np.float64), np.asarray(told, dtype=np.float64)
    if len(steps) <= most:
        return steps, values
    kept = [
        int(stretch[position(values[stretch])])
        for stretch in np.array_split(np.arange(len(steps)), (most - 1) // 2)
        for position in (np.argmin, np.argmax)
    ]
    chosen = np.unique([*kept, len(steps) - 1])
    return steps[chosen], values[chosen]
