"""A session of a run, from config to result: new or resumed, ended by itself or by somebody."""

from __future__ import annotations

import importlib
import os
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.files import write_json
from FedSimCore.progress import Progress
from FedSimCore.ranks import is_main_process
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Ended, Evaluated, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import locked
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.devices import device_name, make_fabric
from FedSimCore.training.loop import Loop
from FedSimCore.training.memory import is_out_of_memory
from FedSimCore.training.provenance import with_session
from FedSimCore.training.random_state import seed_all
from FedSimCore.training.recipes import changed_fields, checked_config, with_settings
from FedSimCore.training.reporter import (
    Listener,
    Preparations,
    Reporter,
    ignore,
    require_libraries,
    tell_if_possible,
)
from FedSimCore.training.stopping import StopRequest
from FedSimCore.training.task import Outcome, Task, TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Builder = Callable[[Any, Progress], Task]


def begin(config: TrainingConfig, folder: RunFolder, listen: Listener = ignore) -> Outcome:
    """Train anew.

    Args:
        config: what to do.
        folder: for the run; must not hold one yet.
        listen: told every event.

    Raises:
        InputError: the folder holds a run, another process trains in it, or the data can't be used.
        TrainingError: the training can't go on (see :meth:`Loop.run`).
        CancelledError: somebody stopped it.
        DiskError: the disk is full.
        MissingDependencyError: a library is missing.
    """
    return _Session(folder, config, {}, listen).run()


def resume(folder: RunFolder, settings: Sequence[str] = (), listen: Listener = ignore) -> Outcome:
    """Go on with a run from its newest good checkpoint, or from the beginning if there is none.

    Args:
        folder: of the run.
        settings: ``KEY=VALUE`` changes of its config, of fields that may change.
        listen: told every event.

    Raises:
        InputError: there is no run, its data or checkpoints can't be used, or a field may not change.
        FedSimError: as :func:`begin`.
    """
    fields = folder.config()
    before = checked_config(fields, folder.config_file)
    after = checked_config(with_settings(fields, settings), folder.config_file)
    changed = changed_fields(before, after)
    return _Session(folder, after, changed, listen, resumed=True).run()


