"""What a federated round costs beyond the sites' own computing: ``python -m Testing.benchmarks.federated_overhead``.

Three sites in real processes on loopback. Everything of a round is real (weights out, gradients of the asked size back,
checks, ledger with fsync, guard, average, Adam's step, record and events) but the learning itself: a site answers with
random gradients at once. ``--soak N`` makes N rounds of 2 MB on one machine and looks at threads and memory of all
processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from FedSimCore.benchmarks.machine import machine
from FedSimCore.federated import site as site_module
from FedSimCore.federated.engine import hospital, kits, one_machine
from FedSimCore.federated.engine.executor import SiteExecutor
from FedSimCore.federated.engine.job import write_job
from FedSimCore.federated.messages import bytes_of
from FedSimCore.federated.server import Averaging
from FedSimCore.federated.status import read_rounds
from FedSimCore.federated.study import Study, checked_study
from FedSimCore.files import read_json, write_json
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map
from Testing.core.shape.small_model import small_model

RESULTS = Path(__file__).resolve().parents[1] / "results"
SITES = ("a", "b", "c")
HIDDEN = {"2 MB": [440, 1100], "40 MB": [3000, 3250]}
_HERE = "Testing.benchmarks.federated_overhead"
_WARM_UP = 10


class EchoExecutor(SiteExecutor):
    """A site that learns nothing, and answers at once."""

    def __init__(self) -> None:
        super().__init__()
        site_module.exact_update = _random_update


_kept: dict[str, np.ndarray] = {}


def _random_update(run: Any, shared: Any, privacy: Any) -> Any:
    if not _kept:
        rng = np.random.default_rng(os.getpid())
        _kept.update({name: rng.standard_normal(p.shape).astype(np.float32) * 1e-3 for name, p in shared.items()})
    run.loop.step += 1
    return dict(_kept), {"loss": 1.0}, 2


def make_study(folder: Path, hidden: list[int], rounds: int) -> Study:
    """Write a cohort of two tiny hearts and return a study of shapes with networks of the asked size."""
    model, grid = small_model(), Grid.centered(28, 7.0, (20, -30, 40))
    model.save(folder / "model.safetensors")
    import torch

    parameters = model.sample(2, torch.Generator().manual_seed(0), pose=True)
    parameters[:, 6:9] += torch.tensor(grid.center_mm, dtype=torch.float32)
    for number, labels in enumerate(label_map(model.vertices(parameters), model.topology, grid)):
        write_label_map(Volume(labels.numpy(), grid), folder / "cohort" / f"heart{number}_label.nii.gz")
    rows = ["case,label,site", *(f"heart{n},heart{n}_label.nii.gz,x" for n in range(2))]
    (folder / "cohort" / "cohort.csv").write_text("\n".join(rows))
    recipe = {
        "recipe": "generator",
        "material": "none",
        "shape_model": str(folder / "model.safetensors"),
        "modes": 3,
        "size": 16,
        "spacing_mm": 12.0,
        "latent_size": 8,
        "hidden": hidden,
        "batch_size": 2,
        "threads": 1,
        "device": "cpu",
    }
    policy = {"least_in_round": 2}
    sites = [{"name": name, "cohort": str(folder / "cohort"), "policy": policy} for name in SITES]
    often = {"checkpoint_every": 10**6, "report_every": 50, "evaluate_every": 10**6}
    fields = {"name": "overhead", "recipe": recipe, "sites": sites, "rounds": rounds, "latent_moments": "none", **often}
    return checked_study(fields, "the benchmark")


@contextmanager
def echoing() -> Iterator[None]:
    """Let jobs name the benchmark's executor, and sites of the benchmark accept it."""

    def job(folder: Path, *rest: Any) -> Path:
        made = write_job(folder, *rest)
        path = made / "app" / "config" / "config_fed_client.json"
        config = read_json(path)
        config["executors"][0]["executor"]["path"] = f"{_HERE}.EchoExecutor"
        write_json(path, config)
        return made

    rules = one_machine.write_simulation_rules

    def more_rules(local: Path) -> None:
        rules(local)
        _allow(local / "resources.json")

    before = one_machine.write_job, one_machine.write_simulation_rules, hospital.write_job
    one_machine.write_job = hospital.write_job = job
    one_machine.write_simulation_rules = more_rules
    try:
        yield
    finally:
        one_machine.write_job, one_machine.write_simulation_rules, hospital.write_job = before


def _allow(path: Path) -> None:
    resources = read_json(path)
    resources["class_allow_list"] = [*resources["class_allow_list"], _HERE]
    write_json(path, resources)


def on_one_machine(study: Study, folder: Path) -> None:
    """Run the study as ``fedsim federate run`` does."""
    one_machine.run_on_one_machine(study, folder)


