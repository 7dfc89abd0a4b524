"""HU of the heart's regions in a real scan and in a simulated one, counted by the worker.

Both are looked at under the same labels: those of the generated heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError, InputError
from FedSimCore.volumes import Grid
from FedSimCore.worker.protocol import RegionHistogramRow, RegionHistogramTask
from FedSimSlicerLib.scene_segmentations import label_source_of
from FedSimSlicerLib.scene_volumes import array_of, grid_of
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.background import Background
    from FedSimSlicerLib.patient_labels import LabelSource
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed
    from FedSimSlicerLib.worker_service import WorkerService

CHANNELS = ("histogram of the real scan", "histogram of the simulation")
EDGES_HU = tuple(float(edge) for edge in range(-200, 801, 10))
_SENT_AS_THEY_ARE = ("int16", "float32", "float64")


@dataclass(frozen=True, eq=False)
class Source:
    """A scan to be measured: a view of a volume node's memory, to be read in any thread.

    Attributes:
        name: of the node.
        array: (i, j, k), HU.
        grid: RAS mm.
    """

    name: str
    array: NDArray[Any]
    grid: Grid

    @classmethod
    def of(cls, node: Any) -> Source:
        """Return what a volume node holds.

        Raises:
            InputError: it is no volume with one value a voxel.
        """
        array = array_of(node)  # refuses what is no volume
        return cls(node.GetName(), array, grid_of(node))

    def part_about(self, labels: NDArray[np.uint8], grid: Grid) -> Source:
        """Return a copy of the part round the labels, of a type that the worker takes.

        Raises:
            InputError: the labels lie elsewhere.
        """
        low, high = _bounds(labels)
        corners = np.stack(np.meshgrid(*zip(low - 0.5, high + 0.5, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
        index = self.grid.to_index(grid.to_world(corners))
        first = np.maximum(np.floor(index.min(axis=0)), 0).astype(int)
        last = np.minimum(np.ceil(index.max(axis=0)) + 1, self.grid.shape).astype(int)
        if (first >= last).any():
            told = _("The heart does not lie in {scan}; press “Place in this scan” and move it to its place.")
            raise InputError(told.format(scan=self.name))
        part = self.array[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
        kind = part.dtype if part.dtype.name in _SENT_AS_THEY_ARE else np.dtype(np.float32)
        affine = self.grid.affine.copy()
        affine[:3, 3] = self.grid.to_world(first)
        array = np.array(part, dtype=kind, order="C")
        return Source(self.name, array, Grid(array.shape, affine))


@dataclass(frozen=True)
class RegionPair:
    """One region in both scans.

    Attributes:
        real: in the real scan.
        simulated: in the simulation; None if there is none.
    """

    real: RegionHistogramRow
    simulated: RegionHistogramRow | None

    @property
    def difference_hu(self) -> float | None:
        """Mean of the simulation less that of the real scan; None where one of them has no voxel."""
        if self.simulated is None or self.simulated.mean_hu is None or self.real.mean_hu is None:
            return None
        return self.simulated.mean_hu - self.real.mean_hu


class RegionComparison:
    """Asks the worker for the histograms of two scans under one label map.

    Attributes:
        measured: emitted with a pair for each region that the labels have.
        failed: emitted with a sentence for the user.

    Args:
        worker: counts.
        background: copies.
    """

    def __init__(self, worker: WorkerService, background: Background) -> None:
        self._worker, self._background = worker, background
        self._number = 0
        self._found: dict[str, tuple[RegionHistogramRow, ...]] = {}
        self._wanted: tuple[str, ...] = ()
        self.measured: Signal[[tuple[RegionPair, ...]]] = Signal()
        self.failed: Signal[[str]] = Signal()

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self._wanted)

    def measure(self, real: Any, simulated: Any, labels: Any) -> None:
        """Measure under a label map; an answer to an earlier call never comes after this.

        Args:
            real: volume node.
            simulated: volume node, or None.
            labels: segmentation node or label map volume of the heart.

        Raises:
            InputError: one of them cannot be used.
        """
        self.cancel()
        sources = [Source.of(node) for node in ((real,) if simulated is None else (real, simulated))]
        source = label_source_of(labels)
        self._wanted = CHANNELS[: len(sources)]
        number = self._number
        self._background.run(
            lambda: _prepare(sources, source),
            lambda requests: self._ask(number, requests),
            lambda error: self._fail(number, _sentence(error)),
        )

    def cancel(self) -> None:
        """Forget what was asked for."""
        self._number += 1
        for channel in self._wanted:
            self._worker.cancel(channel)
        self._found, self._wanted = {}, ()

    def _ask(self, number: int, requests: list[Request]) -> None:
        if number != self._number:
            return
        for channel, (task, arrays) in zip(self._wanted, requests, strict=True):
            reply = Reply(self._taker(number), failed=self._failer(number))
            self._worker.ask(channel, task, reply, arrays)

    def _taker(self, number: int) -> Callable[[RequestDone], None]:
        def take(event: RequestDone) -> None:
            if number != self._number:
                return
            result: Any = event.result  # a RegionHistogramResult
            self._found[event.channel] = result.regions
            if len(self._found) == len(self._wanted):
                found = [self._found[channel] for channel in self._wanted]
                self._wanted = ()
                self.measured.emit(_pairs(found))

        return take

    def _failer(self, number: int) -> Callable[[RequestFailed], None]:
        return lambda event: self._fail(number, event.sentence)

    def _fail(self, number: int, sentence: str) -> None:
        if number == self._number:
            self.cancel()
            self.failed.emit(sentence)


Request = tuple[RegionHistogramTask, dict[str, NDArray[Any]]]


def _prepare(sources: list[Source], label_source: LabelSource) -> list[Request]:
    """Return the task and the arrays for each scan.

    Raises:
        InputError: the labels cannot be read, or lie elsewhere.
    """
    found = label_source.read()
    labels = np.ascontiguousarray(found.labels)
    requests: list[Request] = []
    for source in sources:
        part = source.part_about(labels, found.grid)
        task = RegionHistogramTask.model_validate(
            {
                "name": source.name,
                "scan_affine": part.grid.affine.tolist(),
                "labels_affine": found.grid.affine.tolist(),
                "edges_hu": EDGES_HU,
            }
        )
        requests.append((task, {"hu": part.array, "labels": labels}))
    return requests


def _pairs(found: list[tuple[RegionHistogramRow, ...]]) -> tuple[RegionPair, ...]:
    simulated = {row.region: row for row in found[1]} if len(found) > 1 else {}
    return tuple(RegionPair(row, simulated.get(row.region)) for row in found[0])


def _bounds(labels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and last index of what is not background."""
    present = [
        np.flatnonzero(labels.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)
    ]
    if not all(map(len, present)):
        raise InputError(_("The heart’s labels are empty; simulate again."))
    return np.array([axis[0] for axis in present]), np.array([axis[-1] for axis in present])


def _sentence(error: BaseException) -> str:
    if isinstance(error, FedSimError):
        return str(error)
    return _("The scans could not be measured ({why}); close other programs and try again.").format(why=error)
