"""An export from beginning to end: labels from the worker, files from a thread, nodes in small steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import CancelledError, FedSimError
from FedSimCore.volumes import Volume
from FedSimCore.worker.protocol import GridSpec, LabelsTask
from FedSimSlicerLib.export_files import ExportChoice, ExportContent, PlannedFile, plan_files, write_files
from FedSimSlicerLib.export_scene import SceneImages, make_images, scene_steps
from FedSimSlicerLib.export_source import ExportSource, provenance_of, scan_name, scan_of
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.worker_events import RequestDone
    from FedSimSlicerLib.worker_service import WorkerService

CHANNEL = "export"


@dataclass(frozen=True)
class Exported:
    """What an export has left.

    Attributes:
        folder: of the files; None for an export into the scene.
        names: of the files, or of the nodes.
        scene_folder: the nodes' folder in the tree of data; empty for files.
    """

    folder: Path | None
    names: tuple[str, ...]
    scene_folder: str = ""


@dataclass(frozen=True, eq=False)
class _Run:
    """An export under way; what belongs to an older one is not listened to any more."""

    choice: ExportChoice
    folder: Path | None
    files: Sequence[PlannedFile]
    content: ExportContent
    cancelled: threading.Event


class Exporter:
    """Exports the heart, one export at a time.

    Attributes:
        finished: emitted with what was left.
        failed: emitted with a sentence for the user.
        ended: emitted after either, and after a cancellation.
        step: what is being done, in words, and how far it is from 0 to 1 (None while that cannot be said).

    Args:
        source: what is exported.
        worker: makes label maps.
        background: writes files.
        later: calls a function when the application has done what waits.
    """

    def __init__(
        self,
        source: ExportSource,
        worker: WorkerService,
        background: Background,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._source, self._worker, self._background, self._later = source, worker, background, later
        self._run: _Run | None = None
        self.step: tuple[str, float | None] = ("", None)
        self.finished: Signal[[Exported]] = Signal()
        self.failed: Signal[[str]] = Signal()
        self.ended: Signal[[]] = Signal()

    @property
    def busy(self) -> bool:
        """Whether an export is under way."""
        return self._run is not None

    @property
    def into_scene(self) -> bool:
        """Whether the export that is under way goes into the scene."""
        return self._run is not None and self._run.folder is None

    def plan(self, choice: ExportChoice) -> list[PlannedFile]:
        """Return the files that a choice means.

        Raises:
            InputError: nothing is chosen, or the name can't be a file's.
        """
        return plan_files(choice, [scan_name(node) for node in self._source.simulated()] if choice.ct else [])

    def start(self, choice: ExportChoice, grid: GridSpec, folder: Path | None) -> None:
        """Export the heart as it is now.

        Args:
            choice: what.
            grid: of label map and segmentation, RAS mm.
            folder: where to; None for the scene.

        Raises:
            InputError: nothing is chosen, the name can't be a file's, or a CT volume can't be read.
        """
        self.cancel()
        files = self.plan(choice)
        provenance = provenance_of(self._source)
        scans = tuple(scan_of(node, provenance) for node in self._source.simulated()) if choice.ct and folder else ()
        source = self._source
        content = ExportContent(source.heart, source.model_sha256, source.mesh(), None, scans, provenance)
        self._run = run = _Run(choice, folder, files, content, threading.Event())
        if not choice.needs_labels:
            self._write(run)
            return
        self.step = (_("Cutting the heart into voxels"), None)
        reply = Reply(
            lambda event: self._take_labels(run, event, grid),
            failed=lambda event: self._end(run, event.sentence),
            cancelled=lambda _event: self._end(run),
        )
        self._worker.ask(CHANNEL, LabelsTask(parameters=content.heart, grid=grid), reply)

    def cancel(self) -> None:
        """End the export under way; files that it was to replace stay as they were."""
        if self._run is not None:
            self._run.cancelled.set()
            self._worker.cancel(CHANNEL)
            self._end(self._run)

    def _take_labels(self, run: _Run, event: RequestDone, grid: GridSpec) -> None:
        if run is self._run:
            labels = Volume(event.arrays["labels"], grid.grid())
            self._run = replace(run, content=replace(run.content, labels=labels))
            self._write(self._run)

    def _write(self, run: _Run) -> None:
        failed = self._on_error(run)
        if run.folder is None:
            self.step = (_("Adding to the scene"), None)
            self._background.run(
                lambda: make_images(run.content, run.choice), lambda images: self._add(run, images), failed
            )
            return
        folder = run.folder
        done = Exported(folder, tuple(file.name for file in run.files))
        self._background.run(
            lambda: write_files(run.files, run.content, folder, self._tell(run)),
            lambda _: self._finish(run, done),
            failed,
        )

    def _tell(self, run: _Run) -> Callable[[int, int, str], None]:
        """Return the writing thread's progress, which also brings it the user's wish to stop."""

        def tell(done: int, total: int, name: str, /) -> None:
            if run.cancelled.is_set():
                raise CancelledError("The export was cancelled; nothing was written.")
            self.step = (_("Writing {name}").format(name=name), done / total)

        return tell

    def _add(self, run: _Run, images: SceneImages) -> None:
        if run is self._run:
            slicer.app.pauseRender()  # one picture in the end, not one for each node
            steps = scene_steps(run.content, run.choice, images, self._source.reference())
            self._next_nodes(run, steps, [], "")

    def _next_nodes(self, run: _Run, steps: Iterator[tuple[str, list[Any]]], made: list[Any], folder: str) -> None:
        """Add the next few nodes; those of an export that was cancelled are taken away again."""
        added = None
        if run is self._run:
            try:
                added = next(steps, None)
            except Exception as error:  # whatever it is, the views must be drawn again
                self._on_error(run)(error)
        if added is not None:
            self._later(lambda: self._next_nodes(run, steps, made + added[1], added[0]))
            return
        if run is self._run:
            self._finish(run, Exported(None, tuple(node.GetName() for node in made), folder))
        else:
            for node in made:
                if slicer.mrmlScene.IsNodePresent(node):
                    slicer.mrmlScene.RemoveNode(node)
        slicer.app.resumeRender()

    def _finish(self, run: _Run, exported: Exported) -> None:
        if run is self._run:
            self._run = None
            self.finished.emit(exported)
            self.ended.emit()

    def _on_error(self, run: _Run) -> Callable[[BaseException], None]:
        def failed(error: BaseException) -> None:
            if isinstance(error, FedSimError):
                self._end(run, str(error))
                return
            logging.error("FedSim export", exc_info=error)
            where = run.folder or _("the scene")
            self._end(
                run, _("The export to {where} failed ({why}); choose another folder.").format(where=where, why=error)
            )

        return failed

    def _end(self, run: _Run, sentence: str = "") -> None:
        if run is self._run:
            self._run = None
            if sentence:
                self.failed.emit(sentence)
            self.ended.emit()
