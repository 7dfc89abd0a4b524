"""What the worker says: its lines on standard output."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from FedSimCore.worker.protocol.messages import ArrayFile, Message
from FedSimCore.worker.protocol.results import DeviceReport, RenderPart, Result


class Hello(BaseModel):
    """First line of a worker. Unknown fields are allowed, so that an older client reads the version at least."""

    type: Literal["hello"] = "hello"
    protocol: int
    fedsim: str
    python: str
    pid: int


class Ready(Message):
    """The heavy libraries are loaded; requests are served from now on."""

    type: Literal["ready"] = "ready"
    device: DeviceReport


class Unusable(Message):
    """The worker cannot serve and ends; ``sentence`` tells why and the way out."""

    type: Literal["unusable"] = "unusable"
    sentence: str


class Progress(Message):
    """A running request goes on.

    Attributes:
        id: the request's.
        stage: what is being done.
        step: steps of the stage that are done.
        total: steps of the stage.
        fraction: share of the whole request that is done, 0 to 1.
        remaining_s: estimate for the whole request; None while nothing can be said.
    """

    type: Literal["progress"] = "progress"
    id: int
    stage: str
    step: int
    total: int
    fraction: float
    remaining_s: float | None


class Part(Message):
    """A part of a request's answer, sent before the rest of it is done. Its arrays are not sent again."""

    type: Literal["part"] = "part"
    id: int
    result: RenderPart
    arrays: dict[str, ArrayFile]


class Done(Message):
    """A request is answered; ``arrays`` are those that came with no :class:`Part`."""

    type: Literal["done"] = "done"
    id: int
    seconds: float
    result: Result
    arrays: dict[str, ArrayFile]


class Failure(Message):
    """A request cannot be answered; the worker goes on.

    Attributes:
        id: the request's; None if the line could not be read at all.
        cause: ``"input"`` what was asked for is impossible, ``"memory"`` there is too little, ``"bug"`` ours.
        sentence: for people.
        details: traceback of a bug.
    """

    type: Literal["failure"] = "failure"
    id: int | None
    cause: Literal["input", "memory", "bug"]
    sentence: str
    details: str = ""


class Cancelled(Message):
    """A request was ended before its time: cancelled, or superseded by a newer one of its channel."""

    type: Literal["cancelled"] = "cancelled"
    id: int


Reply = Annotated[Hello | Ready | Unusable | Progress | Part | Done | Failure | Cancelled, Field(discriminator="type")]
