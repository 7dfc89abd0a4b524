"""What a run was made with, session by session: ``summary.json``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import torch

from FedSimCore import __version__
from FedSimCore.machine import commit, cpu_name, memory_gib
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.devices import device_name
from FedSimCore.training.task import Task

SCHEMA = "fedsim/run-summary/1"
_PACKAGES = ("torch", "lightning-fabric", "numpy", "scipy", "monai", "safetensors", "nibabel")
_DECIDES_BITS = ("threads", "device", "versions", "cpu")


def with_session(
    summary: Mapping[str, Any], config: TrainingConfig, task: Task, session: int, step: int, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Return the summary of a run in which another session begins.

    Args:
        summary: of the sessions before; empty for a new run.
        config: of the run.
        task: with the checksums of its data.
        session: its number.
        step: from which it goes on.
        warn: given a sentence if this session is made with other things than the one before.
    """
    sessions = summary.get("sessions", [])
    facts = session_facts(summary, config.recipe, config.seed, session)
    here = {**facts["sessions"][-1], "after_step": step, "device": device_name(task.device)}
    if sessions and any(sessions[-1].get(key) != here[key] for key in _DECIDES_BITS):
        warn(
            "Machine, threads or libraries are not those of the session before: the weights will not be exactly those "
            "of an unbroken run."
        )
    return {**facts, "data_sha256": dict(task.data_sha256), "sessions": [*sessions, here]}


def session_facts(summary: Mapping[str, Any], recipe: str, seed: int, session: int) -> dict[str, Any]:
    """Return the summary of a run with one session more: what it is, and what it is made with."""
    here = {
        "session": session,
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        **_made_with(),
    }
    return {"schema": SCHEMA, "recipe": recipe, "seed": seed, "sessions": [*summary.get("sessions", []), here]}


def _made_with() -> Mapping[str, Any]:
    found = ((package, next(iter(importlib.metadata.distributions(name=package)), None)) for package in _PACKAGES)
    return {
        "commit": commit(),
        "fedsim": __version__,
        "python": platform.python_version(),
        "versions": {package: distribution.version for package, distribution in found if distribution},
        "system": platform.platform(),
        "host": socket.gethostname(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "threads": torch.get_num_threads(),
    }
