"""Measure what a user of the Slicer module waits for: ``python -m Testing.benchmarks.module``.

In the host (Testing/host), with the real widgets, scene, displayable managers and worker. Every view is rendered by the
processor, which a workstation with a graphics card does faster.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from FedSimCore.benchmarks.harness import Goal, Report, write_report
from FedSimCore.benchmarks.machine import machine
from Testing.benchmarks.module_driver import ROOT, Heartbeat, ModuleDriver  # sets the environment

MOST_GROWTH = 0.05


def resident_mib(pid: int) -> float:
    """Return a process's resident memory; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def draw_moves(seed: int) -> Iterator[tuple[int, float]]:
    """Draw modes and weights without end; each move changes the heart."""
    rng, weights = np.random.default_rng(seed), [0.0] * 14
    while True:
        mode, sigma = int(rng.integers(14)), float(np.round(rng.uniform(-1.5, 1.5), 2))
        if sigma != weights[mode]:
            weights[mode] = sigma
            yield mode, sigma


def measure_latency(driver: ModuleDriver, report: Report, moves: int) -> None:
    """Time single moves, each with all that follows it."""
    drawn = draw_moves(0)
    seconds = []
    for _ in range(moves):
        seconds.append(driver.seconds_to_3d(*next(drawn)))
        driver.settle(0.0)
    add_goals(report, "slider to repainted 3D heart", seconds[5:], 0.033, 0.060)
    state = driver.session.state
    seconds = []
    for _ in range(moves):
        seconds.append(driver.seconds_to_slices(*next(drawn), state.live_labels))
        driver.settle(0.0)
    add_goals(report, "slider to labels in three slice views", seconds[5:], 0.120)
    state.live_preview = True
    driver.session.live.show()
    driver.until(lambda: state.preview is not None)
    driver.settle()
    seconds = []
    for _ in range(moves):
        seconds.append(driver.seconds_to_slices(*next(drawn), state.preview))
        driver.settle(0.0)
    add_goals(report, "slider to preview CT in three slice views", seconds[5:], 0.500)
    state.live_preview = False


def add_goals(report: Report, name: str, seconds: list[float], median: float, p95: float | None = None) -> None:
    """Hold median and 95th percentile against the goals."""
    report.goals.append(Goal(f"{name}: median, s", statistics.median(seconds), median, at_least=False))
    high = float(np.quantile(seconds, 0.95))
    if p95 is None:
        report.values[f"{name}: 95th percentile, s"] = high
    else:
        report.goals.append(Goal(f"{name}: 95th percentile, s", high, p95, at_least=False))


def measure_simulation(driver: ModuleDriver, report: Report, rounds: int) -> None:
    """Race the Simulate button, to the image in the slice views, against the same scans (180 views) in this process."""
    from FedSimCore.ct.recipe import read_recipe, simulate
    from FedSimCore.shape.model import builtin_model
    from FedSimSlicerLib.simulation_output import PROVENANCE

    drawn, model, state, beat = draw_moves(4), builtin_model(), driver.session.state, Heartbeat()
    driver.panel.show_tab("SimulatePanel")
    state.scanner_changes = '{"views": 180}'
    button = next(panel for panel in driver.panel.panels if type(panel).__name__ == "SimulatePanel").ui.simulateButton
    through, bare, pauses = [], [], []
    for _ in range(rounds + 1):
        driver.move_slider(*next(drawn))
        driver.settle()
        before = state.simulated
        beat.start()
        began = time.perf_counter()
        button.click()
        driver.until(lambda before=before: state.simulated not in (None, before), pause_s=0.01)
        driver.until(lambda: not driver.session.worker.busy("simulation"), pause_s=0.01)
        for view in driver.slices:
            view.repaint()
        through.append(time.perf_counter() - began)
        pauses.append(beat.stop())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recipe.json"
            path.write_text(state.simulated.GetNodeReference(PROVENANCE).GetText(), encoding="utf-8")
            recipe = read_recipe(path)
        began = time.perf_counter()
        simulate(recipe, model)
        bare.append(time.perf_counter() - began)
    report.values["full CT, Simulate button to slice views: median, s"] = statistics.median(through[1:])
    report.values["full CT, the same scans by simulate() in this process: median, s"] = statistics.median(bare[1:])
    report.values["longest pause of the GUI thread in a simulation, software rendering included, s"] = max(pauses)
    ratio = statistics.median(through[1:]) / statistics.median(bare[1:])
    report.goals.append(Goal("full CT: Simulate button / bare simulate", ratio, 1.15, at_least=False))
    state.scanner_changes = "{}"
    driver.panel.show_tab("ExplorePanel")


def measure_moves(driver: ModuleDriver, report: Report, moves: int) -> None:
    """Move sliders without rest, 60 times a second, labels and measurements following; watch memory and freezes."""
    drawn, beat = draw_moves(1), Heartbeat()
    pids = {"module": os.getpid(), "worker": driver.session.worker.client.pid}
    early: dict[str, float] = {}
    beat.start()
    for move in range(moves):
        driver.move_slider(*next(drawn))
        end = time.perf_counter() + 1 / 60
        driver.until(lambda end=end: time.perf_counter() > end)
        if move == moves // 5:
            early = {name: resident_mib(pid) for name, pid in pids.items()}
    report.values["longest pause of the GUI thread while sliders move, software rendering included, s"] = beat.stop()
    driver.settle()
    for name, pid in pids.items():
        growth = resident_mib(pid) / max(early[name], 1.0) - 1
        report.goals.append(Goal(f"{name}: growth of memory over {moves} moves", growth, MOST_GROWTH, at_least=False))
    check_picture(driver, report, f"{moves} moves")