def between_hospitals(carry: str) -> Callable[[Study, Path], None]:
    """Return what runs the study with kits under mutual TLS over TCP."""

    def run(study: Study, folder: Path) -> None:
        from FedSimCore.federated.demonstration import free_port

        kits.make_kits(study, folder / "kits", "localhost", free_port())
        threads = []
        for site in study.sites:
            _allow(folder / "kits" / site.name / "local" / "resources.json")
            assert site.cohort is not None
            arguments = (folder / "kits" / site.name, site.cohort, folder / "sites" / site.name)
            threads.append(threading.Thread(target=hospital.take_part, args=arguments))
        for thread in threads:
            thread.start()
        hospital.serve(folder / "kits" / "server", folder, carry)
        for thread in threads:
            thread.join()

    return run


def measured(size: str, run: Callable[[Study, Path], None], rounds: int) -> dict[str, float]:
    """Return median and 90th percentile of the rounds, ms."""
    with tempfile.TemporaryDirectory(prefix="fedsim-") as temporary, echoing():
        folder = Path(temporary)
        study = make_study(folder, HIDDEN[size], rounds + _WARM_UP)
        run(study, folder / "run")
        seconds = [record.seconds for record in read_rounds(folder / "run" / "server" / "rounds.jsonl")][_WARM_UP:]
        megabytes = bytes_of(Averaging(study).weights()) / 1e6
    return {
        "mb": round(megabytes, 2),
        "rounds": len(seconds),
        "median_ms": round(1000 * statistics.median(seconds), 1),
        "p90_ms": round(1000 * float(np.quantile(seconds, 0.9)), 1),
    }


def soaked(rounds: int) -> dict[str, Any]:
    """Return threads and memory of server and sites at the beginning and at the end of many rounds."""
    found: dict[str, list[tuple[int, float]]] = {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(5.0):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    words = " ".join(process.cmdline())
                    if "simulat" in words:
                        key = f"{process.pid} {'site' if 'simulator_worker' in words else 'server'}"
                        now = (process.num_threads(), process.memory_info().rss / 1e6)
                        found.setdefault(key, []).append(now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        speed = measured("2 MB", on_one_machine, rounds)
    finally:
        stop.set()
        watcher.join()
    parts = {}
    for key, values in found.items():
        if len(values) < 8:
            continue
        quarter = len(values) // 4
        early, late = values[quarter : 2 * quarter], values[-quarter:]
        parts[key] = {
            "threads_early": statistics.median(v[0] for v in early),
            "threads_late": statistics.median(v[0] for v in late),
            "threads_most": max(v[0] for v in values),
            "mb_early": round(statistics.median(v[1] for v in early), 1),
            "mb_late": round(statistics.median(v[1] for v in late), 1),
        }
    return {"speed": speed, "processes": parts}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(prog=f"python -m {_HERE}", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--soak", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--only", default="", help="a part of a row's name")
    parser.add_argument("--out", type=Path, default=RESULTS / "federated_overhead")
    options = parser.parse_args()
    ways = {
        "one machine (push)": on_one_machine,
        "mutual TLS over TCP, push": between_hospitals("push"),
        "mutual TLS over TCP, pull": between_hospitals("pull"),
    }
    cases = [(f"{size}, {name}", size, run) for size in HIDDEN for name, run in ways.items()]
    results: dict[str, Any] = {
        "machine": machine(("nvflare", "torch", "numpy")),
        "when": time.strftime("%Y-%m-%d"),
        "rounds": {},
    }
    results["load_before"] = os.getloadavg()[0]
    for name, size, run in cases:
        if options.only in name:
            results["rounds"][name] = measured(size, run, options.rounds if size == "2 MB" else options.rounds // 3)
            print(name, json.dumps(results["rounds"][name]), flush=True)
    if options.soak:
        results["soak"] = soaked(options.soak)
        print(json.dumps(results["soak"], indent=1), flush=True)
    results["load_after"] = os.getloadavg()[0]
    write_json(options.out.with_suffix(".json"), results)
    options.out.with_suffix(".md").write_text(_table(results), encoding="utf-8")


def _table(results: dict[str, Any]) -> str:
    lines = [
        "# Overhead of a federated round",
        "",
        "Three sites in real processes on loopback learn nothing: `python -m Testing.benchmarks.federated_overhead`.",
        f"Load of the machine before and after: {results['load_before']:.1f}, {results['load_after']:.1f}; "
        "above 0.5 the figures are those of a busy machine.",
        "",
        "| | MB | rounds | median ms | p90 ms |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['mb']} | {row['rounds']} | {row['median_ms']} | {row['p90_ms']} |"
        for name, row in results["rounds"].items()
    ]
    if "soak" in results:
        soak = results["soak"]
        lines += ["", f"Over {soak['speed']['rounds']} rounds (second quarter, last quarter of the time):", ""]
        lines += ["| process | threads | most | MB |", "|---|---|---|---|"]
        lines += [
            f"| {name.split()[1]} | {p['threads_early']:.0f}, {p['threads_late']:.0f} | {p['threads_most']} "
            f"| {p['mb_early']}, {p['mb_late']} |"
            for name, p in soak["processes"].items()
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
