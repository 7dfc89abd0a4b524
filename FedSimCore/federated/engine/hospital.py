"""A study between hospitals: the server's supervisor, and a site's.

NVFlare survives no death by itself: a job fails when a site's job process dies, a restarted site does not join the job
that runs, a restarted server has no job but calls it running. The supervisor ends such jobs and submits the study
again, which goes on from the last checkpoint.
"""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.federated.engine.job import write_job
from FedSimCore.federated.engine.kits import ADMIN, ADMIN_FOLDER, STUDY_FILE, settle_server, settle_site
from FedSimCore.federated.engine.processes import EngineProcess
from FedSimCore.federated.local_sites import SERVER, SITE_FILE
from FedSimCore.federated.messages import bytes_of
from FedSimCore.federated.policy import SiteFile
from FedSimCore.federated.server import Averaging
from FedSimCore.federated.study import Study
from FedSimCore.files import read_json
from FedSimCore.runs.events import Ended, Event, Noted
from FedSimCore.runs.folder import RunFolder, runs_below
from FedSimCore.runs.history import RunHistory, RunStatus
from FedSimCore.runs.history import status as status_of
from FedSimCore.runs.lock import is_locked, locked
from FedSimCore.training.reporter import Listener, ignore
from FedSimCore.training.stopping import StopRequest
from FedSimCore.training.task import TrainingError

if TYPE_CHECKING:
    from nvflare.fuel.flare_api.flare_api import Session

_LOOK_EVERY_S = 1.0
_LOOK_AFTER_SITES_S = 5.0
_STARTS_WITHIN_S = 120.0
_ENDS_WITHIN_S = 90.0
_WAITING_ENDS_WITHIN_S = 10.0
"""A round that waits for a site which has come back outside the job can't be closed, so nothing is lost with it."""
_WITHOUT_JOB_S = 20.0
"""A site that is connected but has had no job of the study for so long gets it anew."""
_MOST_IN_VAIN = 3
_NEARLY_FULL = 20 * 2**20
"""Bytes; a checkpoint hardly needs more."""


def serve(kit: Path, output: Path, carry: str = "pull", listen: Listener = ignore) -> None:
    """Run a study's server until the study has ended.

    Args:
        kit: the server's.
        output: holds the server's run.
        carry: ``"pull"`` or ``"push"``, see :class:`~FedSimCore.federated.engine.controller.StudyController`.
        listen: told every event of the server's run.

    Raises:
        InputError: the kit can't be used, or another process uses it.
        TrainingError: the study can't go on; the sentence says why.
        CancelledError: somebody stopped it; it can be started again.
    """
    kit, output = kit.resolve(), output.resolve()
    settle_server(kit)
    study = Study.model_validate(read_json(kit / "local" / STUDY_FILE))
    supervisor = _Supervisor(study, kit, RunFolder(output / SERVER), carry, listen)
    with supervisor.stop.signals():
        supervisor.run()


