"""A site's run: the loop and the folder of any other training, moved by the server's rounds instead of by itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from FedSimCore.errors import InputError
from FedSimCore.federated.shared import shared_modules
from FedSimCore.federated.study import Study
from FedSimCore.files import write_json
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Ended, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import locked
from FedSimCore.tensor_files import read_tensors
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.devices import device_name, make_fabric
from FedSimCore.training.loop import Loop
from FedSimCore.training.provenance import with_session
from FedSimCore.training.random_state import seed_all
from FedSimCore.training.reporter import Listener, Preparations, Reporter, require_libraries, tell_if_possible
from FedSimCore.training.session import build_task, written_outcome
from FedSimCore.training.stopping import StopRequest
from FedSimCore.training.task import Task


@dataclass(eq=False)
class OpenRun:
    """A site's run that is open.

    Attributes:
        folder: of the run.
        task: its networks, optimizer and data.
        shared: those of its modules that are shared, without what the loop wraps them in.
        loop: makes its steps.
        reporter: tells of them.
        wants_stop: whether the site's people want it to stop.
        store: its checkpoints.
    """

    folder: RunFolder
    task: Task
    shared: dict[str, nn.Module]
    loop: Loop
    reporter: Reporter
    wants_stop: StopRequest
    store: CheckpointStore
    ended: bool = False

    def go_to(self, step: int) -> None:
        """Be as after ``step`` steps: as now, or as a checkpoint of that step has it.

        Without such a checkpoint the site keeps its latents as they are, and says so: the run goes on, but not as an
        unbroken one would have.

        Raises:
            InputError: the checkpoint is damaged.
        """
        if self.loop.step == step:
            return
        for checkpoint in self.store.stored():
            if checkpoint.step == step:
                tensors, _ = read_tensors(checkpoint.tensors)
                self.loop.load(checkpoint.content(), tensors, str(checkpoint.path))
                self.reporter.note(f"Goes on from step {step}, as the server does.")
                return
        self.reporter.warn(
            f"The server is at step {step} and this site was at {self.loop.step}, of which it has no checkpoint: it "
            "goes on with its latents as they are."
        )
        self.loop.step = step

    def save(self) -> None:
        """Write a checkpoint of the present step."""
        self.loop.save()

    def finish(self) -> None:
        """Write the results and end the run."""
        with self.loop.looking():
            outcome = self.task.finish(self.folder.path)
        written_outcome(self.folder, self.reporter, self.loop.step, outcome)
        self.ended = True
        self.reporter.close()

    def end(self, state: Literal["stopped", "failed"], reason: str) -> None:
        """End the run as it is."""
        if not self.ended:
            self.ended = True
            tell_if_possible(self.reporter, Ended(state=state, step=self.loop.step, reason=reason))
            self.reporter.close()


@contextmanager
def open_run(config: TrainingConfig, folder: RunFolder, study: Study, listen: Listener) -> Iterator[OpenRun]:
    """Begin a site's run or go on with it, and hold its folder.

    Args:
        config: of the site.
        folder: of the run.
        study: that it belongs to.
        listen: told every event.

    Raises:
        InputError: the data can't be used or has changed, another process uses the folder, or it holds another study.
        DiskError: the disk is full.
    """
    require_libraries()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    content = run_config(study, config)
    with locked(folder):
        resumed = folder.exists
        if not resumed:
            folder.make(content)
        elif folder.config().get("study_sha256") != study.digest:
            raise InputError(f"{folder.path} holds another study called {study.name!r}; give this one a new name.")
        folder.stop_file.unlink(missing_ok=True)
        stop = StopRequest(folder)
        store = CheckpointStore(folder.checkpoints, config.checkpoints_kept)
        stored = store.stored() if resumed else []
        reporter = Reporter(folder, stored[0].step if stored else 0, listen)
        try:
            seed_all(config.seed)
            task = build_task(config, folder, Preparations(reporter.tell, stop), resumed)
            shared = shared_modules(task.modules)
            session = 1 + len(folder.summary().get("sessions", []))
            fabric = make_fabric(config)
            fabric.launch()
            loop = Loop(fabric, task, config, store, session, reporter, stop)
            if resumed:
                loop.load_newest(reporter.warn)
            _begin(folder, config, task, session, loop, reporter, study)
        except BaseException as error:
            tell_if_possible(reporter, Ended(state="failed", step=0, reason=str(error)))
            reporter.close()
            if not resumed:
                folder.config_file.unlink(missing_ok=True)
            raise
        run = OpenRun(folder, task, shared, loop, reporter, stop, store)
        try:
            yield run
        except GeneratorExit:  # Nobody has closed it: the interpreter ends, and has closed its files already.
            run.ended = True
            raise
        finally:
            run.end("stopped", "The process ended.")


def _begin(
    folder: RunFolder, config: TrainingConfig, task: Task, session: int, loop: Loop, reporter: Reporter, study: Study
) -> None:
    summary = with_session(folder.summary(), config, task, session, loop.step, reporter.warn)
    write_json(folder.summary_file, summary)
    reporter.tell(
        Started(
            session=session,
            step=loop.step,
            total=config.steps,
            recipe=recipe_name(study),
            pid=os.getpid(),
            host=socket.gethostname(),
            device=device_name(task.device),
        )
    )


def recipe_name(study: Study) -> str:
    """Return what the runs of a study are called; never a recipe that ``fedsim runs resume`` would train alone."""
    return f"federated {study.kind}"


def run_config(study: Study, config: TrainingConfig) -> dict[str, Any]:
    """Return the content of ``config.json`` of a study's run."""
    return {
        "recipe": recipe_name(study),
        "steps": config.steps,
        "study_sha256": study.digest,
        "study": study.for_sites().model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
    }
