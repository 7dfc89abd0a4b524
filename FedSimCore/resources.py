"""Where the data files that ship with FedSim are."""

from __future__ import annotations

from pathlib import Path

from FedSimCore.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def resource_path(name: str) -> Path:
    """Return the path of a shipped data file.

    An installed wheel carries the files inside the package; in a source checkout and in the Slicer
    extension they lie in the top-level ``Resources`` folder, which both products share.

    Args:
        name: path below ``Resources``, with forward slashes, e.g. ``"anatomy/regions.json"``.

    Raises:
        InputError: the file is in neither place; the installation is incomplete.
    """
    for root in (_PACKAGE / "Resources", _PACKAGE.parent / "Resources"):
        path = root / name
        if path.exists():
            return path
    raise InputError(f"The shipped file Resources/{name} is missing; please reinstall FedSim.")
