"""Looking at runs again and again, in a thread: what there is, how far it is, and the details of what is chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import qt
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.runs.comparison import Comparison, compare_runs
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimCore.runs.history import RunHistory, RunStatus
from FedSimCore.runs.lock import is_locked
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.training_runs import TrainingRuns, log_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from FedSimCore.runs.events import Pictured
    from FedSimSlicerLib.training_runs import Start

LOOK_AGAIN_MS = 1000
"""From the end of one look to the next; on a slow drive a look takes longer, and none is begun meanwhile."""
UNSEEN_MS = 10_000
"""The same while nobody sees the panel."""
MOST_POINTS = 1000
"""Of a curve; more are thinned."""
PORTION_BYTES = 16_384
"""Of a run's events that are read in one go: some 2 ms, in which the GUI's thread may have to wait for this one."""
REST_S = 0.001
"""Between two portions."""


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
    """

    path: Path
    pictures: tuple[Pictured, ...]
    log: str
    keep: bool
    has_model: bool


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


class TrainingWatch:
    """Looks at the runs in a folder every second.

    Attributes:
        seen: emitted after every look.
        folder: where runs are looked for, in subfolders too.
        chosen: runs whose curves are wanted; of the first the details too.

    Args:
        runs: whose processes are followed until they train.
    """

    def __init__(self, runs: TrainingRuns) -> None:
        self.seen: Signal[[Seen]] = Signal()
        self.folder = Path()
        self.chosen: tuple[Path, ...] = ()
        self._runs = runs
        self._eyes = _Eyes()
        self._background = Background()
        self._again = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._timer.connect("timeout()", self.look)

    def look(self) -> None:
        """Look now, or as soon as the look that is under way has ended."""
        if self._background.busy:
            self._again = True
            return
        self._timer.stop()
        self._again = False
        folder, chosen, starting = self.folder, self.chosen, tuple(self._runs.starting.values())
        self._background.run(lambda: self._eyes.look(folder, chosen, starting), self._tell, self._fail)

    def set_pace(self, seen: bool) -> None:
        """Look less often while nobody sees what comes of it."""
        pace = LOOK_AGAIN_MS if seen else UNSEEN_MS
        if self._timer.interval != pace:  # setting it lets a running timer begin anew
            self._timer.setInterval(pace)

    def close(self) -> None:
        """End."""
        self._timer.stop()
        self._background.close()

    def _tell(self, seen: Seen) -> None:
        for folder in (*seen.begun, *seen.failed):
            self._runs.started(folder)
        self._timer.start()
        self.seen.emit(seen)
        if self._again:
            self.look()

    def _fail(self, error: BaseException) -> None:
        self._tell(Seen(problem=_("The runs cannot be read ({why}).").format(why=error)))


class _Eyes:
    """What is known of the runs; used by the thread alone."""

    def __init__(self) -> None:
        self._histories: dict[Path, RunHistory] = {}
        self._states: dict[Path, tuple[tuple[bool, bool], RunStatus]] = {}
        self._drawn: dict[Path, tuple[int, list[Curve]]] = {}
        self._compared: tuple[list[RunStatus], Comparison | None] = [], None

    def look(self, folder: Path, chosen: Sequence[Path], starting: Sequence[Start]) -> Seen:
        begun, failed, waiting = [], {}, {}
        for start in starting:
            path = start.run.path
            history = self._updated(path)
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
        rows = [status for path in found if (status := self._status(path)) is not None]
        there = [path for path in chosen if path in self._states]
        histories = [self._histories[path] for path in there]
        return Seen(
            rows=tuple(sorted(rows, key=lambda row: self._began(Path(row.path)), reverse=True)),
            starting=waiting,
            begun=tuple(begun),
            failed=failed,
            details=self._details(there[0]) if there else None,
            curves=tuple(curve for history in histories for curve in self._curves(history)),
            metrics=tuple(dict.fromkeys(name for history in histories for name in history.metric_names())),
            comparison=self._comparison(there),
        )

    def _began(self, path: Path) -> float:
        events = self._histories[path].events
        return events[0].time if events else math.inf

    def _updated(self, path: Path) -> RunHistory:
        """Read what is new of a run, in portions, between which the GUI's thread has its turn."""
        self._read(path)
        return self._histories[path]

    def _read(self, path: Path) -> bool:
        """Do that; returns whether there was something new."""
        history = self._histories.setdefault(path, RunHistory(RunFolder(path), read=False))
        portions = 0
        while history.update(PORTION_BYTES):
            portions += 1
            time.sleep(REST_S)
        return portions > 0

    def _status(self, path: Path) -> RunStatus | None:
        """Return a run's state, which is worked out only when something has changed; None if it cannot be read."""
        new = self._read(path)
        run = RunFolder(path)
        now = is_locked(run), run.stop_file.exists()
        if new or path not in self._states or self._states[path][0] != now:
            try:
                self._states[path] = now, self._histories[path].status()
            except FedSimError:  # it is being removed, or its config is damaged
                self._states.pop(path, None)
                return None
        return self._states[path][1]

    def _forget_all_but(self, paths: set[Path]) -> None:
        for known in (self._histories, self._states, self._drawn):
            for path in set(known) - paths:
                del known[path]

    def _details(self, path: Path) -> Details:
        return Details(
            path,
            pictures=tuple(self._histories[path].pictures()),
            log=log_tail(path),
            keep=TrainingRuns.keeps(path),
            has_model=(path / "model" / "generator.safetensors").is_file(),
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

    def _comparison(self, paths: Sequence[Path]) -> Comparison | None:
        states = [self._states[path][1] for path in paths]
        if states != self._compared[0]:
            runs = [RunFolder(path) for path in paths]
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
