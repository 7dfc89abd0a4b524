"""Which device computes, why, and whether its memory suffices."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Any, Literal

import torch

from FedSimCore.errors import InputError
from FedSimCore.worker.protocol import DeviceReport

DevicePreference = Literal["auto", "cpu", "cuda"]
FULL_RENDERING_MB = 2500
"""Peak of a full rendering in a thorax (128 voxels cubed, 180 views), libraries included; measured on a CPU."""

MB = 1 << 20


def choose_device(preference: DevicePreference = "auto") -> torch.device:
    """Return the device to compute on.

    Raises:
        InputError: CUDA is asked for but not there.
    """
    usable = torch.cuda.is_available()
    if preference == "cuda" and not usable:
        raise InputError(f"CUDA was asked for, but {_why_no_cuda()}; choose the device 'auto' or 'cpu'.")
    return torch.device("cuda:0" if usable and preference != "cpu" else "cpu")


def device_report(device: torch.device, preference: DevicePreference = "auto") -> DeviceReport:
    """Describe a device as it is now."""
    free = free_memory_mb(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        reason = f"The graphics card {name} is used."
    else:
        name = _processor_name()
        why = "as chosen in the settings" if preference == "cpu" else f"because {_why_no_cuda()}"
        reason = f"The processor is used ({torch.get_num_threads()} threads), {why}."
    if free is not None and free < FULL_RENDERING_MB:
        reason += f" A full rendering needs {FULL_RENDERING_MB} MB, but only {free} MB are free: close other programs."
    return DeviceReport(device=str(device), name=name, reason=reason, free_mb=free, needed_mb=FULL_RENDERING_MB)


def free_memory_mb(device: torch.device) -> int | None:
    """Return the memory that can still be had on a device; None if the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // MB
    if sys.platform.startswith("linux"):
        return _linux_free_mb()
    if sys.platform == "win32":
        return _windows_free_mb()
    return None


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "this build of PyTorch has no CUDA"
    return "no NVIDIA graphics card with a working driver is found"


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _linux_free_mb() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "page", "page_free", "virtual", "virtual_free")),
        ("extended", ctypes.c_ulonglong),
    )


def _windows_free_mb() -> int | None:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    windows: Any = ctypes
    if not windows.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.free) // MB
