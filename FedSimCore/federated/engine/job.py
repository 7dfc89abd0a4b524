"""A study as a job of NVFlare: two small configs, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from FedSimCore.files import write_json

_CHUNK: dict[str, Any] = {"np_download_chunk_size": 0}
"""Arrays go inside the messages; NVFlare would else fetch each in a download of its own, which pays from 40 MB on."""
INLINE_UP_TO = 16_000_000


def write_job(folder: Path, name: str, study_file: Path, server_run: Path, carry: str, bytes_: int) -> Path:
    """Write a job.

    Args:
        folder: made; holds the job.
        name: of the job.
        study_file: absolute path at the server.
        server_run: absolute path of the server's run folder.
        carry: ``"pull"`` or ``"push"``.
        bytes_: of the weights.

    Returns:
        The folder.
    """
    inline = _CHUNK if bytes_ <= INLINE_UP_TO else {}
    server = {
        "format_version": 2,
        "server": {"task_request_interval": 0.005},
        **inline,
        "task_data_filters": [],
        "task_result_filters": [],
        "components": [],
        "workflows": [
            {
                "id": "study",
                "path": "FedSimCore.federated.engine.controller.StudyController",
                "args": {"study_file": str(study_file), "folder": str(server_run), "carry": carry},
            }
        ],
    }
    client = {
        "format_version": 2,
        "default_task_fetch_interval": 0.005,
        **inline,
        "executors": [
            {"tasks": ["fedsim"], "executor": {"path": "FedSimCore.federated.engine.executor.SiteExecutor", "args": {}}}
        ],
        "task_data_filters": [],
        "task_result_filters": [],
        "components": [],
    }
    write_json(folder / "app" / "config" / "config_fed_server.json", server)
    write_json(folder / "app" / "config" / "config_fed_client.json", client)
    meta = {"name": name, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}}
    write_json(folder / "meta.json", meta)
    return folder
