"""The worker's loop: commands in, tasks done on their lanes, replies out."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from pydantic import BaseModel

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.worker import analysis, generating, imaging, label_maps, segmenting
from FedSimCore.worker.device import DevicePreference, device_report, free_memory_mb
from FedSimCore.worker.engine import Answer, Arrays, Engine
from FedSimCore.worker.exchange import read_arrays, remove_arrays, write_arrays
from FedSimCore.worker.interruption import InterruptionPoints
from FedSimCore.worker.protocol import (
    Cancel,
    Cancelled,
    CompareLabelsTask,
    DescribeTask,
    Done,
    EnhanceTask,
    Failure,
    FitTask,
    LabelsTask,
    MeasureLabelsTask,
    MeasureTask,
    ModeTableTask,
    OpenModelTask,
    OpenSegmenterTask,
    Part,
    PreviewTask,
    Ready,
    RegionHistogramTask,
    RenderPart,
    RenderTask,
    SampleHeartTask,
    SegmentTask,
    SurfacesTask,
    TrainingHeartTask,
    WalkTask,
    read_command,
)
from FedSimCore.worker.reporting import Reporter
from FedSimCore.worker.scheduler import Job, Scheduler


class Output:
    """Writes replies, whole lines from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: BaseModel) -> None:
        """Write one message. When nobody reads any more it is lost: the end of the input ends the worker."""
        line = message.model_dump_json().encode() + b"\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except (BrokenPipeError, OSError, ValueError):
                return


def make_server(exchange: Path, replies: BinaryIO, device: DevicePreference, model: str | None) -> Server:
    """Return a server that writes to ``replies``.

    Raises:
        InputError: the device is not there.
    """
    engine = Engine(device, None if model is None else Path(model))
    return Server(engine, exchange, Output(replies))


class Server:
    """Serves one client until its end of the pipe closes.

    Args:
        engine: what computes.
        exchange: folder of the array files.
        output: where replies go.
    """

    def __init__(self, engine: Engine, exchange: Path, output: Output) -> None:
        self._engine = engine
        self._exchange = exchange
        self._output = output
        self._scheduler = Scheduler(self._run, self._drop)

    def serve(self, commands: BinaryIO) -> None:
        """Read commands until the input ends."""
        self._output.send(Ready(device=device_report(self._engine.device, self._engine.preference)))
        self._scheduler.start()
        for line in iter(commands.readline, b""):
            try:
                command = read_command(line)
            except InputError as error:
                self._output.send(Failure(id=_id_in(line), cause="input", sentence=str(error)))
                continue
            if isinstance(command, Cancel):
                self._scheduler.cancel(command)
            else:
                self._scheduler.submit(command)

    def _drop(self, job: Job) -> None:
        remove_arrays(self._exchange, job.request.arrays)
        self._output.send(Cancelled(id=job.request.id))

    def _run(self, job: Job) -> None:
        number, began = job.request.id, time.monotonic()
        try:
            with InterruptionPoints(job.check):
                answer = self._answer(job)
            job.check()
            files = write_arrays(self._exchange, answer.arrays)
            done = Done(id=number, seconds=time.monotonic() - began, result=answer.result, arrays=files)
            self._output.send(done)
        except CancelledError:
            self._output.send(Cancelled(id=number))
        except Exception as error:
            self._output.send(self._failure(number, error))
        finally:
            remove_arrays(self._exchange, job.request.arrays)

    def _answer(self, job: Job) -> Answer:
        task, engine = job.request.task, self._engine
        report = Reporter(job.request.id, self._output.send, job.check, partial(self._hand_over, job))
        if type(task) in _HANDLERS_OF_ARRAYS:
            arrays = read_arrays(self._exchange, job.request.arrays)
            return _HANDLERS_OF_ARRAYS[type(task)](engine, task, arrays, report)
        return _HANDLERS[type(task)](engine, task, report)

    def _hand_over(self, job: Job, result: RenderPart, arrays: Arrays) -> None:
        job.check()
        files = write_arrays(self._exchange, arrays)
        self._output.send(Part(id=job.request.id, result=result, arrays=files))

    def _failure(self, number: int, error: Exception) -> Failure:
        if isinstance(error, FedSimError):
            return Failure(id=number, cause="input", sentence=str(error))
        if _is_out_of_memory(error):
            self._engine.forget()
            free = free_memory_mb(self._engine.device)
            told = "" if free is None else f" ({free} MB are free on {self._engine.device})"
            sentence = (
                f"The memory does not suffice{told}; close other programs, or choose a coarser grid or fewer views."
            )
            return Failure(id=number, cause="memory", sentence=sentence)
        sentence = (
            f"This is an error of FedSim itself ({type(error).__name__}: {error}); please report it with its log."
        )
        return Failure(id=number, cause="bug", sentence=sentence, details=traceback.format_exc())


_HANDLERS: dict[type, Callable[..., Answer]] = {
    LabelsTask: imaging.labels,
    PreviewTask: imaging.preview,
    RenderTask: imaging.render,
    MeasureTask: analysis.measure,
    ModeTableTask: analysis.mode_table,
    DescribeTask: analysis.describe,
    OpenModelTask: generating.open_model,
    SampleHeartTask: generating.sample_heart,
    WalkTask: generating.walk,
    TrainingHeartTask: generating.training_heart,
    EnhanceTask: generating.enhance,
    OpenSegmenterTask: segmenting.open_segmenter,
}
_HANDLERS_OF_ARRAYS: dict[type, Callable[..., Answer]] = {
    CompareLabelsTask: label_maps.compare_labels,
    FitTask: analysis.fit,
    MeasureLabelsTask: label_maps.measure,
    RegionHistogramTask: analysis.region_histogram,
    SegmentTask: segmenting.segment,
    SurfacesTask: label_maps.surfaces,
}


def _is_out_of_memory(error: Exception) -> bool:
    """Tell memory errors apart; PyTorch's on a CPU is a RuntimeError known by its text alone."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _id_in(line: bytes) -> int | None:
    """Find the id in a request that is otherwise nonsense."""
    try:
        found = json.loads(line)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, int) else None
