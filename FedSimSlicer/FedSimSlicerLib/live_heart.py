"""What follows the heart while it moves: surfaces at once; labels, measurements and a quick CT when they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.worker.protocol import GridSpec, LabelsTask, MeasureResult, MeasureTask, PreviewTask
from FedSimSlicerLib.scan_setup import read_scanner, scan_settings
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_events import RequestDone, RequestFailed
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
        self.measured: Signal[[MeasureResult]] = Signal()
        self.failed: Signal[[str]] = Signal()
        editor.changed.connect(self._on_changed)

    def bind(self, state: ModuleState | None) -> None:
        """Follow in this scene; None while there is none."""
        self._state = state
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

    def preview(self) -> None:
        """Ask for a quick CT of the heart, if the user wants one."""
        state = self._state
        if state is None or not state.live_preview:
            return
        task = PreviewTask(
            parameters=self._editor.heart, scanner=read_scanner(state), grid=self.grid(64), **scan_settings(state)
        )
        self._worker.ask("preview", task, Reply(self._take_preview, failed=self._on_failed), follow=True)

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
        self._worker.ask("labels", labels, Reply(self._take_labels, failed=self._on_failed), follow=True)
        self.measure(heart)
        self.preview()

    def _follow_center(self, vertices: Points) -> None:
        """Keep the cube where it is while the heart stays near its middle, so that pictures do not tremble."""
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        if np.abs(middle - self._center).max() > _STEP_MM:
            self._center = np.round(middle)

    def _take_labels(self, event: RequestDone) -> None:
        self._images.show_labels(event.arrays["labels"], event.result.grid.grid())

    def _take_preview(self, event: RequestDone) -> None:
        self._images.show_preview(event.arrays["hu"], event.result.grid.grid())

    def _take_measurements(self, event: RequestDone) -> None:
        self.measured.emit(event.result)

    def _on_failed(self, event: RequestFailed) -> None:
        if event.cause != "lost":  # the worker is started anew and the status line says so
            self.failed.emit(event.sentence)
