"""System libraries that the wheels of Qt and VTK load and do not carry, and the Debian package of each."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys

# Package of Debian 12 (and Ubuntu 22.04 and later) by library.
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
}
# What a window on an X server needs beyond them.
SCREEN_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
SCRIPT = "Testing/host/install_system_packages.sh"
# Distribution by the module it is known by.
PACKAGES = {"slicer_core": "slicer-core", "PySide6": "PySide6-Essentials"}


class MissingPackageError(RuntimeError):
    """A Python package is not installed."""


class MissingSystemPackageError(RuntimeError):
    """A system library is not installed."""


def missing_libraries(wanted: dict[str, str]) -> dict[str, str]:
    """Those of the libraries that are not there, with the package that has each; nothing on Windows and macOS."""
    return {} if sys.platform != "linux" else {n: p for n, p in wanted.items() if not _loads(n)}


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_packages() -> None:
    """Refuse to go on without the Python packages that the host is built on.

    Raises:
        MissingPackageError: with the names of what is missing and the way to get it.
    """
    if missing := [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]:
        raise MissingPackageError(
            f"The host can't start without {' and '.join(missing)}; install FedSim's extra desktop: "
            'pip install -c constraints.txt -e ".[desktop]"'
        )


def check_system(*, screen: bool = False) -> None:
    """Refuse to go on where Qt or VTK would crash; without a screen, let both draw in memory.

    Args:
        screen: a window is to be seen, so there must be a screen.

    Raises:
        MissingSystemPackageError: with the names of what is missing and the way to get it.
    """
    if sys.platform != "linux":
        return
    has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if screen and not has_screen:
        raise MissingSystemPackageError(
            "There is no screen to open a window on: neither DISPLAY nor WAYLAND_DISPLAY is set; "
            "log in to a desktop, or use ssh -X."
        )
    if missing := missing_libraries({**LIBRARIES, **(SCREEN_LIBRARIES if screen else {})}):
        raise MissingSystemPackageError(
            f"The host can't start without {', '.join(missing)}; install them with {SCRIPT}"
            f"{' --screen' if screen else ''}, or by hand: apt-get install {' '.join(sorted(set(missing.values())))}"
        )
    if not has_screen:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # else VTK looks for an X server first
