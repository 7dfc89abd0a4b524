"""One worker process: how it is started, spoken to and ended, on Linux, macOS and Windows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EXCHANGE_PREFIX = "fedsim-worker-"
_LOG_LINES = 200


@dataclass(frozen=True)
class WorkerLaunch:
    """How to start a worker.

    Attributes:
        python: the interpreter; in Slicer its ``PythonSlicer``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        model: shape model file; None for the built-in one.
        environment: of the process; None for this process's own.
        python_path: folders in which the worker finds packages before all others, e.g. that of ``FedSimCore``.
    """

    python: str = sys.executable
    device: str = "auto"
    model: Path | None = None
    environment: Mapping[str, str] | None = None
    python_path: tuple[str, ...] = field(default=())

    def command(self, exchange: Path) -> list[str]:
        """Return the command line."""
        command = [str(self.python), "-m", "FedSimCore.worker", "--exchange", str(exchange), "--device", self.device]
        return command if self.model is None else [*command, "--model", str(self.model)]

    def full_environment(self) -> dict[str, str]:
        """Return the environment of the process."""
        environment = dict(os.environ if self.environment is None else self.environment)
        paths = [*self.python_path, *filter(None, [environment.get("PYTHONPATH")])]
        if paths:
            environment["PYTHONPATH"] = os.pathsep.join(paths)
        environment["PYTHONIOENCODING"] = "utf-8"
        return environment


class WorkerProcess:
    """A running worker with its pipes and its folder for arrays.

    Only ``kill`` may be called from the GUI's thread; everything else blocks.

    Args:
        launch: how to start it.

    Raises:
        OSError: the interpreter cannot be started.
    """

    def __init__(self, launch: WorkerLaunch) -> None:
        # The empty folder is the working folder too: `python -m` looks for packages there first.
        self.exchange = Path(tempfile.mkdtemp(prefix=EXCHANGE_PREFIX))
        try:
            self._process = subprocess.Popen(
                launch.command(self.exchange),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.exchange,
                env=launch.full_environment(),
                # A group of its own: PythonSlicer is a launcher whose child does the work, and both have to end.
                start_new_session=os.name == "posix",
                creationflags=_windows_flags(),
            )
        except BaseException:
            shutil.rmtree(self.exchange, ignore_errors=True)
            raise
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._logger = threading.Thread(target=self._collect_log, name="fedsim-worker-log", daemon=True)
        self._logger.start()

    @property
    def pid(self) -> int:
        """Process id of what was started."""
        return self._process.pid

    @property
    def log(self) -> list[str]:
        """The last lines of its standard error."""
        return list(self._log)

    def send(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: the process is gone.
            ValueError: the pipe is closed.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def lines(self) -> Iterator[bytes]:
        """Give the lines of its standard output until it ends."""
        assert self._process.stdout is not None
        yield from iter(self._process.stdout.readline, b"")

    def kill(self) -> None:
        """End it and all it started, at once; returns without waiting for that."""
        threading.Thread(target=self._kill_tree, name="fedsim-worker-kill", daemon=True).start()

    def wait(self, timeout_s: float = 5.0) -> None:
        """Let it come to its end by itself, e.g. after its last line."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def finish(self) -> int:
        """End whatever is left of it, close the pipes, remove its folder; return its exit code."""
        self._kill_tree()
        code = self._process.wait()
        self._logger.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what was still to be written has no reader any more
        shutil.rmtree(self.exchange, ignore_errors=True)
        return code

    def _collect_log(self) -> None:
        assert self._process.stderr is not None
        for line in iter(self._process.stderr.readline, b""):
            self._log.append(line.decode("utf-8", "replace").rstrip())

    def _kill_tree(self) -> None:
        if self._process.returncode is not None:
            return  # Waited for: the number may be another program's by now.
        if os.name == "posix":
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return  # nothing of the group is left (macOS says so by EPERM)
        else:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "creationflags": _windows_flags()}
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(self._process.pid)], check=False, **quiet)  # type: ignore[call-overload]


def _windows_flags() -> int:
    """No console window, no Ctrl+C of the parent's console, and less priority than the application (0 elsewhere)."""
    names = ("CREATE_NO_WINDOW", "CREATE_NEW_PROCESS_GROUP", "BELOW_NORMAL_PRIORITY_CLASS")
    return sum(getattr(subprocess, name, 0) for name in names)


def was_killed(code: int) -> bool:
    """Tell whether an exit code means a crash or a kill rather than an end of the program's own choice."""
    return code < 0 or code > 255


def why_it_ended(code: int, log: list[str]) -> str:
    """Tell an exit code in words, with the last line of the log if it says anything."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        why = f"was killed ({name})"
        if name == "SIGKILL":
            why += ", as the system does with programs when memory runs out"
    elif was_killed(code):
        why = f"crashed (code {code:#x})"
    else:
        why = f"ended with exit code {code}"
    last = next((line for line in reversed(log) if line.strip()), "")
    return f"{why}: {last}" if last and code >= 0 else why
