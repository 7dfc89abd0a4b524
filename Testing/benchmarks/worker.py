"""Measure the worker behind the Slicer module: ``python -m Testing.benchmarks.worker``.

What a user waits for (labels, previews, full renderings through pipes and files, against the same scan computed in this
process), and how long the GUI's thread is held meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# As the worker does (see FedSimCore/worker/__main__.py), or the bare scan in this process would look slower than it is.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "FedSimSlicer"))

from FedSimCore.benchmarks.harness import Contender, Goal, Report, race, write_report  # noqa: E402
from FedSimCore.benchmarks.machine import machine  # noqa: E402
from FedSimCore.ct.recipe import Recipe, simulate  # noqa: E402
from FedSimCore.ct.scanners import scanner  # noqa: E402
from FedSimCore.shape.model import builtin_model  # noqa: E402
from FedSimCore.shape.parameters import HeartParameters  # noqa: E402
from FedSimCore.shape.voxelizer import label_map  # noqa: E402
from FedSimCore.volumes import Grid  # noqa: E402
from FedSimCore.worker import protocol as p  # noqa: E402
from FedSimCore.worker.exchange import read_arrays, write_arrays  # noqa: E402
from FedSimSlicerLib.worker_client import WorkerClient, WorkerLaunch  # noqa: E402
from FedSimSlicerLib.worker_events import (  # noqa: E402
    RequestCancelled,
    RequestDone,
    RequestFailed,
    RequestPart,
    WorkerReady,
)

TIMER_S = 0.005
"""How often the module's timer polls."""


class Bench:
    """A client that notes how long each of its calls holds the calling thread."""

    def __init__(self, device: str) -> None:
        self.client = WorkerClient(WorkerLaunch(device=device, python_path=(str(ROOT),)))
        self.client.subscribe(self._hear)
        self.held_s: list[float] = []
        self.parts_at: list[float] = []
        self._ended: dict[int, Any] = {}
        self._ready: Any = None

    def _hear(self, event: Any) -> None:
        if isinstance(event, WorkerReady):
            self._ready = event
        elif isinstance(event, RequestPart):
            self.parts_at.append(time.perf_counter())
        elif isinstance(event, RequestDone | RequestFailed | RequestCancelled):
            self._ended[event.request] = event

    def held(self, call: Callable[[], Any]) -> Any:
        """Do a call of the GUI's thread."""
        began = time.perf_counter()
        result = call()
        self.held_s.append(time.perf_counter() - began)
        return result

    def until(self, happened: Callable[[], Any]) -> Any:
        """Poll as the module's timer does."""
        while not (found := happened()):
            time.sleep(TIMER_S)
            self.held(self.client.poll)
        return found

    def wait_until_ready(self) -> None:
        """Start the worker."""
        self.client.start()
        self.until(lambda: self._ready)

    def ask(self, channel: str, task: Any, arrays: dict[str, Any] | None = None) -> float:
        """Return the seconds from a request to its answer in this thread."""
        return self.ask_together({channel: task}, arrays)[channel]

    def ask_together(self, tasks: dict[str, Any], arrays: dict[str, Any] | None = None) -> dict[str, float]:
        """Send a request on each channel at once; return the seconds to the answer of each."""
        began = time.perf_counter()
        waiting = {
            self.held(lambda c=channel, t=task: self.client.submit(c, t, arrays)): channel
            for channel, task in tasks.items()
        }
        seconds = {}
        while waiting:
            request = self.until(lambda: next((number for number in waiting if number in self._ended), None))
            event, channel = self._ended.pop(request), waiting.pop(request)
            if not isinstance(event, RequestDone):
                raise SystemExit(f"{channel}: {event}")
            seconds[channel] = time.perf_counter() - began
        return seconds

    def cancel(self, channel: str, task: Any, after_s: float) -> float:
        """Return the seconds from a cancellation to its confirmation."""
        request = self.client.submit(channel, task)
        end = time.perf_counter() + after_s
        self.until(lambda: time.perf_counter() > end)
        began = time.perf_counter()
        self.held(lambda: self.client.cancel(channel))
        self.until(lambda: self._ended.pop(request, None))
        return time.perf_counter() - began


def hearts(seed: int) -> Iterator[HeartParameters]:
    """Draw hearts without end; none comes twice, so that nothing remembered helps."""
    rng, modes = np.random.default_rng(seed), builtin_model().mode_count
    while True:
        yield HeartParameters(weights=tuple(rng.uniform(-1, 1, modes).tolist()))


