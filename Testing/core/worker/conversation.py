"""A client with a real worker, and an ear for its events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from FedSimCore.shape.parameters import HeartParameters
from FedSimSlicerLib.worker_client import CrashPolicy, WorkerClient, WorkerLaunch
from FedSimSlicerLib.worker_events import RequestCancelled, RequestDone, RequestFailed

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 180.0
ENDS = (RequestDone, RequestFailed, RequestCancelled)


def launch(**changes: Any) -> WorkerLaunch:
    """Return how a worker of this source tree is started, on the CPU."""
    return WorkerLaunch(**{"device": "cpu", "python_path": (str(ROOT),), **changes})


class Conversation:
    """Polls as a GUI's timer does and remembers what was told."""

    def __init__(self, crashes: CrashPolicy | None = None, **changes: Any) -> None:
        self.client = WorkerClient(launch(**changes), crashes)
        self.events: list[Any] = []
        self.client.subscribe(self.events.append)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close(wait_s=30)

    def until(self, happened: Callable[[], Any]) -> Any:
        """Poll until something has happened, and return it."""
        end = time.monotonic() + PATIENCE_S
        while not (found := happened()):
            assert time.monotonic() < end, f"waited in vain; told so far: {self.events[-5:]}, log {self.client.log}"
            self.client.poll()
            time.sleep(0.002)
        return found

    def until_told(self, kind: type, count: int = 1) -> Any:
        """Poll until ``count`` events of a kind were told, and return the last."""
        return self.until(lambda: len(found := self.told(kind)) >= count and found[-1])

    def told(self, *kinds: type) -> list[Any]:
        """Return the events of some kinds so far."""
        return [event for event in self.events if isinstance(event, kinds)]

    def end_of(self, request: int) -> Any:
        """Poll until a request has ended, and return how."""
        return self.until(lambda: next((e for e in self.told(*ENDS) if e.request == request), None))

    def ask(self, task: Any, channel: str = "test", **options: Any) -> Any:
        """Send a request and return how it ended."""
        return self.end_of(self.client.submit(channel, task, **options))


def heart(*weights: float, modes: int = 14, **pose: Any) -> HeartParameters:
    """Return parameters whose first weights are given."""
    return HeartParameters.model_validate({"weights": (*weights, *[0.0] * (modes - len(weights))), "pose": pose})


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until(happened: Callable[[], bool]) -> bool:
    """Wait for something without polling."""
    end = time.monotonic() + 30
    while not happened() and time.monotonic() < end:
        time.sleep(0.02)
    return happened()
