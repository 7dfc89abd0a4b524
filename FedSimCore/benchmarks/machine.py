"""The machine a benchmark ran on: what it is, and how much memory the process holds."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from FedSimCore import __version__
from FedSimCore.machine import commit, cpu_name, memory_gib

MIB = 1 << 20


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Describe when, where and with what is measured.

    Args:
        packages: distributions whose versions matter; one that is not installed is left out.
    """
    import torch

    described: dict[str, Any] = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fedsim": __version__,
    }
    if torch.cuda.is_available():
        described["gpu"] = torch.cuda.get_device_name()
    found = ((package, next(iter(importlib.metadata.distributions(name=package)), None)) for package in packages)
    return described | {package: distribution.version for package, distribution in found if distribution}


def main_memory_peak_mib() -> float | None:
    """Read the process's peak resident memory since the last call, and start anew; None except on Linux."""
    peak = _status_mib("VmHWM")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
    except OSError:
        return None
    return peak


def resident_mib() -> float | None:
    """Return the process's resident memory; None except on Linux."""
    return _status_mib("VmRSS")


def _status_mib(key: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key + ":")), None)
