"""Measure the worker behind the Slicer module: ``python -m Testing.benchmarks.worker``.

What a user waits for (labels, previews, full renderings through pipes and files, against the same scan computed in this
process), and how long the GUI's thread is held meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# As the worker does (see FedSimCore/worker/__main__.py), or the bare scan in this process would look slower than it is.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "FedSimSlicer"))

from FedSimCore.benchmarks.harness import Contender, Goal, Report, race, write_report  # noqa: E402
from FedSimCore.benchmarks.machine import machine  # noqa: E402
from FedSimCore.ct.recipe import Recipe, simulate  # noqa: E402
from FedSimCore.ct.scanners import scanner  # noqa: E402
from FedSimCore.shape.model import builtin_model  # noqa: E402
from FedSimCore.shape.parameters import HeartParameters  # noqa: E402
from FedSimCore.worker import protocol as p  # noqa: E402
from FedSimSlicerLib.worker_client import WorkerClient, WorkerLaunch  # noqa: E402
from FedSimSlicerLib.worker_events import RequestCancelled, RequestDone, RequestFailed, WorkerReady  # noqa: E402

TIMER_S = 0.005
"""How often the module's timer polls."""


class Bench:
    """A client that notes how long each of its calls holds the calling thread."""

    def __init__(self, device: str) -> None:
        self.client = WorkerClient(WorkerLaunch(device=device, python_path=(str(ROOT),)))
        self.client.subscribe(self._hear)
        self.held_s: list[float] = []
        self._ended: dict[int, Any] = {}
        self._ready: Any = None

    def _hear(self, event: Any) -> None:
        if isinstance(event, WorkerReady):
            self._ready = event
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

    def ask(self, channel: str, task: Any) -> float:
        """Return the seconds from a request to its answer in this thread."""
        began = time.perf_counter()
        request = self.held(lambda: self.client.submit(channel, task))
        event = self.until(lambda: self._ended.pop(request, None))
        if not isinstance(event, RequestDone):
            raise SystemExit(f"{channel}: {event}")
        return time.perf_counter() - began

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


def measure(bench: Bench, report: Report, moves: int, rounds: int) -> None:
    """Fill the report."""
    drawn = hearts(0)
    began = time.perf_counter()
    bench.wait_until_ready()
    report.values["start to ready, s"] = time.perf_counter() - began
    measure_answers(bench, report, drawn)
    measure_materials(bench, report, next(drawn))
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
        ("labels 128 cubed", 0.12, lambda heart: p.LabelsTask(parameters=heart)),
        ("preview 64 cubed, new shape", 0.4, lambda heart: p.PreviewTask(parameters=heart)),
        ("measurements", 0.5, lambda heart: p.MeasureTask(parameters=heart)),
    ]
    for name, bound_s, task in kinds:
        seconds = [bench.ask("a", task(next(drawn))) for _ in range(31)][1:]
        report.goals.append(Goal(f"{name}: median, s", statistics.median(seconds), bound_s, at_least=False))
        report.values[f"{name}: 95th percentile, s"] = float(np.quantile(seconds, 0.95))


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
    report.goals.append(Goal("full rendering: worker / bare simulate", ratio, 1.15, at_least=False))


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
