"""Which of several processes of one training this is."""

from __future__ import annotations

import os


def is_main_process() -> bool:
    """Tell whether this is the process that writes and tells; Fabric and torchrun number them in the environment."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0