class _Supervisor:
    def __init__(self, study: Study, kit: Path, run: RunFolder, carry: str, listen: Listener) -> None:
        self._study, self._kit, self._run, self._carry, self._listen = study, kit, run, carry, listen
        self._process = EngineProcess.of_server(kit)
        self._session: Session | None = None
        self._history: RunHistory | None = None
        self._job = ""
        self._without_job: dict[str, float] = {}
        self._looked_at = 0.0
        self.stop = StopRequest(run)

    def run(self) -> None:
        """Start the server, submit the study, and again as often as it needs, until it has ended."""
        in_vain, before = 0, -1
        self._history = RunHistory(self._run) if self._run.events_file.exists() else None
        self._run.stop_file.unlink(missing_ok=True)
        try:
            while in_vain < _MOST_IN_VAIN:
                self._ensure_server()
                self._submit()
                why = self._follow()
                state = status_of(self._run) if self._run.exists else None
                if self._ended_well(state, why):
                    return
                in_vain = in_vain + 1 if state is None or state.step <= before else 0
                before = state.step if state else -1
                self._tell(f"The study is submitted again, because {why}.")
                self._abort()
                self._run.stop_file.unlink(missing_ok=True)  # Our own wish, which has been heard.
        finally:
            self._close_session()
            self._process.end()
        raise TrainingError(
            f"The study was submitted {_MOST_IN_VAIN} times without making a round; see {self._process.log_file}."
        )

    def _ended_well(self, state: RunStatus | None, why: str) -> bool:
        """Return whether the study is finished.

        Raises:
            TrainingError: it has failed.
            CancelledError: it was stopped.
        """
        if state is None:
            return False
        if state.state == "finished":
            return True
        if self.stop.reason:
            raise CancelledError(state.reason or f"The study was stopped because {self.stop.reason}.")
        if state.state == "failed" and not why:
            raise TrainingError(state.reason)
        return False

    # ---- The engine

    def _ensure_server(self) -> None:
        """Start the server's process if it does not run, and open a session with it.

        Raises:
            InputError: it does not come up; the sentence has its last words.
        """
        if not self._process.runs:
            self._close_session()
            self._process.start()
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while self._session is None:
            self._require_wanted()
            if not self._process.runs or time.monotonic() > deadline:
                raise InputError(f"The server does not come up; it says: {self._process.log_tail()}")
            self._session = self._opened()

    def _opened(self) -> Session | None:
        from nvflare.fuel.flare_api.flare_api import new_secure_session

        try:
            with redirect_stdout(io.StringIO()):
                return new_secure_session(ADMIN, str(self._kit / ADMIN_FOLDER), timeout=10.0)
        except Exception:  # NVFlare raises many kinds while the server comes up.
            time.sleep(_LOOK_EVERY_S)
            return None

    def _close_session(self) -> None:
        if self._session is not None:
            with suppress(Exception):
                self._session.close()
            self._session = None

    def _submit(self) -> None:
        """Submit the study once enough sites are connected."""
        self._tell(f"Waiting for {self._study.fewest} of the sites {', '.join(self._study.site_names)}.")
        waiting_since = time.monotonic()
        while True:
            self._require_wanted()
            connected = self._connected()
            everybody = connected >= set(self._study.site_names)
            patience = time.monotonic() - waiting_since > self._study.deadline_s
            if everybody or (len(connected) >= self._study.fewest and patience and self._study.when_late == "go-on"):
                break
            if not self._process.runs:
                self._ensure_server()
            time.sleep(_LOOK_EVERY_S)
        folder = self._kit / "study_job"
        size = bytes_of(Averaging(self._study).weights())
        study_file = self._kit / "local" / STUDY_FILE
        write_job(folder, self._study.name, study_file, self._run.path, self._carry, size)
        assert self._session is not None
        self._job = self._session.submit_job(str(folder))
        self._without_job = {}
        self._tell(f"Job {self._job[:8]} was submitted to {', '.join(sorted(connected))}.")

    def _connected(self) -> set[str]:
        try:
            assert self._session is not None
            return {one.name for one in self._session.get_connected_client_list()} & set(self._study.site_names)
        except Exception:  # The session ends with the server.
            self._close_session()
            if self._process.runs:
                self._session = self._opened()
            return set()

    def _abort(self) -> None:
        """End the job, whatever it calls itself."""
        with suppress(Exception):
            if self._session is not None and self._job:
                self._session.abort_job(self._job)
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while is_locked(self._run) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)

    # ---- Following

    def _follow(self) -> str:
        """Hand on events until the study has ended or must be submitted again; returns why it must, or nothing."""
        give_up = float("inf")
        why = ""
        began = time.monotonic()
        seen_running = False
        ended: Ended | None = None
        while True:
            ended = self._hand_on() or ended
            running = is_locked(self._run)
            seen_running |= running
            if ended is not None and not running:
                return why or ("the engine ended its job" if ended.state == "stopped" else "")
            # Once a site is back, the stop file is our own.
            wanted = self.stop() if not why else bool(self.stop.reason)
            if wanted and self._run.exists and running:
                self._run.stop_file.touch()
                give_up = min(give_up, time.monotonic() + _ENDS_WITHIN_S)
            if wanted and not running:
                return ""
            if time.monotonic() > give_up:
                return why or "it did not end by itself"
            if not self._process.runs:
                return "the server's process died"
            if seen_running and not running:
                return "the study's job died"
            if not why and seen_running and (back := self._back_without_job()):
                why = f"{back} is back"
                self._run.stop_file.touch()
                patience = _ENDS_WITHIN_S if self._study.when_late == "go-on" else _WAITING_ENDS_WITHIN_S
                give_up = time.monotonic() + patience
            if not seen_running and (time.monotonic() - began > _STARTS_WITHIN_S or self._job_is_over()):
                return "the job did not begin"
            time.sleep(_LOOK_EVERY_S)

    def _hand_on(self) -> Ended | None:
        """Tell new events; returns the end of this session, if it has come."""
        new: list[Event] = []
        if self._history is None and self._run.events_file.exists():
            self._history = RunHistory(self._run)
            new = list(self._history.events)
        elif self._history is not None:
            new = self._history.update()
        for event in new:
            self._listen(event)
        return next((event for event in reversed(new) if isinstance(event, Ended)), None)

    def _job_is_over(self) -> bool:
        """Tell whether the engine has given the job up, e.g. because one of its processes could not begin."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_AFTER_SITES_S:
            return False
        self._looked_at = now
        try:
            assert self._session is not None
            return str(self._session.get_job_meta(self._job).get("status", "")).startswith("FINISHED")
        except Exception:  # The session may have ended.
            return False

    def _back_without_job(self) -> str:
        """Return a site that is connected but takes no part: it was started again, and NVFlare gives it no job."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_AFTER_SITES_S:
            return ""
        self._looked_at = now
        try:
            assert self._session is not None
            found = self._session.get_client_job_status(list(self._connected()))
        except Exception:  # A site may be on its way, the session may have ended.
            return ""
        for one in found:
            name = one.get("client_name", "")
            jobs = one.get("jobs") or one.get("job_id") or ""
            if name and self._job not in str(jobs) and self._job not in str(one):
                since = self._without_job.setdefault(name, now)
                if now - since > _WITHOUT_JOB_S:
                    return str(name)
            else:
                self._without_job.pop(name, None)
        return ""

    def _require_wanted(self) -> None:
        if self.stop():
            raise CancelledError(f"The study was stopped because {self.stop.reason}.")

    def _tell(self, text: str) -> None:
        self._listen(Noted(text=text))


