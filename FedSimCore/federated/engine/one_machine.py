"""Runs a study on one machine, each site in a process of its own, and brings it back when a process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from FedSimCore.errors import CancelledError
from FedSimCore.federated.engine.controller import write_study
from FedSimCore.federated.engine.executor import SITES_FOLDER
from FedSimCore.federated.engine.job import write_job
from FedSimCore.federated.engine.processes import engine_environment
from FedSimCore.federated.engine.site_rules import write_simulation_rules
from FedSimCore.federated.local_sites import SERVER, SITES, write_site_files
from FedSimCore.federated.messages import bytes_of
from FedSimCore.federated.server import Averaging
from FedSimCore.federated.study import Study
from FedSimCore.runs.events import Ended, Noted, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory, RunStatus, status
from FedSimCore.runs.lock import is_locked
from FedSimCore.training.reporter import Listener, ignore
from FedSimCore.training.stopping import StopRequest
from FedSimCore.training.task import TrainingError

_LOOK_EVERY_S = 0.2
_ENDS_WITHIN_S = 60.0
_LOST_ENDS_WITHIN_S = 5.0
"""A server that waits for a site which is no more has nothing to save that its last checkpoint does not hold."""
_ENGINE_ENDS_S = 3.0
_MOST_IN_VAIN = 3
"""So often the study is started again without a round more than before."""


def run_on_one_machine(study: Study, folder: Path, listen: Listener = ignore) -> None:
    """Run a study, or go on with it; a finished one is left as it is.

    Whatever process dies, the study is started again from its last checkpoint.

    Args:
        study: with its sites' data.
        folder: holds the server's run and those of the sites.
        listen: told every event of the server's run.

    Raises:
        InputError: the study's files can't be written as they are.
        TrainingError: the study can't go on; the sentence says why.
        CancelledError: somebody stopped it; it can be resumed.
    """
    folder = folder.resolve()
    server = RunFolder(folder / SERVER)
    if server.exists and status(server).state == "finished":
        return
    write_site_files(study, folder)
    one = _OneMachine(study, folder, listen)
    in_vain, before = 0, -1
    with one.stop.signals():
        while in_vain < _MOST_IN_VAIN:
            state = one.session()
            if state.state == "finished":
                return
            if one.stop.reason or (state.state == "stopped" and not one.lost):
                raise CancelledError(state.reason or f"The study was stopped because {one.stop.reason}.")
            if state.state == "failed":
                raise TrainingError(state.reason)
            in_vain = 0 if state.step > before else in_vain + 1
            before = state.step
            why = f"the process of {one.lost} died" if one.lost else "the server's process died"
            listen(Noted(text=f"The study is started again, because {why}.", level="warning"))
    raise TrainingError(
        f"The study was started {_MOST_IN_VAIN} times without making a round; {one.log_file} has the engine's words."
    )


class _OneMachine:
    """A study's processes.

    Attributes:
        stop: whether somebody wants it to stop.
        lost: site whose process died in the last session; empty if none did.
        log_file: what the engine printed.
    """

    def __init__(self, study: Study, folder: Path, listen: Listener) -> None:
        self._study, self._folder, self._listen = study, folder, listen
        self._server = RunFolder(folder / SERVER)
        self._sites = {name: RunFolder(folder / SITES / name / study.name) for name in study.site_names}
        self.stop = StopRequest(self._server)
        self.log_file = folder / "engine" / "log.txt"
        self.lost = ""

    def session(self) -> RunStatus:
        """Start the processes, follow the server's run until they have ended, and return its state."""
        self.lost = ""
        self._server.stop_file.unlink(missing_ok=True)
        history = RunHistory(self._server) if self._server.events_file.exists() else None
        with self._started() as process:
            self._follow(process, history)
        return RunHistory(self._server).status()

    @contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        study_file = write_study(self._study, self._folder / "engine" / "study.json")
        # NVFlare splits its commands at spaces, so its own folder must have none.
        with tempfile.TemporaryDirectory(prefix="fedsim-", ignore_cleanup_errors=True) as short:
            work, size = Path(short) / "work", bytes_of(Averaging(self._study).weights())
            write_simulation_rules(work / "local")
            job = write_job(Path(short) / "job", self._study.name, study_file, self._server.path, "push", size)
            command = [sys.executable, "-m", "FedSimCore.federated.engine.simulation", str(job), str(work)]
            with self.log_file.open("ab") as log:
                process = subprocess.Popen(
                    [*command, ",".join(self._study.site_names)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**engine_environment(), SITES_FOLDER: str(self._folder / SITES)},
                    start_new_session=True,
                )
            try:
                yield process
            finally:
                self._end(process)

    def _follow(self, process: subprocess.Popen[bytes], history: RunHistory | None) -> None:
        """Hand on new events, look after the sites' processes, and pass a wish to stop to the server."""
        seen: set[str] = set()
        give_up, ended = float("inf"), False
        while process.poll() is None and time.monotonic() < give_up:
            if history is None and self._server.events_file.exists():
                history = RunHistory(self._server)
                new = history.events
            else:
                new = history.update() if history is not None else []
            for event in new:
                self._listen(event)
            if any(isinstance(event, Ended) for event in new):
                ended = True
                give_up = min(give_up, time.monotonic() + _ENGINE_ENDS_S)  # All sites have closed their runs by now.
            running = {name for name, run in self._sites.items() if is_locked(run)}
            gone = sorted(seen - running)
            # Once a site is lost, the stop file is our own.
            wanted = self.stop() if not self.lost else bool(self.stop.reason)
            if (gone or wanted) and not ended and give_up == float("inf"):
                self.lost = gone[0] if gone and not wanted else ""
                self._server.stop_file.touch()
                give_up = time.monotonic() + (_LOST_ENDS_WITHIN_S if self.lost else _ENDS_WITHIN_S)
            seen |= running
            time.sleep(_LOOK_EVERY_S)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End what is left of the processes; the sites' have groups of their own."""
        with _suppressed():
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for run in (self._server, *self._sites.values()):
            if is_locked(run):
                started = [e for e in RunHistory(run).events if isinstance(e, Started)]
                if started:
                    with _suppressed():
                        os.kill(started[-1].pid, signal.SIGKILL)


@contextmanager
def _suppressed() -> Iterator[None]:
    """Go on where a process has ended by itself already."""
    try:
        yield
    except (ProcessLookupError, PermissionError):
        return
