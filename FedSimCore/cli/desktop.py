"""``fedsim desktop``: the Slicer module in a window of its own, for people without 3D Slicer."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from FedSimCore.errors import InputError, MissingDependencyError

CHECKOUT = Path(__file__).resolve().parents[2]
GET_SLICER = "3D Slicer, free from https://download.slicer.org, with the extension FedSim"


def desktop(
    files: list[Path] | None = typer.Argument(
        None, metavar="[FILES]...", help="Volumes, segmentations, models or scenes to load."
    ),
    picture: Path | None = typer.Option(None, "--picture", help="Write a picture (PNG) of the window and leave."),
) -> None:
    """Open FedSim's Slicer module in a window, without 3D Slicer; from a source checkout only."""
    module = find_module(CHECKOUT)
    names = [str(existing_file(path)) for path in files or []]
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    from Testing.host import system

    try:
        system.check_packages()
        system.check_system(screen=picture is None)
    except (system.MissingPackageError, system.MissingSystemPackageError) as error:
        raise MissingDependencyError(str(error)) from error
    from Testing.host.desktop import run_desktop

    code = run_desktop(module, names, picture=picture)
    if code:
        raise typer.Exit(code)


def find_module(checkout: Path) -> Path:
    """The module's entry file in a source checkout.

    Args:
        checkout: the folder that should hold FedSimSlicer and Testing.

    Raises:
        MissingDependencyError: it does not; an installed package carries neither.
    """
    module = checkout / "FedSimSlicer" / "FedSimSlicer.py"
    if module.is_file() and (checkout / "Testing" / "host" / "desktop.py").is_file():
        return module
    raise MissingDependencyError(
        f"The window is part of FedSim's source, which is not in {checkout}; "
        f"run `make desktop` in a checkout of the source, or use {GET_SLICER}."
    )


def existing_file(path: Path) -> Path:
    """The path, made absolute.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; name a volume, segmentation, model or scene to load.")
    return path.resolve()
