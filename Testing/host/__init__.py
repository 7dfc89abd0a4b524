"""A stand-in for the 3D Slicer application, round the real MRML of the wheel `slicer-core`.

In it the module FedSimSlicer is tested, and people without Slicer can run it. See docs/host.md for what is real,
what is a stand-in, and what is left out.

    from Testing.host import start_application
    application = start_application()          # slicer.app, slicer.util, slicer.modules, qt, ctk, four views

    python -m Testing.host.desktop MODULE.py   # the same as a window
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from Testing.host.application.start import Application

# Slicer's enums are integers; PySide6 reads this wish while it is imported, so it stands before anything else.
OPTION_ENUMS_ARE_INTEGERS = 0x02
if "PySide6" in sys.modules and getattr(sys, "pyside6_option_python_enum", None) != OPTION_ENUMS_ARE_INTEGERS:
    raise ImportError("PySide6 was imported before Testing.host; import Testing.host first")
sys.pyside6_option_python_enum = OPTION_ENUMS_ARE_INTEGERS


def start_application(**options: Any) -> Application:
    """Start the host in this process, or give the one that runs; see `application.start.start_application`."""
    from Testing.host.application.start import start_application as start

    return start(**options)
