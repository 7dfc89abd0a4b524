"""Segmenting one scan after the other: read in a thread, found by the worker, put into the scene, saved."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.volumes import Volume
from FedSimCore.worker.protocol import SegmentResult, SegmentTask, SurfacesTask
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.segment_files import SaveChoice, file_stems, save_result
from FedSimSlicerLib.segment_results import Prepared, SegmentedScan, make_surfaces, prepare, put_result, show_surfaces
from FedSimSlicerLib.segment_scans import ScanSource
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed, RequestProgress

CHANNEL = "segmentation"
State = Literal["waiting", "running", "saving", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class SegmentChoice:
    """How scans are segmented.

    Attributes:
        segmenter: its file or run; None for the one that ships.
        flips: average mirror images.
        uncertainty: show it, too.
        save: where results are saved; None for not at all.
    """

    segmenter: str | None = None
    flips: bool = False
    uncertainty: bool = False
    save: SaveChoice | None = None


@dataclass(eq=False)
class Job:
    """One scan on its way.

    Attributes:
        scan_id, name: of its node.
        stem: what the names of its files begin with.
        state: where it stands.
        stage, fraction, remaining_s: of what runs, as the worker tells it.
        reason: why it failed, or was not saved.
        result: what was found; None before.
        segmented: its segmentation; None before, and without a heart.
        middle_mm: of the heart that was found (3,), RAS; None without one.
        files: names of those that were saved.
    """

    scan_id: str
    name: str
    stem: str
    state: State = "waiting"
    stage: str = ""
    fraction: float = 0.0
    remaining_s: float | None = None
    reason: str = ""
    result: SegmentResult | None = None
    segmented: SegmentedScan | None = None
    middle_mm: NDArray[np.float64] | None = None
    files: tuple[str, ...] = field(default=())

    @property
    def ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in ("done", "failed", "cancelled")


class Segmenting:
    """Segments scans, one at a time; one that fails does not stop the others.

    Attributes:
        jobs: of the last batch, in its order.
        changed: emitted when a job's state is another one.
        progressed: emitted with the job that runs.

    Args:
        session: what is behind the panels.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._background = Background()
        self._choice = SegmentChoice()
        self._began = 0.0
        self._seconds: list[float] = []
        self.jobs: list[Job] = []
        self.changed: Signal[[Job]] = Signal()
        self.progressed: Signal[[Job]] = Signal()
        session.state_changed.connect(self._on_state)

    @property
    def running(self) -> bool:
        """Whether a scan is being segmented or waits for it."""
        return any(not job.ended for job in self.jobs)

    @property
    def fraction(self) -> float:
        """The share of the batch that is done."""
        return sum(1.0 if job.ended else job.fraction for job in self.jobs) / max(1, len(self.jobs))

    @property
    def remaining_s(self) -> float | None:
        """An estimate for the whole batch; None while nothing can be said."""
        active = next((job for job in self.jobs if job.state == "running"), None)
        if active is None or active.remaining_s is None:
            return None
        elapsed = time.monotonic() - self._began
        each = sum(self._seconds) / len(self._seconds) if self._seconds else elapsed + active.remaining_s
        return active.remaining_s + each * sum(job.state == "waiting" for job in self.jobs)

    def start(self, scans: Sequence[Any], choice: SegmentChoice) -> None:
        """Segment scans in the background.

        Args:
            scans: volume nodes.
            choice: how.
        """
        self.cancel()
        self._choice, self._seconds = choice, []
        names = [node.GetName() for node in scans]
        self.jobs = [
            Job(node.GetID(), name, stem) for node, name, stem in zip(scans, names, file_stems(names), strict=True)
        ]
        self._next()

    def cancel(self) -> None:
        """End the scan under way and those that wait; what has been found stays."""
        ended = [job for job in self.jobs if not job.ended]
        if not ended:
            return
        self._session.worker.cancel(CHANNEL)
        for job in ended:
            # One that is being saved is in the scene already.
            self._set(job, "done" if job.state == "saving" else "cancelled")

    def close(self) -> None:
        """End for good."""
        self.cancel()
        self._background.close()

    def _next(self) -> None:
        """Begin with the next scan that waits; those that cannot be read fail at once."""
        for job in self.jobs:
            if job.state == "waiting":
                node = slicer.mrmlScene.GetNodeByID(job.scan_id)
                if node is None:
                    self._fail(job, _("{scan} is no longer in the scene.").format(scan=job.name), go_on=False)
                    continue
                try:
                    source = ScanSource.of(node)
                except FedSimError as error:
                    self._fail(job, str(error), go_on=False)
                    continue
                self._begin(job, source)
                return

    def _begin(self, job: Job, source: ScanSource) -> None:
        self._began = time.monotonic()
        job.stage = _("reading the scan")
        self._set(job, "running")
        self._background.run(
            source.read, self._if_running(job, lambda array: self._ask(job, source, array)), self._on_error(job)
        )

    def _ask(self, job: Job, source: ScanSource, array: Any) -> None:
        choice = self._choice
        told = {"name": job.name, "file": choice.segmenter, "affine": source.grid.affine.tolist()}
        task = SegmentTask.model_validate({**told, "flips": choice.flips, "uncertainty": choice.uncertainty})
        reply = Reply(
            self._if_running(job, lambda event: self._take(job, source, event)),
            progress=self._if_running(job, lambda event: self._on_progress(job, event)),
            failed=self._if_running(job, lambda event: self._on_failed(job, event)),
        )
        self._session.worker.ask(CHANNEL, task, reply, {"hu": array})

    def _on_progress(self, job: Job, event: RequestProgress) -> None:
        job.stage, job.fraction, job.remaining_s = event.stage, event.fraction, event.remaining_s
        self.progressed.emit(job)

    def _take(self, job: Job, source: ScanSource, event: RequestDone) -> None:
        """Make images in a thread, while the worker goes on with the next scan."""
        self._seconds.append(event.seconds)
        result: Any = event.result  # a SegmentResult
        job.result, job.fraction = result, 1.0
        arrays = event.arrays

        def show(prepared: Prepared) -> None:
            self._show(job, prepared)
            self._save(job, result, arrays, source)

        work = self._if_running(job, show)
        self._background.run(lambda: prepare(result, arrays, source.grid), work, self._on_error(job))

    def _show(self, job: Job, prepared: Prepared) -> None:
        scan = slicer.mrmlScene.GetNodeByID(job.scan_id)
        if scan is None:
            self._fail(job, _("{scan} is no longer in the scene.").format(scan=job.name))
            return
        segmented = job.segmented = put_result(prepared, scan)
        if segmented is not None and prepared.labels is not None:
            grid = prepared.labels.grid
            job.middle_mm = grid.to_world((np.array(grid.shape) - 1) / 2)
            self._ask_for_surfaces(job, segmented, prepared.labels)

    def _ask_for_surfaces(self, job: Job, segmented: SegmentedScan, labels: Volume) -> None:
        def take(event: RequestDone) -> None:
            found: Any = event.result  # a SurfacesResult
            arrays = event.arrays
            self._background.run(
                lambda: make_surfaces(found.labels, arrays, segmented.result),
                lambda surfaces: show_surfaces(segmented, surfaces),
                lambda error: logging.error("FedSim surfaces", exc_info=error),
            )

        def fail(event: RequestFailed) -> None:
            told = _("{scan} has no surfaces in 3D ({why}); press “Show 3D” in the Segment Editor.")
            self._session.message.emit(told.format(scan=job.name, why=event.sentence))

        task = SurfacesTask.model_validate({"affine": labels.grid.affine.tolist()})
        self._session.worker.ask(f"surfaces of {job.scan_id}", task, Reply(take, failed=fail), {"labels": labels.array})

    def _save(self, job: Job, result: SegmentResult, arrays: Any, source: ScanSource) -> None:
        if job.ended:
            return
        save = self._choice.save
        if save is None:
            self._finish(job)
            return
        self._set(job, "saving")
        labels = Volume(arrays["labels"], source.grid)
        entropy = Volume(arrays["uncertainty"], source.grid) if "uncertainty" in arrays else None
        segmenter = self._choice.segmenter or ""

        def done(files: Any) -> None:
            job.files = tuple(path.name for path in files)
            if not job.ended:
                self._finish(job)

        def failed(error: BaseException) -> None:
            job.reason = _("Not saved: {why}").format(why=error)
            if not job.ended:
                self._finish(job)

        self._background.run(
            lambda: save_result(save, job.stem, job.name, segmenter, result, labels, entropy), done, failed
        )
        self._next_unless_busy()

    def _finish(self, job: Job) -> None:
        self._set(job, "done")
        self._next_unless_busy()

    def _next_unless_busy(self) -> None:
        if not any(job.state == "running" for job in self.jobs):
            self._next()

    def _on_failed(self, job: Job, event: RequestFailed) -> None:
        if event.cause == "lost":
            told = _("Lost with the process that computes ({why}); segment it again.")
            self._fail(job, told.format(why=event.sentence))
        else:
            self._fail(job, event.sentence)

    def _on_error(self, job: Job) -> Callable[[BaseException], None]:
        def fail(error: BaseException) -> None:
            if job.ended:
                return
            logging.error("FedSim segmenting", exc_info=error)
            told = _("{scan} could not be taken over ({why}); close other programs and segment it again.")
            self._fail(job, told.format(scan=job.name, why=error))

        return fail

    def _fail(self, job: Job, sentence: str, go_on: bool = True) -> None:
        job.reason = sentence
        self._set(job, "failed")
        if go_on:
            self._next_unless_busy()

    def _set(self, job: Job, state: State) -> None:
        job.state = state
        self.changed.emit(job)

    def _if_running(self, job: Job, take: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that listens to what still concerns a job."""

        def listen(found: Any) -> None:
            if job in self.jobs and job.state == "running":
                take(found)

        return listen

    def _on_state(self, state: ModuleState | None) -> None:
        if state is None and self.jobs:
            was_running = self.running
            self.cancel()
            self.jobs = []
            if was_running:
                told = _("The scene was closed or read during segmenting, which was ended; segment again.")
                self._session.message.emit(told)