@dataclass
class _Session:
    folder: RunFolder
    config: TrainingConfig
    changed: dict[str, str]
    listen: Listener
    resumed: bool = False

    def run(self) -> Outcome:
        require_libraries()
        if self.config.threads is not None:
            torch.set_num_threads(self.config.threads)
        fabric = make_fabric(self.config)
        stop = StopRequest(self.folder)
        with ExitStack() as stack:
            if is_main_process():
                stack.enter_context(locked(self.folder))
                self._prepare_folder()
            stack.enter_context(stop.signals())
            fabric.launch()
            return self._train(fabric, stop)

    def _prepare_folder(self) -> None:
        self.folder.stop_file.unlink(missing_ok=True)
        if not self.resumed:
            self.folder.make(self.config.model_dump(mode="json"))
        elif self.changed:
            self.folder.write_config(self.config.model_dump(mode="json"))

    def _train(self, fabric: Fabric, stop: StopRequest) -> Outcome:
        reporter = Reporter(self.folder, self._newest_step(), self.listen) if fabric.is_global_zero else None
        loop: Loop | None = None
        task: Task | None = None
        try:
            seed_all(self.config.seed)
            preparations = Preparations(reporter.tell if reporter else ignore, stop)
            task = build_task(self.config, self.folder, preparations, self.resumed)
            loop = self._loop(fabric, task, stop, reporter)
            began = time.monotonic()
            if not loop.run():
                reason = (
                    f"Stopped after step {loop.step} of {self.config.steps} because {stop.reason}; "
                    f"go on with `fedsim runs resume {self.folder.path}`."
                )
                raise CancelledError(reason)
            with loop.looking():
                outcome = task.finish(self.folder.path) if fabric.is_global_zero else Outcome()
            if reporter is not None:
                seconds = round(time.monotonic() - began, 2)
                written_outcome(self.folder, reporter, loop.step, outcome, seconds_of_last_session=seconds)
            return outcome
        except BaseException as caught:
            error = _told_as_memory(caught, task) if task is not None and is_out_of_memory(caught) else caught
            if reporter is not None:
                self._failed(reporter, loop.step if loop else 0, error)
                if loop is None and not self.resumed:
                    # Nothing was trained: the folder can be used again when what was wrong is put right.
                    self.folder.config_file.unlink(missing_ok=True)
            raise error from (None if error is caught else caught)
        finally:
            if reporter is not None:
                reporter.close()

    def _loop(self, fabric: Fabric, task: Task, stop: StopRequest, reporter: Reporter | None) -> Loop:
        store = CheckpointStore(self.folder.checkpoints, self.config.checkpoints_kept)
        session = 1 + max([checkpoint.session for checkpoint in store.stored()], default=0) if self.resumed else 1
        session = max(session, 1 + len(self.folder.summary().get("sessions", [])))
        loop = Loop(fabric, task, self.config, store, session, reporter, stop)
        if self.resumed:
            loop.load_newest(reporter.warn if reporter else lambda _: None)
            if "micro_batch" in self.changed:
                loop.micro_batch = self.config.micro_batch
        if fabric.global_rank:
            seed_all(self.config.seed + fabric.global_rank)  # Noise must not be the main process's over again.
        if reporter is not None:
            summary = self.folder.summary() if self.resumed else {}
            write_json(
                self.folder.summary_file, with_session(summary, self.config, task, session, loop.step, reporter.warn)
            )
            reporter.tell(
                Started(
                    session=session,
                    step=loop.step,
                    total=self.config.steps,
                    recipe=self.config.recipe,
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    device=device_name(fabric.device),
                    changed=self.changed,
                )
            )
        return loop

    def _newest_step(self) -> int:
        stored = CheckpointStore(self.folder.checkpoints).stored() if self.resumed else []
        return stored[0].step if stored else 0

    def _failed(self, reporter: Reporter, step: int, error: BaseException) -> None:
        if isinstance(error, CancelledError):
            tell_if_possible(reporter, Ended(state="stopped", step=step, reason=str(error)))
        elif isinstance(error, KeyboardInterrupt):
            tell_if_possible(reporter, Ended(state="stopped", step=step, reason="Ended at once by Ctrl-C."))
        elif isinstance(error, FedSimError):
            tell_if_possible(reporter, Ended(state="failed", step=step, reason=str(error)))
        else:
            with suppress(OSError):
                reporter.log.error("%s", traceback.format_exc())
            reason = f"A bug of FedSim: {type(error).__name__}: {error} (log.txt has the details)."
            tell_if_possible(reporter, Ended(state="failed", step=step, reason=reason))


def build_task(config: TrainingConfig, folder: RunFolder, progress: Progress, resumed: bool) -> Task:
    """Build a config's task; the global generators have been seeded.

    Args:
        config: of the run.
        folder: of the run.
        progress: told of the preparations.
        resumed: whether the data has to be that of the run so far.

    Raises:
        InputError: the data can't be used, or has changed.
    """
    module, _, function = config.builder.partition(":")
    builder: Builder = getattr(importlib.import_module(module), function)
    task = builder(config, progress)
    known = folder.summary().get("data_sha256") if resumed else None
    if isinstance(known, dict) and known != dict(task.data_sha256):
        different = sorted(k for k in {*known, *task.data_sha256} if known.get(k) != task.data_sha256.get(k))
        raise InputError(
            f"The data of {folder.path} has changed since the run began ({', '.join(different[:3])}); "
            "restore it, or begin a new run."
        )
    return task


def written_outcome(folder: RunFolder, reporter: Reporter, step: int, outcome: Outcome, **facts: Any) -> None:
    """Write what a finished run has made into its summary, and tell of it.

    Args:
        folder: of the run.
        reporter: tells of it.
        step: steps done.
        outcome: files and metrics.
        facts: for the summary.
    """
    files = [path.relative_to(folder.path).as_posix() for path in outcome.files]
    if outcome.metrics:
        reporter.tell(Evaluated(step=step, metrics=dict(outcome.metrics)))
    result = {"steps": step, **facts, "files": files, "metrics": dict(outcome.metrics)}
    write_json(folder.summary_file, {**folder.summary(), "outcome": result})
    reporter.tell(Ended(state="finished", step=step, files=tuple(files)))


def _told_as_memory(error: BaseException, task: Task) -> TrainingError:
    return TrainingError(
        f"Measuring or saving the model does not fit into memory ({error}); {task.memory_advice}, then resume the run."
    )
