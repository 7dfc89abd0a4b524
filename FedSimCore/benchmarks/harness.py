"""Time several implementations in one interleaved run, and write down what was measured, how and where.

Implementations take turns, so that whatever else the machine does falls on all of them alike; the minimum is
the number to compare, the median tells how noisy the machine was. Set-up (building caches, compiling)
counts into the first call, which is reported apart.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from FedSimCore.benchmarks.machine import MIB, main_memory_peak_mib, resident_mib
from FedSimCore.errors import MissingDependencyError
from FedSimCore.files import atomic_path, write_json
from FedSimCore.progress import Progress, silent


@dataclass(frozen=True)
class Contender:
    """One implementation in a race.

    Attributes:
        name: as it stands in the tables.
        prepare: builds what a user keeps between calls and returns the call to time.
        rounds: how often it is timed at most; fewer for a slow peer.
        synchronize: waits until a device has finished, e.g. ``torch.cuda.synchronize``.
        device_peak_mib: resets and reads a device's peak memory, see :func:`cuda_peak_mib`; main memory if None.
    """

    name: str
    prepare: Callable[[], Callable[[], object]]
    rounds: int = 9
    synchronize: Callable[[], object] = lambda: None
    device_peak_mib: Callable[[], float] | None = None


@dataclass(frozen=True)
class Timing:
    """What was measured of one contender.

    Attributes:
        first_s: wall seconds of the set-up and the first call together.
        min_s: least wall seconds of the further calls.
        median_s: median wall seconds of the further calls.
        cpu_min_s: least CPU seconds, all threads added up.
        calls: number of further calls.
        peak_extra_mib: memory the set-up and first call needed above what the process held before; None
            where the system does not tell.
    """

    first_s: float
    min_s: float
    median_s: float
    cpu_min_s: float
    calls: int
    peak_extra_mib: float | None


@dataclass(frozen=True)
class Goal:
    """A number that a benchmark must show.

    Attributes:
        name: what is compared, with its unit.
        value: what was measured.
        bound: the goal.
        at_least: whether ``value`` has to reach ``bound`` rather than stay below it.
    """

    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass
class Report:
    """Everything that goes into ``Testing/results/NAME.{json,md}``.

    Attributes:
        title: heading.
        setting: the problem's size, options and threads.
        timings: races by heading, then contenders by name.
        goals: numbers to be shown.
        values: further measured numbers by name.
    """

    title: str
    setting: Mapping[str, object]
    timings: dict[str, dict[str, Timing]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)


def race(contenders: Sequence[Contender], progress: Progress = silent, stage: str = "timing") -> dict[str, Timing]:
    """Time the contenders in turns.

    Returns:
        A timing by name, in the order given.
    """
    calls: list[Callable[[], object]] = []
    first: list[tuple[float, float | None]] = []
    rounds = max(contender.rounds for contender in contenders)
    for index, contender in enumerate(contenders):
        progress(index, len(contenders), f"{stage}: first calls")
        call, seconds, peak = _first_call(contender)
        calls.append(call)
        first.append((seconds, peak))
    progress(len(contenders), len(contenders), f"{stage}: first calls")
    laps: list[list[tuple[float, float]]] = [[] for _ in contenders]
    for turn in range(rounds):
        for index, contender in enumerate(contenders):
            if turn < contender.rounds:
                laps[index].append(_lap(calls[index], contender.synchronize))
        progress(turn + 1, rounds, stage)
    return {
        contender.name: Timing(
            first_s=seconds,
            min_s=min(wall for wall, _ in lap),
            median_s=statistics.median(wall for wall, _ in lap),
            cpu_min_s=min(cpu for _, cpu in lap),
            calls=len(lap),
            peak_extra_mib=peak,
        )
        for contender, (seconds, peak), lap in zip(contenders, first, laps, strict=True)
    }


def peer(module: str) -> ModuleType:
    """Import a library that is only measured against.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'This benchmark compares with {module}, which is not installed; run: pip install "fedsim[bench]"'
        ) from error


def cuda_peak_mib() -> float:
    """Return the peak of CUDA memory since the last call of this function, and start anew."""
    import torch

    peak = torch.cuda.max_memory_allocated() / MIB
    torch.cuda.reset_peak_memory_stats()
    return peak


def as_content(report: Report, described: Mapping[str, Any], command: str | None = None) -> dict[str, Any]:
    """Return a report as plain data for JSON, with the command that was called (``fedsim`` ... if None)."""
    return {
        "title": report.title,
        "command": command or _command(),
        "machine": dict(described),
        "setting": dict(report.setting),
        "goals": [{**asdict(goal), "met": goal.met} for goal in report.goals],
        "timings": {race: {n: asdict(t) for n, t in timings.items()} for race, timings in report.timings.items()},
        "values": report.values,
    }


def write_report(
    report: Report, described: Mapping[str, Any], folder: Path, name: str, command: str | None = None
) -> list[Path]:
    """Write ``name.json`` and ``name.md`` into ``folder`` and return their paths; see :func:`as_content`."""
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    write_json(paths[0], as_content(report, described, command))
    with atomic_path(paths[1]) as temporary:
        temporary.write_text(_markdown(report, described, command or _command()), encoding="utf-8")
    return paths


def _command() -> str:
    return " ".join(["fedsim", *sys.argv[1:]])


def _first_call(contender: Contender) -> tuple[Callable[[], object], float, float | None]:
    measure_peak = contender.device_peak_mib or main_memory_peak_mib
    measure_peak()
    held = resident_mib() if contender.device_peak_mib is None else 0.0
    start = time.perf_counter()
    call = contender.prepare()
    call()
    contender.synchronize()
    seconds = time.perf_counter() - start
    peak = measure_peak()
    return call, seconds, None if peak is None or held is None else max(0.0, peak - held)


def _lap(call: Callable[[], object], synchronize: Callable[[], object]) -> tuple[float, float]:
    synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def _markdown(report: Report, described: Mapping[str, Any], command: str) -> str:
    lines = [f"# {report.title}", "", f"`{command}`", ""]
    if report.goals:
        lines += ["| goal | measured | wanted | met |", "|---|---|---|---|"]
        for goal in report.goals:
            sign = "≥" if goal.at_least else "≤"
            lines.append(f"| {goal.name} | {goal.value:.5g} | {sign} {goal.bound:g} | {'yes' if goal.met else 'NO'} |")
        lines.append("")
    for heading, timings in report.timings.items():
        lines += [
            f"## {heading}",
            "",
            "| | min s | median s | CPU s | first call s | peak extra MiB | times the fastest |",
        ]
        lines.append("|---|---|---|---|---|---|---|")
        fastest = min(timing.min_s for timing in timings.values())
        for name, t in timings.items():
            peak = "–" if t.peak_extra_mib is None else f"{t.peak_extra_mib:.0f}"
            lines.append(
                f"| {name} | {t.min_s:.4f} | {t.median_s:.4f} | {t.cpu_min_s:.4f} | {t.first_s:.4f} | {peak} "
                f"| {t.min_s / fastest:.2f} |"
            )
        lines.append("")
    if report.values:
        lines += ["## Values", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value:.6g} |" for name, value in report.values.items()]
        lines.append("")
    for heading, facts in (("Setting", report.setting), ("Machine", described)):
        lines += [f"## {heading}", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    return "\n".join(lines)
