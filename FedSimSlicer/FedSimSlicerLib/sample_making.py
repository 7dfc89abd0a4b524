"""Making a phantom patient in a process of its own and reading it; everything here is for a thread, without Qt."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.volumes.crop import cut_to_content
from FedSimCore.volumes.nifti import read_nifti
from FedSimSlicerLib.interpreter import worker_launch
from FedSimSlicerLib.scene_segmentations import new_layer
from FedSimSlicerLib.scene_volumes import new_image
from FedSimSlicerLib.worker_process import WorkerLaunch, WorkerProcess, why_it_ended

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.sample_data import Sample

IMAGE, LABELS = "image.nii.gz", "labels.nii.gz"
Tell = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class MadePhantom:
    """A patient, ready for the scene.

    Attributes:
        image: vtkImageData, HU.
        grid: its place, RAS mm.
        layer: vtkOrientedImageData of the segmentation; None if none is wanted.
    """

    image: Any
    grid: Grid
    layer: Any


@dataclass(frozen=True)
class PhantomLaunch(WorkerLaunch):
    """How to start the process that makes a patient, as the worker is started.

    Attributes:
        arguments: of ``python -m FedSimCore.cohorts.phantom``.
    """

    arguments: tuple[str, ...] = ()

    def command(self, exchange: Path) -> list[str]:  # noqa: ARG002
        """Return the command line; the exchange folder is its working folder only."""
        return [str(self.python), "-m", "FedSimCore.cohorts.phantom", *self.arguments]


class PhantomMaker:
    """Makes one patient.

    Args:
        sample: which one.
        cache: folder in which patients are kept.
    """

    def __init__(self, sample: Sample, cache: Path) -> None:
        self._sample, self._folder = sample, cache / sample.key
        self._cancelled = threading.Event()
        self._process: WorkerProcess | None = None

    def cancel(self) -> None:
        """End the process; may be called in any thread and takes no time."""
        self._cancelled.set()
        if (process := self._process) is not None:
            process.kill()

    def make(self, tell: Tell) -> MadePhantom:
        """Return the patient, made if it is not in the cache; a file that is damaged there is made anew.

        Args:
            tell: called with the share that is done, 0 to 1, and what is being done.

        Raises:
            CancelledError: :meth:`cancel` was called.
            InputError: the process failed, with its own last words.
        """
        try:
            return self._read()
        except FedSimError:  # not there, or half a file of an earlier crash
            self._run(tell)
        tell(1.0, _("loading"))
        return self._read()

    def _read(self) -> MadePhantom:
        image = read_nifti(self._folder / IMAGE)
        layer = None
        if self._sample.segmented:
            labels = read_nifti(self._folder / LABELS)
            part = cut_to_content(labels) or labels
            layer = new_layer(part.array, part.grid)
        return MadePhantom(new_image(image.array), image.grid, layer)

    def _run(self, tell: Tell) -> None:
        sample, worker = self._sample, worker_launch()
        arguments = (sample.site, str(sample.seed), "--variant", sample.variant, "--out", str(self._folder))
        launch = PhantomLaunch(
            python=worker.python,
            environment={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its threads wait busily over small matrices
            python_path=worker.python_path,
            arguments=arguments,
        )
        try:
            self._process = process = WorkerProcess(launch)
        except OSError as error:
            told = _("{python} cannot be started ({why}); install Slicer again.")
            raise InputError(told.format(python=launch.python, why=error)) from error
        if self._cancelled.is_set():
            process.kill()
        try:
            for line in process.lines():
                _pass_on(line, tell)
        finally:
            process.wait()
            code = process.finish()
        if self._cancelled.is_set():
            raise CancelledError("The user did not want to wait.")
        if code != 0:
            raise InputError(
                _("The phantom patient could not be made: {why}").format(why=_last_words(code, process.log))
            )


def _pass_on(line: bytes, tell: Tell) -> None:
    """Tell a line of progress; a library's own words on standard output are none."""
    try:
        step = json.loads(line)
        tell(step["done"] / step["total"], step["stage"])
    except (ValueError, KeyError, TypeError):
        return


def _last_words(code: int, log: list[str]) -> str:
    return log[-1] if 0 < code < 126 and log else why_it_ended(code, log)
