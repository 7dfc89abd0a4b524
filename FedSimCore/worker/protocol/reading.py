"""Lines to messages; whatever is wrong with a line is told in one sentence."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from FedSimCore.errors import InputError
from FedSimCore.worker.protocol.replies import (
    Cancelled,
    Done,
    Failure,
    Hello,
    Part,
    Progress,
    Ready,
    Reply,
    Unusable,
)
from FedSimCore.worker.protocol.tasks import Cancel, Command, Request

_COMMANDS: TypeAdapter[Any] = TypeAdapter(Command)
_REPLIES: TypeAdapter[Any] = TypeAdapter(Reply)
_Message = TypeVar("_Message")


def read_command(line: bytes) -> Request | Cancel:
    """Read one line of the worker's input.

    Raises:
        InputError: it is no such message; the sentence names the field and its value.
    """
    return _read(_COMMANDS, line, "request")


def read_reply(line: bytes) -> Hello | Ready | Unusable | Progress | Part | Done | Failure | Cancelled:
    """Read one line of the worker's output.

    Raises:
        InputError: it is no such message.
    """
    return _read(_REPLIES, line, "reply")


def _read(adapter: TypeAdapter[_Message], line: bytes, what: str) -> _Message:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        # Tags of unions stand between the fields' names; people know neither.
        field = ".".join(str(part) for part in first["loc"]) or what
        given = repr(first["input"])
        shown = given if len(given) < 80 else given[:77] + "..."
        raise InputError(f"The {what} cannot be used: {field} = {shown}: {first['msg']}.") from error
