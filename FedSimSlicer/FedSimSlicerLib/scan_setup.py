"""How the heart is scanned: tissues, scanner, person and noise, as the scene's state keeps them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from FedSimCore.ct.scanners import Scanner, scanner
from FedSimCore.errors import InputError
from FedSimCore.worker.protocol import Material, ScannerChoice

if TYPE_CHECKING:
    from FedSimSlicerLib.state import ModuleState

DEFAULT_SCANNER = "adult"


def read_materials(state: ModuleState) -> dict[int, Material]:
    """Return the tissues that the user changed, by label.

    Raises:
        InputError: the scene holds something else.
    """
    fields = _object(state.materials, "tissues")
    try:
        return {int(label): Material.model_validate(each) for label, each in fields.items()}
    except (ValueError, ValidationError) as error:
        raise InputError(f"The tissues that the scene keeps cannot be read ({_first_line(error)}).") from error


def write_materials(state: ModuleState, materials: dict[int, Material]) -> None:
    """Keep the tissues that the user changed."""
    state.materials = json.dumps({str(label): each.model_dump(exclude_none=True) for label, each in materials.items()})


def read_preset(state: ModuleState) -> Scanner:
    """Return the scanner without the user's changes: a shipped one, or the one that was read from a file.

    Raises:
        InputError: the scene names a scanner that does not ship, or keeps an impossible one.
    """
    if state.scanner:
        return scanner(state.scanner)
    return scanner(DEFAULT_SCANNER).with_changes(**_object(state.own_scanner, "scanner"))


def read_scanner(state: ModuleState) -> ScannerChoice:
    """Return the scanner with the user's changes, as the worker wants it.

    A scanner read from a file is told in full, so that the scene works where that file is not.

    Raises:
        InputError: the scene keeps something else.
    """
    changes = _object(state.scanner_changes, "changes of the scanner")
    if state.scanner:
        return ScannerChoice(key=state.scanner, changes=changes)
    return ScannerChoice(key=DEFAULT_SCANNER, changes={**_object(state.own_scanner, "scanner"), **changes})


def effective_scanner(state: ModuleState) -> Scanner:
    """Return the scanner with the user's changes.

    Raises:
        InputError: the scene keeps an impossible one.
    """
    choice = read_scanner(state)
    return scanner(choice.key).with_changes(**choice.changes)


def read_scanner_changes(state: ModuleState) -> dict[str, Any]:
    """Return the fields of the scanner that the user changed.

    Raises:
        InputError: the scene keeps something else.
    """
    return _object(state.scanner_changes, "changes of the scanner")


def write_scanner_changes(state: ModuleState, changes: dict[str, Any]) -> None:
    """Keep the fields of the scanner that the user changed."""
    state.scanner_changes = json.dumps(changes)


def write_own_scanner(state: ModuleState, own: Scanner) -> None:
    """Keep a scanner that was read from a file, and use it."""
    state.own_scanner = own.model_dump_json()
    state.scanner_changes = "{}"
    state.scanner = ""


def effective_phase(state: ModuleState) -> str:
    """Return the contrast phase: what the user chose, or the scanner's own."""
    return state.phase or effective_scanner(state).phase


def scan_settings(state: ModuleState) -> dict[str, Any]:
    """Return the fields that previews and full renderings have in common (``protocol.ScanSettings``), but the heart.

    Raises:
        InputError: the scene keeps something else.
    """
    return {
        "materials": read_materials(state),
        "phase": state.phase or None,
        "body_seed": state.body_seed,
        "noise_seed": state.noise_seed if state.noise else None,
    }


def preview_settings(state: ModuleState) -> dict[str, Any]:
    """Return the fields of a ``protocol.PreviewTask``, but the heart and the grid.

    A chest has to be made for every shape, which takes a second or two: the quick CT has fat in its place.

    Raises:
        InputError: the scene keeps something else.
    """
    quick = "none" if state.surroundings == "none" else "fat"
    return scan_settings(state) | {"scanner": read_scanner(state), "surroundings": quick}


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"The {what} that the scene keeps cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"The {what} that the scene keeps cannot be read ({text[:40]!r} is no JSON object).")
    return content


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return str(error)
