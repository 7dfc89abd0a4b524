"""Where a norm comes from, in full."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimCore.files import read_json
from FedSimCore.resources import resource_path

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import MeasurementRow

PER_AREA = "_per_m2"
FROM_MEMORY = "memory"
"""What the table of norms says where a number was not checked in its source."""


def source_of(row: MeasurementRow) -> str:
    """Return the publication a measurement's norm is from, empty without a norm."""
    table = _norms_table()
    text = str(table["citations"].get(row.citation, row.citation))
    return text + (_("; spread recalled, not checked") if FROM_MEMORY in _evidence(row) else "")


def _evidence(row: MeasurementRow) -> str:
    key = row.key + (PER_AREA if row.unit.endswith("/m2") else "")
    found: Iterator[dict[str, Any]] = (
        norm for norm in _norms_table()["quantities"] if norm["key"] == key and norm["citation"] == row.citation
    )
    return str(next(found, {}).get("evidence", ""))


@lru_cache(maxsize=1)
def _norms_table() -> dict[str, Any]:
    table: dict[str, Any] = read_json(resource_path("anatomy/norms.json"))
    return table
