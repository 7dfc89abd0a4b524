"""What follows the heart while it moves: surfaces at once; labels, measurements and a quick CT when they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from FedSimCore.errors import FedSimError
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.worker.protocol import EnhanceTask, GridSpec, LabelsTask, MeasureResult, MeasureTask, PreviewTask
from FedSimSlicerLib.scan_setup import preview_settings
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_events import RequestDone, RequestFailed, WorkerEvent, WorkerReady
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_display import HeartDisplay
    from FedSimSlicerLib.heart_editor import HeartEditor
    from FedSimSlicerLib.heart_surface import HeartSurface, Points
    from FedSimSlicerLib.live_images import LiveImages
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_service import WorkerService

SIDE_MM = 160.0
"""Side of the cube of labels and CT round the heart."""

_STEP_MM = 10.0


@dataclass(frozen=True)
class Enhancement:
    """Who makes the quick CT in place of the scan: a site's enhancer.

    Attributes:
        folder: of the trained model.
        site: one of its sites.
        latent: whose materials the heart has; None for the mean latent's.
    """

    folder: str
    site: str
    latent: tuple[float, ...] | None = None


class LiveHeart:
    """Keeps the scene up to date with the heart that is edited.

    Attributes:
        measured: emitted with the measurements of the heart.
        failed: emitted with a sentence for the user when something could not follow.

    Args:
        surface: the shape model.
        editor: whose heart is followed.
        display: the surfaces in the scene.
        images: labels and preview in the scene.
        worker: computes what is not instant.
    """

    def __init__(
        self,
        surface: HeartSurface,
        editor: HeartEditor,
        display: HeartDisplay,
        images: LiveImages,
        worker: WorkerService,
    ) -> None:
        self._surface, self._editor, self._display = surface, editor, display
        self._images, self._worker = images, worker
        self._state: ModuleState | None = None
        self._norms: dict[str, object] = {}
        self._center = np.zeros(3)
        self._preview_wanted: PreviewTask | EnhanceTask | None = None
        self._enhancement: Enhancement | None = None
        self._lost = False
        self.measured: Signal[[MeasureResult]] = Signal()
        self.failed: Signal[[str]] = Signal()
        editor.changed.connect(self._on_changed)
        worker.status.connect(self._on_worker)

    def bind(self, state: ModuleState | None) -> None:
        """Follow in this scene; None while there is none."""
        self._state = state
        self._preview_wanted = None
        for channel in ("labels", "measure", "preview"):
            self._worker.cancel(channel)
        self._display.bind(None if state is None else state.parameterNode)
        self._images.bind(state)

    def compare_with(self, sex: str | None, bsa_m2: float | None) -> None:
        """Choose whose norms the measurements are compared with, and measure again."""
        self._norms = {"sex": sex, "bsa_m2": bsa_m2}
        self.measure(self._editor.heart)

    def show(self) -> None:
        """Show the heart and everything that follows it."""
        self._on_changed(self._editor.heart)

    def grid(self, size: int) -> GridSpec:
        """Return the cubic grid of ``size`` voxels along each side round the heart that was shown last."""
        return GridSpec.centered(size, SIDE_MM / size, self._center.tolist())

    def follow_settings(self) -> None:
        """Make the quick CT that of the scan settings as they are now, or take it away if it is no longer wanted."""
        state = self._state
        if state is None or not self._display.shown:
            return
        if state.live_preview:
            self.preview()
        elif self._preview_wanted is not None or state.preview is not None:
            self._end_preview()

    def enhance_with(self, enhancement: Enhancement | None) -> None:
        """Choose who makes the quick CT: a site's enhancer, or with None the scan's physics."""
        if enhancement != self._enhancement:
            self._enhancement = enhancement
            self.follow_settings()

    def preview(self) -> None:
        """Ask for a quick CT of the heart, if the user wants one and it is not the one asked for last."""
        state = self._state
        if state is None or not state.live_preview:
            return
        try:
            task = self._preview_task(state)
        except FedSimError as error:
            self._end_preview()
            self.failed.emit(str(error))
            return
        if task == self._preview_wanted:
            return
        self._preview_wanted = task
        reply = Reply(self._take_preview, failed=self._on_preview_failed)
        self._worker.ask("preview", task, reply, follow=True)

    def _preview_task(self, state: ModuleState) -> PreviewTask | EnhanceTask:
        """Return what is to be asked for the quick CT.

        Raises:
            FedSimError: the scan's settings do not go together.
        """
        heart, enhancement = self._editor.heart, self._enhancement
        if enhancement is None:
            return PreviewTask(parameters=heart, grid=self.grid(64), **preview_settings(state))
        x, y, z = self._center.tolist()
        return EnhanceTask(
            folder=enhancement.folder,
            site=enhancement.site,
            latent=enhancement.latent,
            parameters=heart,
            center_mm=(x, y, z),
        )

    def measure(self, heart: HeartParameters) -> None:
        """Ask for the heart's measurements."""
        task = MeasureTask.model_validate({"parameters": heart, **self._norms})
        self._worker.ask("measure", task, Reply(self._take_measurements, failed=self._on_failed), follow=True)

    def _on_changed(self, heart: HeartParameters) -> None:
        if self._state is None:
            return
        vertices = self._surface.vertices(heart)
        self._display.show(vertices)
        self._follow_center(vertices)
        labels = LabelsTask(parameters=heart, grid=self.grid(128))
        self._worker.ask("labels", labels, Reply(self._take_labels, failed=self._on_labels_failed), follow=True)
        self.measure(heart)
        self.preview()

    def _follow_center(self, vertices: Points) -> None:
        """Keep the cube where it is while the heart stays near its middle, so that pictures do not tremble."""
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        if np.abs(middle - self._center).max() > _STEP_MM:
            self._center = np.round(middle)

    def _end_preview(self) -> None:
        self._preview_wanted = None
        self._worker.cancel("preview")
        self._images.drop_preview()

    def _take_labels(self, event: RequestDone) -> None:
        result: Any = event.result  # a LabelsResult
        self._images.show_labels(event.arrays["labels"], result.grid.grid())

    def _take_preview(self, event: RequestDone) -> None:
        result: Any = event.result  # a PreviewResult
        self._images.show_preview(event.arrays["hu"], result.grid.grid())

    def _take_measurements(self, event: RequestDone) -> None:
        result: Any = event.result  # a MeasureResult
        self.measured.emit(result)

    def _on_labels_failed(self, event: RequestFailed) -> None:
        if event.cause != "lost":
            self._images.drop_labels()
        self._on_failed(event)

    def _on_preview_failed(self, event: RequestFailed) -> None:
        if event.cause != "lost":
            self._images.drop_preview()
        self._on_failed(event)

    def _on_failed(self, event: RequestFailed) -> None:
        if event.cause == "lost":  # the worker is started anew and the status line says so
            self._lost = True
        else:
            self.failed.emit(event.sentence)

    def _on_worker(self, event: WorkerEvent) -> None:
        """Ask again for what was lost with a worker."""
        if self._lost and isinstance(event, WorkerReady):
            self._lost, self._preview_wanted = False, None
            if self._state is not None and self._display.shown:
                self.show()