def resident_mib(pid: int) -> float:
    """Return a process's resident memory; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def processor_s(pid: int) -> float:
    """Return the processor time a process has used; 0 where the system does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(bench: Bench, report: Report, moves: int, rounds: int) -> None:
    """Fill the report."""
    drawn = hearts(0)
    began = time.perf_counter()
    bench.wait_until_ready()
    report.values["start to ready, s"] = time.perf_counter() - began
    measure_answers(bench, report, drawn)
    measure_together(bench, report, drawn)
    measure_materials(bench, report, next(drawn))
    measure_histograms(bench, report, next(drawn))
    measure_exchange(report)
    measure_sites(bench, report, next(drawn))
    measure_moves(bench, report, drawn, moves)
    full = p.RenderTask(parameters=next(drawn), scanners=(p.ScannerChoice(changes={"views": 180}),))
    cancelled = [bench.cancel("full", full, after_s) for after_s in (1.0, 2.0, 3.0, 4.0, 5.0)]
    report.values["cancel of a rendering: longest, s"] = max(cancelled)
    measure_rendering(bench, report, rounds)
    report.values["GUI thread: calls of the client"] = len(bench.held_s)
    report.values["GUI thread: median of a call, s"] = statistics.median(bench.held_s)
    report.goals.append(Goal("GUI thread: longest call, s", max(bench.held_s), 0.05, at_least=False))


def measure_answers(bench: Bench, report: Report, drawn: Iterator[HeartParameters]) -> None:
    """Time single requests for hearts that are new to the worker."""
    kinds: list[tuple[str, float, Callable[[HeartParameters], Any]]] = [
        ("labels 128 cubed", 0.06, lambda heart: p.LabelsTask(parameters=heart)),
        ("preview 64 cubed, new shape", 0.38, lambda heart: p.PreviewTask(parameters=heart)),
        ("measurements", 0.2, lambda heart: p.MeasureTask(parameters=heart)),
    ]
    pid = bench.client.pid or 0
    for name, bound_s, task in kinds:
        bench.ask("a", task(next(drawn)))
        before = processor_s(pid)
        seconds = [bench.ask("a", task(next(drawn))) for _ in range(30)]
        report.goals.append(Goal(f"{name}: median, s", statistics.median(seconds), bound_s, at_least=False))
        report.values[f"{name}: shortest, s"] = min(seconds)
        report.values[f"{name}: 95th percentile, s"] = float(np.quantile(seconds, 0.95))
        report.values[f"{name}: worker's processor time, s"] = (processor_s(pid) - before) / len(seconds)


def measure_together(bench: Bench, report: Report, drawn: Iterator[HeartParameters]) -> None:
    """Time what one move of a slider asks for, all three at once."""
    moves = []
    for _ in range(31):
        heart = next(drawn)
        tasks = {
            "labels": p.LabelsTask(parameters=heart),
            "preview": p.PreviewTask(parameters=heart),
            "measure": p.MeasureTask(parameters=heart),
        }
        moves.append(bench.ask_together(tasks))
    for channel, bound_s in (("labels", 0.06), ("preview", 0.38)):
        middle = statistics.median([move[channel] for move in moves[1:]])
        report.goals.append(Goal(f"all three at once, {channel}: median, s", middle, bound_s, at_least=False))
    report.values["all three at once, measurements: median, s"] = statistics.median([m["measure"] for m in moves[1:]])


def measure_histograms(bench: Bench, report: Report, parameters: HeartParameters) -> None:
    """Time the histograms of a simulated scan, and of a clinical one with a label map on another grid."""
    for name, grid in (
        ("128 cubed", p.GridSpec.centered()),
        ("512 x 512 x 300", p.GridSpec.of(Grid.centered((512, 512, 300), (0.4, 0.4, 0.6)))),
    ):
        hu = np.random.default_rng(0).normal(100, 200, grid.shape).astype(np.int16)
        labels = Grid.centered()
        heart = builtin_model().mesh(parameters)
        arrays = {"hu": hu, "labels": label_map(torch.from_numpy(heart.vertices), heart.topology, labels)[0].numpy()}
        task = p.RegionHistogramTask(scan_affine=grid.affine, labels_affine=p.GridSpec.of(labels).affine)
        seconds = [bench.ask("histogram", task, arrays) for _ in range(4)]
        report.values[f"histograms of a scan, {name}: shortest, s"] = min(seconds)


