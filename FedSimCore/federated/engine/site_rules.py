"""The two files with which a site's NVFlare is kept to what FedSim does. No NVFlare needed to write them."""

from __future__ import annotations

from pathlib import Path

from FedSimCore.files import write_json

ALLOWED_CLASSES = ("FedSimCore.federated.engine",)
"""All that a job may ask a site to run; NVFlare's own executors are not among it."""
GUARD = "FedSimCore.federated.engine.guard.LedgerGuard"


def privacy_rules() -> dict[str, object]:
    """Return the content of ``local/privacy.json``: the guard in front of everything that leaves."""
    scope = {
        "name": "fedsim",
        "properties": {},
        "task_result_filters": [{"path": GUARD, "args": {}, "direction": "out"}],
        "task_data_filters": [],
    }
    return {"format_version": 2, "scopes": [scope], "default_scope": "fedsim"}


def write_simulation_rules(local: Path) -> None:
    """Write a simulator's rules into its folder ``local``, which it copies to every site."""
    write_json(local / "privacy.json", privacy_rules())
    resources = {
        "format_version": 2,
        "class_list_enforcement_mode": "enforce",
        "class_allow_list": list(ALLOWED_CLASSES),
        "components": [],
    }
    write_json(local / "resources.json", resources)
