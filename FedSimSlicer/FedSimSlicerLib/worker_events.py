"""What the worker's client tells its listeners; plain data, no heavy import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import DeviceReport, RenderPart, Result


@dataclass(frozen=True)
class WorkerReady:
    """Requests are served from now on."""

    device: DeviceReport


@dataclass(frozen=True)
class WorkerCrashed:
    """The worker ended by itself or was killed; another one is being started."""

    sentence: str


@dataclass(frozen=True)
class WorkerFailed:
    """The worker cannot be started, or crashed too often. ``WorkerClient.restart`` tries again."""

    sentence: str


@dataclass(frozen=True)
class RequestProgress:
    """A request goes on; see :class:`FedSimCore.worker.protocol.Progress`."""

    channel: str
    request: int
    stage: str
    step: int
    total: int
    fraction: float
    remaining_s: float | None


@dataclass(frozen=True, eq=False)
class RequestPart:
    """A part of a request's answer; the rest is still being computed.

    Attributes:
        channel: of the request.
        request: number that ``WorkerClient.submit`` gave.
        result: what it is a part of, e.g. the scan of one of a rendering's scanners.
        arrays: the part's arrays, indexed (i, j, k). The request's :class:`RequestDone` holds the same arrays again.
    """

    channel: str
    request: int
    result: RenderPart
    arrays: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class RequestDone:
    """A request is answered.

    Attributes:
        channel: of the request.
        request: number that ``WorkerClient.submit`` gave.
        result: a result model of :mod:`FedSimCore.worker.protocol`.
        arrays: the result's arrays, indexed (i, j, k), those of its parts among them; yours to keep.
        seconds: the worker's time.
    """

    channel: str
    request: int
    result: Result
    arrays: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True)
class RequestFailed:
    """A request could not be answered.

    Attributes:
        channel: of the request.
        request: its number.
        cause: ``"input"``, ``"memory"``, ``"bug"``, or ``"lost"`` when the worker died over it or could not be reached.
        sentence: for the user.
        details: traceback of a bug, for the log.
    """

    channel: str
    request: int
    cause: str
    sentence: str
    details: str = ""


@dataclass(frozen=True)
class RequestCancelled:
    """A request was ended because ``WorkerClient.cancel`` was called."""

    channel: str
    request: int


RequestEvent = RequestProgress | RequestPart | RequestDone | RequestFailed | RequestCancelled
WorkerEvent = WorkerReady | WorkerCrashed | WorkerFailed
Event = WorkerEvent | RequestEvent
