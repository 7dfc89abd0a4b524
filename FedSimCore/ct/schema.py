"""Reading the physics' data files so that a wrong value is told in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from FedSimCore.errors import InputError
from FedSimCore.files import read_json

STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
"""Configuration of every model here: unchangeable, no unknown fields, no NaN."""

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], content: Any, origin: str | Path) -> Model:
    """Validate ``content`` as ``model``.

    Args:
        model: the pydantic model.
        content: what a JSON file or a form gave.
        origin: where it is from, for the message.

    Raises:
        InputError: a field is missing, unknown or impossible; the sentence names the origin, the
            field, its value and the reason.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or model.__name__
        reason = first["msg"].removeprefix("Value error, ")
        shown = first["input"] if not isinstance(first["input"], Mapping | list) else ""
        value = f" = {shown!r}" if shown != "" else ""
        raise InputError(f"{origin}: {field}{value} cannot be used: {reason}.".replace("..", ".")) from error


def read_table(path: Path, schema: str, field: str) -> list[Any]:
    """Read the list ``field`` of a JSON file that says it follows ``schema``.

    Raises:
        InputError: the file is missing, no JSON, of another schema, or has no such list.
    """
    content = read_json(path)
    found = content.get("schema") if isinstance(content, dict) else None
    if found != schema:
        raise InputError(f"{path} says schema {found!r} where {schema!r} is needed; give a file of that kind.")
    entries = content.get(field)
    if not isinstance(entries, list):
        raise InputError(f"{path} has no list {field!r}; compare it with the file that ships with FedSim.")
    return entries
