"""NVFlare's long-running processes: started, looked after, ended with all that they started."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from FedSimCore.errors import InputError

PID_FILE = "fedsim.pid"
_ENDS_WITHIN_S = 10.0


def engine_environment() -> dict[str, str]:
    """Return the environment in which NVFlare runs well."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        # Else each answer keeps a thread that waits 65 s.
        "NVFLARE_STREAMING_RETRY_TIMEOUT": "3",
        "NVFLARE_STREAMING_RETRY_WAIT": "1",
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "4"),
    }


class EngineProcess:
    """The server's or a site's process, and those of its jobs.

    Attributes:
        kit: start-up kit; NVFlare's folder too.
        log_file: what it prints.
    """

    def __init__(self, kit: Path, module: str, config: str, settings: tuple[str, ...]) -> None:
        """Prepare the command of ``python -m module``."""
        self.kit, self.log_file = kit, kit / "engine_log.txt"
        self._command = [sys.executable, "-u", "-m", module, "-m", str(kit), "-s", config, "--set", *settings]
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of_server(cls, kit: Path) -> EngineProcess:
        """Return the process of a server's kit."""
        settings = ("secure_train=true", "org=fedsim", "config_folder=config")
        return cls(kit, "nvflare.private.fed.app.server.server_train", "fed_server.json", settings)

    @classmethod
    def of_site(cls, kit: Path, name: str) -> EngineProcess:
        """Return the process of a site's kit."""
        settings = ("secure_train=true", f"uid={name}", "org=fedsim", "config_folder=config")
        return cls(kit, "nvflare.private.fed.app.client.client_train", "fed_client.json", settings)

    def start(self) -> None:
        """Start it.

        Raises:
            InputError: one of this kit runs already.
        """
        pid_file = self.kit / PID_FILE
        if pid_file.exists() and _alive(known := int(pid_file.read_text() or 0), str(self.kit)):
            raise InputError(f"Process {known} uses {self.kit} already; end it, or use another kit.")
        for stale in ("pid.fl", "shutdown.fl", "restart.fl"):
            (self.kit / stale).unlink(missing_ok=True)
        (self.kit / "transfer").mkdir(exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=engine_environment(),
                cwd=self.kit,
                start_new_session=True,
            )
        pid_file.write_text(str(self._process.pid))

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def log_tail(self, characters: int = 400) -> str:
        """Return the end of what it printed, in one line."""
        content = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return " ".join(content[-characters:].split())

    def end(self) -> None:
        """End it, and the processes of its jobs."""
        if self._process is not None:
            end_tree(self._process.pid)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDS_WITHIN_S)
        (self.kit / PID_FILE).unlink(missing_ok=True)


def end_tree(pid: int) -> None:
    """End a process and all that it has started: first by request, then at once."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(family, timeout=_ENDS_WITHIN_S)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _alive(pid: int, word: str) -> bool:
    """Tell whether a process runs whose command has a word: numbers are used again."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(word in part for part in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
