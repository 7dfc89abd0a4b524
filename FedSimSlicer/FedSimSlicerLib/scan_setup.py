"""How the heart is scanned: tissues, scanner, person and noise, as the scene's state keeps them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from FedSimCore.worker.protocol import Material, ScannerChoice

if TYPE_CHECKING:
    from FedSimSlicerLib.state import ModuleState


def read_materials(state: ModuleState) -> dict[int, Material]:
    """Return the tissues that the user changed, by label."""
    return {int(label): Material.model_validate(fields) for label, fields in json.loads(state.materials).items()}


def write_materials(state: ModuleState, materials: dict[int, Material]) -> None:
    """Keep the tissues that the user changed."""
    state.materials = json.dumps({str(label): each.model_dump(exclude_none=True) for label, each in materials.items()})


def read_scanner(state: ModuleState) -> ScannerChoice:
    """Return the scanner with the user's changes."""
    return ScannerChoice(key=state.scanner, changes=json.loads(state.scanner_changes))


def write_scanner(state: ModuleState, choice: ScannerChoice) -> None:
    """Keep the scanner with the user's changes."""
    state.scanner = choice.key
    state.scanner_changes = json.dumps(choice.changes)


def scan_settings(state: ModuleState) -> dict[str, Any]:
    """Return the fields that previews and full renderings have in common (``protocol.ScanSettings``), but the heart."""
    return {
        "materials": read_materials(state),
        "phase": state.phase or None,
        "body_seed": state.body_seed,
        "noise_seed": state.noise_seed,
    }
