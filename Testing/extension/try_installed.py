"""Load and try an installed FedSim module in the host, and print what was found as JSON.

PYTHONPATH=INSTALLED:CHECKOUT python -m Testing.extension.try_installed INSTALLED

INSTALLED is the folder qt-scripted-modules/ of an installed extension. Every module of FedSimSlicerLib is imported, and
the module's own test run as `slicer.testing.runUnitTest` runs it, which is what ctest calls in a build of Slicer.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import sys
import unittest
from pathlib import Path
from typing import Any

PACKAGES = ("FedSimCore", "FedSimSlicerLib")


def try_installed(folder: Path) -> dict[str, Any]:
    """Load the module of a folder and run its test.

    Returns:
        `files`: where the imported modules of FedSim lie; `model`: where the built-in shape model lies; `errors`: what
        slots raised; `torch_imported` before the test; `tests_run`, `passed` and the test's `report`.
    """
    from Testing.host import start_application
    from Testing.host.application.modules import unload_module
    from Testing.host.pythonqt import slot_errors

    application = start_application(testing=True)
    application.window.show()
    application.load_module(folder / "FedSimSlicer.py")
    library = importlib.import_module("FedSimSlicerLib")
    for found in pkgutil.iter_modules(library.__path__):
        importlib.import_module(f"FedSimSlicerLib.{found.name}")
    torch_imported = "torch" in sys.modules
    report = io.StringIO()
    result = unittest.TextTestRunner(report).run(unittest.TestLoader().loadTestsFromName("FedSimSlicer"))
    unload_module("FedSimSlicer")

    from FedSimCore.resources import resource_path

    return {
        "files": [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in PACKAGES],
        "model": str(resource_path("shape/heart.safetensors")),
        "errors": [str(error) for error in slot_errors],
        "torch_imported": torch_imported,
        "tests_run": result.testsRun,
        "passed": result.wasSuccessful(),
        "report": report.getvalue(),
    }


if __name__ == "__main__":
    print(json.dumps(try_installed(Path(sys.argv[1]))))
