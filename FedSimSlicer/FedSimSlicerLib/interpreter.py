"""Which Python runs the worker, and where it finds FedSimCore."""

from __future__ import annotations

import sys

from FedSimSlicerLib.python_path import find_fedsim_core
from FedSimSlicerLib.worker_process import WorkerLaunch


def python_interpreter() -> str:
    """Return the interpreter for other processes.

    Slicer sets ``sys.executable`` to the ``PythonSlicer`` on its PATH (qSlicerCoreApplication.cxx), which is what
    ``slicer.util.executePythonModule`` starts too; in the host it is that of its virtual environment. Where Slicer has
    not found any, the name alone makes a message that says what is missing.
    """
    return sys.executable or "PythonSlicer"


def worker_launch(device: str = "auto") -> WorkerLaunch:
    """Return how to start the worker.

    Its environment is the application's own, as with ``slicer.util.executePythonModule``: PythonSlicer is a launcher
    that sets PYTHONHOME and the library paths itself.

    Args:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ImportError: FedSimCore is nowhere.
    """
    return WorkerLaunch(python=python_interpreter(), device=device, python_path=(find_fedsim_core(),))
