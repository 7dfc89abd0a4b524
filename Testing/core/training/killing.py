"""Trainings in processes that can be killed, started from a server that has imported everything already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

from FedSimCore.errors import FedSimError
from FedSimCore.runs.events import Progressed, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.config import TrainingConfig

PRELOADED = [
    "lightning_fabric",
    "torch.utils.tensorboard",
    "torch._dynamo",
    "PIL.Image",
    "nibabel",
    "FedSimCore.training.session",
    "FedSimCore.training.shape_generator",
    "FedSimCore.training.enhancer",
]


def train(config: TrainingConfig, run: Path) -> None:
    """Begin a run, or go on with it."""
    from FedSimCore.training.session import begin, resume

    folder = RunFolder(run)
    try:
        resume(folder) if folder.exists else begin(config, folder)
    except FedSimError as error:
        os._exit(int(error.exit_code))


def _last_step(events: Path) -> int:
    told = read_events(events)[0] if events.exists() else []
    return max((event.step for event in told if isinstance(event, Progressed)), default=0)


class Trainings:
    """Starts trainings and kills them."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def start(self, config: TrainingConfig, run: Path) -> multiprocessing.process.BaseProcess:
        """Start a training in a process of its own."""
        process = self._context.Process(target=train, args=(config, run))
        process.start()
        return process

    def kill_after(self, seconds: float, config: TrainingConfig, run: Path, number: int = signal.SIGKILL) -> bool:
        """Start a training, send it a signal after so long, and wait for its end; True if it had ended by itself."""
        process = self.start(config, run)
        process.join(seconds)
        alive = process.is_alive()
        if alive:
            assert process.pid is not None
            os.kill(process.pid, number)
        process.join()
        return not alive

    def kill_at_step(self, step: int, config: TrainingConfig, run: Path, delay: float = 0.0) -> bool:
        """Start a training and kill it some moments after it has told of a step; True if it had ended by itself."""
        process = self.start(config, run)
        events = RunFolder(run).events_file
        while process.is_alive() and _last_step(events) < step:
            time.sleep(0.002)
        process.join(delay)
        alive = process.is_alive()
        process.kill()
        process.join()
        return not alive

    def wait_for(self, path: Path, seconds: float = 60) -> None:
        """Wait until a file is there."""
        deadline = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < deadline, f"{path} has not come"
            time.sleep(0.01)
