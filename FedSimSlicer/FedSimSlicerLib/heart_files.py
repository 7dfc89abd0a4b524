"""Hearts in JSON files, asked for with a dialog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.shape.parameters import HeartParameters, read_parameters, write_parameters

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_surface import HeartSurface

JSON_FILTER = "FedSim heart (*.json)"


def ask_where_to_store(parent: Any) -> Path | None:
    """Ask for the name of a new file; None if the user does not want to."""
    chosen = qt.QFileDialog.getSaveFileName(parent, _("Store the heart"), "heart.json", JSON_FILTER)
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else path.with_suffix(".json")


def ask_what_to_load(parent: Any) -> Path | None:
    """Ask for a file; None if the user does not want to."""
    chosen = qt.QFileDialog.getOpenFileName(parent, _("Load a heart"), "", JSON_FILTER)
    return Path(chosen) if chosen else None


def store_heart(path: Path, heart: HeartParameters, surface: HeartSurface) -> None:
    """Write a heart with the checksum of its model.

    Raises:
        DiskError: the file cannot be written.
    """
    write_parameters(path, heart, surface.checksum)


def load_heart(path: Path, surface: HeartSurface) -> HeartParameters:
    """Read a heart.

    Raises:
        InputError: the file is missing, damaged, no heart, or one of another shape model.
    """
    heart = read_parameters(path)
    if read_json(path).get("model_sha256") != surface.checksum:
        raise InputError(
            _(
                "{path} is a heart of another shape model, whose numbers mean another heart; choose one stored here."
            ).format(path=path)
        )
    if not 0 < len(heart.weights) <= surface.mode_count:
        raise InputError(
            _("{path} has {count} weights; this model's hearts have 1 to {modes}. Choose another file.").format(
                path=path, count=len(heart.weights), modes=surface.mode_count
            )
        )
    return heart