def measure_scenes(driver: ModuleDriver, report: Report, rounds: int) -> None:
    """Close the scene and load it again, over and over."""
    slicer, pid, early = driver.slicer, os.getpid(), 0.0
    drawn = draw_moves(2)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "heart.mrb")
        for count in range(rounds):
            driver.move_slider(*next(drawn))
            driver.settle()
            expected = driver.session.editor.heart
            if not slicer.util.saveScene(path):
                raise SystemExit("the scene could not be saved")
            slicer.mrmlScene.Clear(False)
            driver.application.process_events()
            slicer.util.loadScene(path)
            driver.until(lambda: driver.session.state is not None and driver.session.display.shown)
            driver.settle()
            if not same_heart(driver.session.editor.heart, expected):
                raise SystemExit("the heart that came back is another one")
            if count == rounds // 5:
                early = resident_mib(pid)
    growth = resident_mib(pid) / early - 1
    report.goals.append(Goal(f"module: growth of memory over {rounds} scenes", growth, MOST_GROWTH, at_least=False))
    check_picture(driver, report, f"{rounds} scenes")


def same_heart(found: Any, expected: Any) -> bool:
    """Tell whether two hearts' parameters agree."""
    return bool(np.allclose(found.vector(), expected.vector(), atol=1e-9))


def measure_kills(driver: ModuleDriver, report: Report, kills: int) -> None:
    """Kill the worker while it works, and see the labels follow again."""
    drawn, client = draw_moves(3), driver.session.worker.client
    seconds = []
    for _ in range(kills):
        driver.move_slider(*next(drawn))
        pid = client.pid
        os.kill(pid, signal.SIGKILL)
        began = time.perf_counter()
        driver.until(lambda pid=pid: client.pid not in (None, pid))
        driver.until(lambda: client.state.name == "READY")
        driver.move_slider(*next(drawn))
        driver.settle()
        seconds.append(time.perf_counter() - began)
        time.sleep(15)  # three deaths in 30 s would be a worker that cannot run, and is told so
    report.values["from a killed worker to labels that follow again: median, s"] = statistics.median(seconds)
    check_picture(driver, report, f"{kills} kills of the worker")


def check_picture(driver: ModuleDriver, report: Report, after: str) -> None:
    """Compare what the scene shows with the heart, computed anew by the torch model."""
    import torch

    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.voxelizer import label_map
    from FedSimSlicerLib.scene_volumes import array_of, grid_of
    from Testing.host.pythonqt import slot_errors

    heart = driver.session.editor.heart
    mesh = builtin_model(len(heart.weights)).mesh(heart)
    node = driver.session.state.live_labels
    expected = label_map(torch.from_numpy(mesh.vertices), mesh.topology, grid_of(node))[0].numpy()
    wrong = float((array_of(node) != expected).mean())
    offset = max(
        float(np.abs(driver.slicer.util.arrayFromModelPoints(model) - mesh.vertices[part.vertices]).max())
        for part, model in driver.session.display.nodes()
    )
    report.goals.append(Goal(f"after {after}: share of stale label voxels", wrong, 1e-5, at_least=False))
    report.goals.append(Goal(f"after {after}: surfaces off by, mm", offset, 1e-3, at_least=False))
    report.goals.append(Goal(f"after {after}: exceptions", len(slot_errors), 0, at_least=False))


def main() -> None:
    """Measure and write Testing/results/module.{json,md}."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.module", description=__doc__)
    parser.add_argument("--latency", type=int, default=105, help="single moves of each kind; 5 are for warming up")
    parser.add_argument("--simulations", type=int, default=3)
    parser.add_argument("--moves", type=int, default=1000)
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "results")
    options = parser.parse_args()
    driver = ModuleDriver()
    setting = {"model": "built-in, 14 modes", "window": "1400 x 900", "rendering": "by the processor"}
    report = Report("The module in the host", setting)
    try:
        for count, measure in (
            (options.latency, measure_latency),
            (options.simulations, measure_simulation),
            (options.moves, measure_moves),
            (options.scenes, measure_scenes),
            (options.kills, measure_kills),
        ):
            if count:
                measure(driver, report, count)
    finally:
        driver.session.worker.close(wait_s=10)
    command = " ".join(["python -m Testing.benchmarks.module", *sys.argv[1:]])
    described = machine(("torch", "numpy", "slicer-core", "PySide6-Essentials"))
    for path in write_report(report, described, options.out, "module", command):
        print(path)
    for goal in report.goals:
        print(f"{'met   ' if goal.met else 'MISSED'} {goal.name}: {goal.value:.4g} (bound {goal.bound:g})")
    for name, value in report.values.items():
        print(f"       {name}: {value:.4g}")


if __name__ == "__main__":
    main()
