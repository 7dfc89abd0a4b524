"""Fitting the heart to a patient: the node is read in a thread, the fit is made by the worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Grid
from FedSimCore.worker.protocol import FitResult, FitTask, GridSpec
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.scene_segmentations import label_source_of
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.patient_labels import FoundLabels
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed, RequestProgress
    from FedSimSlicerLib.worker_service import WorkerService

CHANNEL = "fit"
FINEST_MM = 1.25
"""Finer label maps are thinned to about this: the fit then takes seconds instead of a minute, and its steps are coarser
anyway."""


@dataclass(frozen=True)
class FitChoice:
    """What of the heart is fitted.

    Attributes:
        modes: how many of the shape's; None to keep the shape and find its pose only.
        limit_sigma: how far each mode may go.
    """

    modes: int | None
    limit_sigma: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted heart and how well it fits.

    Attributes:
        heart: its parameters.
        patient: name of the patient's node.
        names: region key to what the patient's segmentation calls it.
        dice, distance_mm: by region key; regions that the patient lacks have none.
        mean_dice, initial_dice: over the regions, after and before.
        missing: keys of the regions that the patient lacks.
        residual_mm: (V,) signed distance of each vertex to the patient's region, NaN where that is missing.
    """

    heart: HeartParameters
    patient: str
    names: Mapping[str, str]
    dice: Mapping[str, float]
    distance_mm: Mapping[str, float]
    mean_dice: float
    initial_dice: float
    missing: tuple[str, ...]
    residual_mm: NDArray[np.float32]


def thinned(found: FoundLabels, finest_mm: float = FINEST_MM) -> FoundLabels:
    """Return every second, third, ... voxel along axes finer than a half, a third, ... of ``finest_mm``."""
    spacing = np.linalg.norm(found.grid.affine[:3, :3], axis=0)
    steps = np.maximum(1, np.floor(finest_mm / spacing + 1e-6)).astype(int)
    if (steps == 1).all():
        return found
    i, j, k = map(int, steps)
    labels = np.ascontiguousarray(found.labels[::i, ::j, ::k])
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    return dataclasses.replace(found, labels=labels, grid=Grid(shape, found.grid.affine @ np.diag([i, j, k, 1])))


class PatientFit:
    """One fit at a time.

    Attributes:
        changed: emitted when a fit begins or ends, however it ends.
        progressed: emitted with a stage, the share that is done, and seconds remaining (None while unknown).
        fitted: emitted with the result.
        failed: emitted with a sentence for the user.

    Args:
        worker: makes the fit.
    """

    def __init__(self, worker: WorkerService) -> None:
        self._worker = worker
        self._background = Background()
        self._number, self._running = 0, False
        self.changed: Signal[[]] = Signal()
        self.progressed: Signal[[str, float, float | None]] = Signal()
        self.fitted: Signal[[Fitted]] = Signal()
        self.failed: Signal[[str]] = Signal()

    @property
    def running(self) -> bool:
        """Whether a fit is being made."""
        return self._running

    def start(self, patient: Any, choice: FitChoice, heart: HeartParameters) -> None:
        """Fit a heart to a patient's node; what is wrong with the node is told by ``failed``.

        Args:
            patient: segmentation or label map node; None if none is chosen.
            choice: what is fitted.
            heart: the heart as it is now, whose shape is kept if the choice says so.
        """
        self.cancel()
        try:
            source = label_source_of(patient)
        except FedSimError as error:
            self.failed.emit(str(error))
            return
        number = self._number
        self._set_running(True)
        self.progressed.emit(_("reading {name}").format(name=source.name), 0.0, None)

        def send(found: FoundLabels) -> None:
            if number == self._number:
                self._send(source.name, found, choice, heart)

        def fail(error: BaseException) -> None:
            if number == self._number:
                self._fail(str(error) if isinstance(error, FedSimError) else _cannot_read(source.name, error))

        self._background.run(lambda: thinned(source.read()), send, fail)

    def cancel(self) -> None:
        """End the fit, if there is one; nothing of it is told any more."""
        self._number += 1
        if self._running:
            self._worker.cancel(CHANNEL)
            self._set_running(False)

    def close(self) -> None:
        """End for good."""
        self.cancel()
        self._background.close()

    def _send(self, name: str, found: FoundLabels, choice: FitChoice, heart: HeartParameters) -> None:
        number = self._number
        pose_only = choice.modes is None
        task = FitTask(
            name=name,
            affine=GridSpec.of(found.grid).affine,
            limit_sigma=choice.limit_sigma,
            modes=choice.modes,
            start=heart if pose_only else None,
            pose_only=pose_only,
        )

        def take(event: RequestDone) -> None:
            if number == self._number:
                self._take(event, name, found.names)

        def progress(event: RequestProgress) -> None:
            if number == self._number:
                self.progressed.emit(event.stage, event.fraction, event.remaining_s)

        def fail(event: RequestFailed) -> None:
            if number == self._number:
                self._fail(event.sentence)

        self._worker.ask(CHANNEL, task, Reply(take, progress, fail), arrays={"labels": found.labels})

    def _take(self, event: RequestDone, name: str, names: Mapping[str, str]) -> None:
        result = cast(FitResult, event.result)
        self._set_running(False)
        self.fitted.emit(
            Fitted(
                heart=result.parameters,
                patient=name,
                names=names,
                dice=result.dice,
                distance_mm=result.distance_mm,
                mean_dice=result.mean_dice,
                initial_dice=result.initial_dice,
                missing=result.missing_regions,
                residual_mm=event.arrays["residual_mm"],
            )
        )

    def _fail(self, sentence: str) -> None:
        self._number += 1
        self._set_running(False)
        self.failed.emit(sentence)

    def _set_running(self, running: bool) -> None:
        self._running = running
        self.changed.emit()


def _cannot_read(name: str, error: BaseException) -> str:
    return _("{name} could not be read: {error}. Save it, load it again, and try once more.").format(
        name=name, error=error
    )
