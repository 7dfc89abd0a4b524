"""What fewer exchanges cost in quality: ``python -m Testing.benchmarks.federated_methods``.

The same two sites, hearts and number of steps at each site; exact exchanges a gradient after each step, the others
what several steps have changed. The measure is the IoU of the sites' own hearts as the finished model renders them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from FedSimCore.benchmarks.machine import machine
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.status import study_status
from FedSimCore.federated.study import checked_study
from FedSimCore.files import read_json, write_json
from Testing.benchmarks.federated_attacks import CASES, RESULTS, hearts, study_of

METHODS: dict[str, dict[str, Any]] = {
    "exact": {},
    "fedavg, 5 steps": {"method": "fedavg", "local_steps": 5},
    "fedavg, 20 steps": {"method": "fedavg", "local_steps": 20},
    "fedprox, 20 steps": {"method": "fedprox", "local_steps": 20, "proximal": 0.01},
    "fedopt, 20 steps": {"method": "fedopt", "local_steps": 20, "server_learning_rate": 0.02},
}


def learnt(seed: int, steps: int, changes: dict[str, Any]) -> tuple[float, float]:
    """Return the mean IoU over the sites' hearts, and the megabytes that a site has sent."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rounds = steps // changes.get("local_steps", 1)
        study = study_of(folder / "data", hearts(200 + seed, CASES), rounds, None, 2)
        study = checked_study({**study.model_dump(mode="json"), **changes}, "the benchmark")
        run_in_process(study, folder / "run")
        summaries = [folder / "run" / "sites" / site / study.name / "summary.json" for site in study.site_names]
        found = [read_json(path)["outcome"]["metrics"]["train/iou"] for path in summaries]
        sent = next(part.bytes for part in study_status(folder / "run").parts if part.name == "a")
    return float(np.mean(found)), sent / 1e6


def main() -> None:
    """Compare and write the results."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.federated_methods", description=__doc__)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS / "federated_methods")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for name, changes in METHODS.items():
        found = [learnt(seed, options.steps, changes) for seed in range(options.seeds)]
        rows[name] = {"iou": [iou for iou, _ in found], "mb_sent": found[0][1]}
        print(name, rows[name], flush=True)
    results = {"machine": machine(("torch",)), "steps": options.steps, "methods": rows}
    write_json(options.out.with_suffix(".json"), results)
    lines = [
        "# Fewer exchanges",
        "",
        f"`python -m Testing.benchmarks.federated_methods`: {CASES} hearts of a small shape model at two sites, "
        f"{options.steps} steps at each site, {options.seeds} seeds; mean IoU, least and most in brackets.",
        "",
        "| method | IoU | MB sent by a site |",
        "|---|---|---|",
    ]
    for name, row in rows.items():
        iou = row["iou"]
        lines.append(f"| {name} | {np.mean(iou):.3f} ({min(iou):.3f} to {max(iou):.3f}) | {row['mb_sent']:.3f} |")
    options.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
