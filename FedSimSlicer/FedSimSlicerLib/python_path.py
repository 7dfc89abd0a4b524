"""Where FedSimCore is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def find_fedsim_core() -> str:
    """Return the folder that holds FedSimCore, and make sure that it can be imported.

    The extension installs FedSimCore beside the module; in a source checkout it lies one folder up.

    Raises:
        ImportError: it is in neither place.
    """
    module_folder = Path(__file__).resolve().parents[1]
    for folder in (module_folder, module_folder.parent):
        if (folder / "FedSimCore" / "__init__.py").is_file():
            if importlib.util.find_spec("FedSimCore") is None:
                sys.path.append(str(folder))
            return str(folder)
    raise ImportError(f"FedSimCore is neither in {module_folder} nor beside it; install the extension FedSim again.")