def take_part(
    kit: Path,
    cohort: Path | None = None,
    runs: Path | None = None,
    stay: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a site until the study is finished.

    Args:
        kit: the site's.
        cohort: folder or table of its cases; None: as the kit says.
        runs: folder for its runs; likewise.
        stay: wait for further studies.
        told: given sentences.

    Raises:
        InputError: the kit can't be used, or another process uses it.
        FedSimError: the site's process dies again and again.
    """
    kit = kit.resolve()
    settle_site(kit, cohort, runs)
    own = SiteFile.model_validate(read_json(kit / "local" / SITE_FILE))
    process = EngineProcess.of_site(kit, own.name)
    stop = StopRequest(RunFolder(own.runs))
    began, starts, full = time.time(), 0, False
    own.runs.mkdir(parents=True, exist_ok=True)
    RunFolder(own.runs).stop_file.unlink(missing_ok=True)
    try:
        with locked(RunFolder(own.runs)), stop.signals():
            while not stop():
                if not process.runs:
                    starts += 1
                    if starts > _MOST_IN_VAIN:
                        raise FedSimError(f"The site's process ends again and again; it says: {process.log_tail()}")
                    process.start()
                    told(f"{own.name} waits for the server.")
                if (free := shutil.disk_usage(own.runs).free) < _NEARLY_FULL and not full:
                    told(
                        f"The disk is nearly full ({free / 2**20:.0f} MB left at {own.runs}). What the ledger cannot "
                        "write down is not sent, and the study waits or ends: make room, and start this again if it "
                        "has ended."
                    )
                full = free < _NEARLY_FULL
                if not stay and _finished_since(own.runs, began):
                    told("The study is finished.")
                    time.sleep(_LOOK_AFTER_SITES_S)  # The engine still says goodbye to the server.
                    return
                time.sleep(_LOOK_EVERY_S)
    finally:
        process.end()


def _finished_since(runs: Path, began: float) -> bool:
    found = [status_of(run) for run in runs_below(runs, depth=1)]
    return any(one.state == "finished" and (one.updated or 0) > began for one in found)
