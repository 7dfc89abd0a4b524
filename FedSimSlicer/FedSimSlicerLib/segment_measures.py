"""A segmentation's measurements, and how it agrees with a reference: read in a thread, worked out by the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.worker.protocol import (
    CompareLabelsResult,
    CompareLabelsTask,
    MeasureLabelsTask,
    MeasurementRow,
)
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.patient_labels import LabelSource
from FedSimSlicerLib.scene_segmentations import label_source_of, source_of_segments
from FedSimSlicerLib.segment_distances import distance_surface
from FedSimSlicerLib.segment_results import WHOLE_HEART
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.segment_results import SegmentedScan
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed
    from FedSimSlicerLib.worker_service import WorkerService

MEASURE, COMPARE = "segmentation's measurements", "segmentation's comparison"


@dataclass(frozen=True, eq=False)
class Comparison:
    """How a segmentation agrees with a reference.

    Attributes:
        result: the figures.
        reference: name of the reference.
        surface: vtkPolyData of the segmentation with the distances at its points; None without any common region.
    """

    result: CompareLabelsResult
    reference: str
    surface: Any


class SegmentMeasures:
    """Measures one segmentation at a time; the newest question wins.

    Attributes:
        measured: emitted with the segmentation and its measurements.
        compared: emitted with the segmentation and its comparison.
        failed: emitted with a sentence for the user.

    Args:
        worker: computes.
    """

    def __init__(self, worker: WorkerService) -> None:
        self._worker = worker
        self._background = Background()
        self._numbers = {MEASURE: 0, COMPARE: 0}
        self._waiting: set[str] = set()
        self.measured: Signal[[SegmentedScan, tuple[MeasurementRow, ...]]] = Signal()
        self.compared: Signal[[SegmentedScan, Comparison]] = Signal()
        self.failed: Signal[[str]] = Signal()

    def waits_for(self, what: str) -> bool:
        """Tell whether an answer to :data:`MEASURE` or :data:`COMPARE` is on its way."""
        return what in self._waiting

    def measure(self, segmented: SegmentedScan, sex: str | None, bsa_m2: float | None) -> None:
        """Measure the regions as they are now; a heart as a whole has its volume only."""
        self.forget(MEASURE)
        if segmented.whole:
            return

        def ask(source: LabelSource) -> tuple[Any, dict[str, Any]]:
            found = source.read()
            task = {"name": source.name, "affine": found.grid.affine.tolist(), "sex": sex, "bsa_m2": bsa_m2}
            return MeasureLabelsTask.model_validate(task), {"labels": found.labels}

        def take(event: RequestDone) -> None:
            result: Any = event.result  # a MeasureResult
            self.measured.emit(segmented, result.rows)

        self._ask(MEASURE, segmented.source, ask, take)

    def compare(self, segmented: SegmentedScan, reference: Any) -> None:
        """Compare a segmentation with a reference: a segmentation node or a label map."""
        self.forget(COMPARE)
        name, whole = reference.GetName(), segmented.whole or _is_whole(reference)

        def sources() -> tuple[LabelSource, LabelSource]:
            return segmented.source(), _reference_source(reference)

        def ask(both: tuple[LabelSource, LabelSource]) -> tuple[Any, dict[str, Any]]:
            found, truth = both[0].read(), both[1].read()
            task = {
                "name": both[0].name,
                "affine": found.grid.affine.tolist(),
                "reference_affine": truth.grid.affine.tolist(),
                "regions": "heart" if whole else "seven",
            }
            return CompareLabelsTask.model_validate(task), {"labels": found.labels, "reference": truth.labels}

        def take(event: RequestDone) -> None:
            result: Any = event.result  # a CompareLabelsResult
            arrays, number = event.arrays, self._numbers[COMPARE]

            def show(surface: Any) -> None:
                if number == self._numbers[COMPARE]:
                    self.compared.emit(segmented, Comparison(result, name, surface))

            self._background.run(lambda: distance_surface(result.labels, arrays), show, self._failer(COMPARE, number))

        self._ask(COMPARE, sources, ask, take)

    def forget(self, what: str) -> None:
        """Let nothing more come of a question."""
        self._numbers[what] += 1
        if what in self._waiting:
            self._waiting.discard(what)
            self._worker.cancel(what)

    def close(self) -> None:
        """End for good."""
        for what in self._numbers:
            self.forget(what)
        self._background.close()

    def _ask(
        self,
        what: str,
        sources: Callable[[], Any],
        ask: Callable[[Any], tuple[Any, dict[str, Any]]],
        take: Callable[[RequestDone], None],
    ) -> None:
        number = self._numbers[what]
        fail = self._failer(what, number)
        try:
            found = sources()
        except FedSimError as error:
            fail(error)
            return
        self._waiting.add(what)

        def send(request: tuple[Any, dict[str, Any]]) -> None:
            if number == self._numbers[what]:
                task, arrays = request
                self._worker.ask(what, task, Reply(done, failed=lost), arrays)

        def done(event: RequestDone) -> None:
            if number == self._numbers[what]:
                self._waiting.discard(what)
                take(event)

        def lost(event: RequestFailed) -> None:
            fail(InputError(event.sentence))

        self._background.run(lambda: ask(found), send, fail)

    def _failer(self, what: str, number: int) -> Callable[[BaseException], None]:
        def fail(error: BaseException) -> None:
            if number == self._numbers[what]:
                self._waiting.discard(what)
                self.failed.emit(str(error) if isinstance(error, FedSimError) else _unreadable(error))

        return fail


def plain_rows(segmented: SegmentedScan) -> tuple[MeasurementRow, ...]:
    """Return the volumes that the segmenter told, without norms."""
    return tuple(
        MeasurementRow(
            key=f"{region.key}_volume_ml",
            name=region.name,
            value=region.volume_ml,
            unit="ml",
            low=None,
            high=None,
            verdict="",
            citation="",
        )
        for region in segmented.result.regions
    )


def _reference_source(node: Any) -> LabelSource:
    """Return a reference's regions, or its heart as a whole.

    Raises:
        InputError: it has neither.
    """
    if _is_whole(node):
        return source_of_segments(node, {WHOLE_HEART.key: WHOLE_HEART})
    return label_source_of(node)


def _is_whole(node: Any) -> bool:
    return bool(node.IsA("vtkMRMLSegmentationNode") and node.GetSegmentation().GetSegment(WHOLE_HEART.key) is not None)


def _unreadable(error: BaseException) -> str:
    return _("The segmentation could not be read: {error}. Save it, load it again, and try once more.").format(
        error=error
    )
