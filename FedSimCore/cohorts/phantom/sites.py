"""The sites of the phantom cohort, read from ``Resources/phantom``: who is scanned, with what disease, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path

T = TypeVar("T")
Range = tuple[float, float]
Positive = Annotated[float, Field(gt=0)]


class Row(BaseModel):
    """A frozen row of a table; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShapeRow(Row):
    """Mean and standard deviation of one number of :class:`FedSimCore.cohorts.phantom.anatomy.Shape`."""

    mean: float
    sd: float = Field(ge=0)
    unit: str
    meaning: str


class Variant(Row):
    """A kind of heart: what differs from a normal one.

    Attributes:
        name: short identifier.
        meaning: the diagnosis as a cardiologist writes it.
        targets: factors on the normal sizes (fields of :class:`~FedSimCore.cohorts.phantom.anatomy.Targets`).
        shape: ranges that replace numbers of the shape table.
        outflow: which great artery leaves which ventricle.
    """

    name: str
    meaning: str
    targets: dict[str, float] = {}
    shape: dict[str, Range] = {}
    outflow: Literal["normal", "transposed", "both_right"] = "normal"


class Site(Row):
    """A hospital.

    Attributes:
        name: identifier given to ``--site``.
        aliases: other names it answers to.
        meaning: one line for people.
        age_years: youngest and oldest.
        look: the scanner and protocol, of Resources/phantom/scanning.json.
        variants: share of each variant.
    """

    name: str
    aliases: tuple[str, ...] = ()
    meaning: str
    age_years: Range
    look: str
    variants: dict[str, Positive]


@lru_cache(maxsize=1)
def shape_table() -> dict[str, ShapeRow]:
    """Return the rows of Resources/phantom/shape.json by name."""
    return read_table("shape.json", lambda t: {k: ShapeRow.model_validate(row) for k, row in t["shape"].items()})


@lru_cache(maxsize=1)
def variants() -> dict[str, Variant]:
    """Return the variants of Resources/phantom/variants.json by name."""
    return read_table("variants.json", lambda t: {row["name"]: Variant.model_validate(row) for row in t["variants"]})


@lru_cache(maxsize=1)
def sites() -> dict[str, Site]:
    """Return the sites of Resources/phantom/sites.json by name."""
    return read_table("sites.json", lambda t: {row["name"]: Site.model_validate(row) for row in t["sites"]})


def site(name: str) -> Site:
    """Return the site with this name or alias.

    Raises:
        InputError: there is none; the message names those there are.
    """
    for candidate in sites().values():
        if name.lower() in (candidate.name, *candidate.aliases):
            return candidate
    raise InputError(f"There is no phantom site {name!r}; the sites are {', '.join(sites())}.")


def variant(name: str) -> Variant:
    """Return the variant with this name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in variants():
        raise InputError(f"There is no heart variant {name!r}; the variants are {', '.join(variants())}.")
    return variants()[name]


def read_table(name: str, parse: Callable[[Any], T]) -> T:
    """Read a table of Resources/phantom.

    Raises:
        InputError: it is missing, not JSON, or not what its schema says.
    """
    path = resource_path(f"phantom/{name}")
    try:
        return parse(read_json(path))
    except ValidationError as error:
        raise InputError(f"{path} is not valid ({error.errors()[0]['msg']}); restore it as distributed.") from None
