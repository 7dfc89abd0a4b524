"""Telling how a training goes: events, log, TensorBoard and whoever listens, all from one place."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import CancelledError, DiskError, MissingDependencyError
from FedSimCore.files import atomic_path, disk_errors
from FedSimCore.runs.events import Ended, Evaluated, Event, EventLog, Noted, Pictured, Progressed, Saved, Started
from FedSimCore.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 (logging's name)
        """Raise what logging would print on standard error, e.g. a full disk."""
        raise  # the error that is being handled


class Reporter:
    """Writes what happens into the run's folder.

    Attributes:
        run: the folder.
    """

    def __init__(self, run: RunFolder, step: int, listen: Listener = ignore) -> None:
        """Open the files.

        Args:
            run: the folder; it exists.
            step: from which the session goes on: TensorBoard forgets what an earlier one told of later steps.
            listen: told every event too.

        Raises:
            DiskError: a file can't be written.
        """
        self.run = run
        self._listen = listen
        self._events = EventLog(run.events_file)
        with disk_errors(run.log_file):
            self._handler = _LogFile(run.log_file, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.log = logging.Logger(f"fedsim.run.{run.name}")
        self.log.addHandler(self._handler)
        self._tensorboard: SummaryWriter | None = _summary_writer(run.tensorboard, step)

    def tell(self, event: Event) -> None:
        """Append an event; starts, checkpoints and ends reach the disk before this returns.

        Raises:
            DiskError: the disk is full.
        """
        self._events.append(event, durable=isinstance(event, Started | Saved | Ended))
        if isinstance(event, Progressed | Evaluated):
            self._curves(event)
        with disk_errors(self.run.log_file):
            self._log(event)
        self._listen(event)

    def note(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        """Tell one sentence."""
        self.tell(Noted(text=text, level=level))

    def warn(self, text: str) -> None:
        """Tell one sentence that somebody should read."""
        self.note(text, "warning")

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write pictures (height, width, 3) as PNG files and tell of them."""
        from PIL import Image

        for name, picture in pictures.items():
            path = self.run.pictures / f"{name}-step-{step:08d}.png"
            with atomic_path(path) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
            if self._tensorboard is not None:
                with disk_errors(self.run.tensorboard):
                    self._tensorboard.add_image(name, picture, step, dataformats="HWC")
            self.tell(Pictured(step=step, name=name, file=path.relative_to(self.run.path).as_posix()))

    def close(self) -> None:
        """Close all files; a full disk is no reason to fail any more."""
        with suppress(OSError):
            if self._tensorboard is not None:
                self._tensorboard.close()
        with suppress(OSError):
            self._handler.close()
        self._events.close()

    def _curves(self, event: Progressed | Evaluated) -> None:
        if self._tensorboard is None:
            return
        with disk_errors(self.run.tensorboard):
            for name, value in event.metrics.items():
                self._tensorboard.add_scalar(name, value, event.step)

    def _log(self, event: Event) -> None:
        if isinstance(event, Progressed | Evaluated):
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items())
            self.log.info("step %d: %s", event.step, numbers or getattr(event, "stage", ""))
        elif isinstance(event, Noted):
            self.log.log(logging.WARNING if event.level == "warning" else logging.INFO, "%s", event.text)
        elif isinstance(event, Ended):
            self.log.info("%s after step %d. %s", event.state, event.step, event.reason)
        elif isinstance(event, Started):
            self.log.info("session %d begins after step %d on %s", event.session, event.step, event.device)


class Preparations:
    """Tells of what comes before the first step as progress events, at most two a second."""

    def __init__(self, tell: Callable[[Event], None], wants_stop: Callable[[], bool]) -> None:
        """Tell ``tell``; end the preparations when ``wants_stop`` says so."""
        self._tell, self._wants_stop = tell, wants_stop
        self._last = 0.0

    def __call__(self, done: int, total: int, stage: str, /) -> None:
        """Tell of ``done`` of ``total`` parts of the preparation ``stage``, at step 0 of the run.

        Raises:
            CancelledError: somebody asked to stop.
        """
        if self._wants_stop():
            raise CancelledError("Stopped before the first step, so there is nothing to resume; begin anew.")
        now = time.monotonic()
        if done == total or now - self._last > 0.5:
            self._last = now
            self._tell(Progressed(stage=f"{stage} ({done} of {total})", step=0, total=0))


def require_libraries() -> None:
    """Check for the libraries that only training needs.

    Raises:
        MissingDependencyError: one is missing.
    """
    for module, package in (("lightning_fabric", "lightning-fabric"), ("tensorboard", "tensorboard")):
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError(f'Training needs {package}; install it with pip install "fedsim[train]".')


def _summary_writer(folder: Path, step: int) -> SummaryWriter:
    # TensorBoard's own switch for doing without TensorFlow, which would take seconds and the graphics card's memory.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    from torch.utils.tensorboard import SummaryWriter

    with disk_errors(folder):
        writer: SummaryWriter = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        return writer


def tell_if_possible(reporter: Reporter, event: Event) -> None:
    """Tell of the end even where that may fail: on a full disk there is no place for it."""
    with suppress(DiskError):
        reporter.tell(event)