def measure_exchange(report: Report) -> None:
    """Time an image's way through a file, in the folder that the client would take."""
    image = np.zeros((128, 128, 128), np.float32)
    write, read = [], []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(20):
            began = time.perf_counter()
            files = write_arrays(Path(name), {"hu": image})
            write.append(time.perf_counter() - began)
            read_arrays(Path(name), files)
            read.append(time.perf_counter() - began - write[-1])
    report.values["image of 128 cubed, writing its file: median, s"] = statistics.median(write)
    report.values["image of 128 cubed, reading its file: median, s"] = statistics.median(read)


def measure_sites(bench: Bench, report: Report, parameters: HeartParameters) -> None:
    """Time when the images of one heart through several scanners come."""
    keys = ("adult", "congenital-mild", "congenital-severe")
    choices = tuple(p.ScannerChoice(key=key, changes={"views": 180}) for key in keys)
    bench.parts_at.clear()
    began = time.perf_counter()
    bench.ask("full", p.RenderTask(parameters=parameters, scanners=choices))
    for number, at in enumerate(bench.parts_at, start=1):
        report.values[f"heart through {len(keys)} scanners, image {number}, s"] = at - began


def measure_materials(bench: Bench, report: Report, parameters: HeartParameters) -> None:
    """Time previews in which only the iodine changes."""
    seconds = []
    for iodine in range(12):
        material = p.Material(base="blood_left", iodine_mg_ml=iodine)
        seconds.append(bench.ask("a", p.PreviewTask(parameters=parameters, materials={1: material})))
    report.values["preview 64 cubed, other material: median, s"] = statistics.median(seconds[2:])


def measure_moves(bench: Bench, report: Report, drawn: Iterator[HeartParameters], moves: int) -> None:
    """Move a slider as fast as a screen is drawn, with labels, preview and measurements following."""
    pid, early, before = bench.client.pid or 0, moves // 5, 0.0
    for move in range(moves):
        parameters = next(drawn)
        for channel, task in (
            ("labels", p.LabelsTask(parameters=parameters)),
            ("preview", p.PreviewTask(parameters=parameters)),
            ("measure", p.MeasureTask(parameters=parameters)),
        ):
            bench.held(lambda channel=channel, task=task: bench.client.submit(channel, task, follow=True))
        end = time.perf_counter() + 1 / 60
        bench.until(lambda end=end: time.perf_counter() > end)
        if move == early:
            before = resident_mib(pid)
    bench.until(lambda: not any(map(bench.client.busy, ("labels", "preview", "measure"))))
    after = resident_mib(pid)
    report.values["worker's memory after the moves, MiB"] = after
    if before:
        growth = after / before - 1
        report.goals.append(Goal(f"growth of memory from {early} to {moves} moves", growth, 0.05, at_least=False))


def measure_rendering(bench: Bench, report: Report, rounds: int) -> None:
    """Race full renderings through the worker against the same in this process; each heart is new to both."""
    through, bare = hearts(1), hearts(1)
    choice, model = p.ScannerChoice(changes={"views": 180}), builtin_model()
    chosen = scanner(choice.key).with_changes(**choice.changes)

    def ask() -> None:
        bench.ask("full", p.RenderTask(parameters=next(through), scanners=(choice,)))

    def compute() -> None:
        simulate(Recipe(parameters=next(bare), scanner=chosen), model)

    timings = race([Contender("bare simulate", lambda: compute, rounds), Contender("worker", lambda: ask, rounds)])
    report.timings["128 cubed, 180 views, thorax"] = timings
    ratio = timings["worker"].min_s / timings["bare simulate"].min_s
    report.goals.append(Goal("full rendering: worker / bare simulate", ratio, 1.10, at_least=False))


def main() -> None:
    """Measure and write Testing/results/worker.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.worker", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--moves", type=int, default=1000, help="slider moves")
    parser.add_argument("--rounds", type=int, default=5, help="full renderings each")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    bench = Bench(options.device)
    setting = {"model": "built-in", "device": options.device, "timer": f"{1000 * TIMER_S:g} ms", "moves": options.moves}
    report = Report("Worker of the Slicer module", setting)
    described = machine(("torch", "numpy", "scipy", "pydantic"))
    try:
        measure(bench, report, options.moves, options.rounds)
    finally:
        bench.client.close(wait_s=10)
    command = " ".join(["python -m Testing.benchmarks.worker", *sys.argv[1:]])
    for path in write_report(report, described, options.out, "worker", command):
        print(path)
    for goal in report.goals:
        print(f"{'met   ' if goal.met else 'MISSED'} {goal.name}: {goal.value:.4g} (bound {goal.bound:g})")


if __name__ == "__main__":
    main()
