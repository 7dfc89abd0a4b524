"""What a run's events amount to: its state now, its curves, its pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from FedSimCore.runs.events import Ended, Evaluated, Event, Noted, Pictured, Progressed, Saved, Started, read_events
from FedSimCore.runs.events import still_valid as without_repeated
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import is_locked

_MEASURED = (Progressed, Evaluated)
"""Events with metrics. ``Progressed | Evaluated`` would be put together anew for every event."""

State = Literal["new", "running", "stopping", "stopped", "finished", "failed", "interrupted"]


class RunStatus(BaseModel):
    """A run as it is now.

    Attributes:
        name: of the folder.
        path: of the folder.
        recipe: what is trained.
        state: ``"interrupted"`` says that the process ended without a word (killed, power failure).
        stage: what was done last.
        step: steps done.
        total: steps of the whole run.
        seconds_left: as the run told last; None unless it runs.
        metrics: newest value of each.
        checkpoint_step: from which a resumed session goes on; None before the first.
        device: of the newest session.
        session: number of the newest session.
        updated: time of the newest event, seconds since 1970 (UTC).
        reason: why it stopped or failed.
        warnings: sentences.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    path: str
    recipe: str
    state: State
    stage: str = ""
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    metrics: dict[str, float] = {}
    checkpoint_step: int | None = None
    device: str = ""
    session: int = 0
    updated: float | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()


class RunHistory:
    """The events of a run, read as they come.

    Attributes:
        run: the folder.
        events: so far, without those of steps that were repeated.
    """

    def __init__(self, run: RunFolder, read: bool = True) -> None:
        """Read the events that there are, unless :meth:`update` is to do it later."""
        self.run = run
        self.events: list[Event] = []
        self._read_to = 0
        if read:
            self.update()

    def update(self, portion: int | None = None) -> list[Event]:
        """Read what has been appended since the last call and return it; a thousand events take some 20 ms.

        Args:
            portion: bytes to read at most, for whoever must not be busy for long; call again until nothing comes.
        """
        new, self._read_to = read_events(self.run.events_file, self._read_to, portion)
        if any(isinstance(event, Started) for event in new):
            self.events = without_repeated([*self.events, *new])
        else:
            self.events += new
        return new

    def metric_names(self) -> list[str]:
        """Return the names of all metrics in the order of their first appearance."""
        told = (event for event in self.events if isinstance(event, _MEASURED))
        return list(dict.fromkeys(name for event in told for name in event.metrics))

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Return the steps at which a metric was told, and its values."""
        told = (event for event in self.events if isinstance(event, _MEASURED))
        points = [(event.step, event.metrics[metric]) for event in told if metric in event.metrics]
        return [step for step, _ in points], [value for _, value in points]

    def pictures(self) -> list[Pictured]:
        """Return the pictures in the order in which they were made."""
        return [event for event in self.events if isinstance(event, Pictured)]

    def status(self) -> RunStatus:
        """Return the run's state now."""
        started = next((e for e in reversed(self.events) if isinstance(e, Started)), None)
        told = next((e for e in reversed(self.events) if isinstance(e, Progressed)), None)
        saved = [e.step for e in self.events if isinstance(e, Saved)]
        ended = self.events[-1] if self.events and isinstance(self.events[-1], Ended) else None
        state = self._state(started, ended)
        metrics: dict[str, float] = {}
        for event in self.events:
            if isinstance(event, _MEASURED):
                metrics |= event.metrics
        return RunStatus(
            name=self.run.name,
            path=str(self.run.path),
            recipe=started.recipe if started else str(self.run.config().get("recipe", "")),
            state=state,
            stage=told.stage if told else "",
            step=max((e.step for e in (started, told, ended) if e), default=0),
            total=started.total if started else int(self.run.config().get("steps", 0)),
            seconds_left=told.seconds_left if told and state in ("running", "stopping") else None,
            metrics=metrics,
            checkpoint_step=saved[-1] if saved else None,
            device=started.device if started else "",
            session=started.session if started else 0,
            updated=self.events[-1].time if self.events else None,
            reason=ended.reason if ended else "",
            warnings=tuple(e.text for e in self.events if isinstance(e, Noted) and e.level == "warning"),
        )

    def _state(self, started: Started | None, ended: Ended | None) -> State:
        if is_locked(self.run):
            return "stopping" if self.run.stop_file.exists() else "running"
        if ended is not None:
            return ended.state
        return "interrupted" if started is not None else "new"


def status(run: RunFolder) -> RunStatus:
    """Return a run's state now.

    Raises:
        InputError: there is no run in the folder.
    """
    run.config()
    return RunHistory(run).status()
