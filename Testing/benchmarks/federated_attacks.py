"""Attacks on our own federated learning: ``python -m Testing.benchmarks.federated_attacks``.

Membership: the finished shared shape generator and a heart are given; a latent is fitted to the heart, and a heart that
the generator renders well is called a member. Inversion: one update of a site and the weights it was computed with are
given. The first layer of the generator is linear, so the gradient of its weights is a sum of outer products of
something with the latents: of one case their quotient with the bias' gradient is the latent itself (Geiping et al.
2020, section 3.1), of several the latents' span. With the latent the attacker renders the patient's heart as far as
the generator has learnt it. Both at several amounts of noise.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from FedSimCore.benchmarks.machine import machine
from FedSimCore.federated.accounting import epsilon_of, uses_of
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.messages import parameters_of
from FedSimCore.federated.policy import Privacy
from FedSimCore.federated.run import open_run
from FedSimCore.federated.study import Study, checked_study
from FedSimCore.federated.updates import exact_update
from FedSimCore.files import read_json, write_json
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.runs.folder import RunFolder
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.training.shape_voxels import ShapeVoxels, mean_iou
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map
from Testing.core.shape.small_model import small_model

RESULTS = Path(__file__).resolve().parents[1] / "results"
MODES, SIZE, SPACING_MM = 3, 20, 10.0
CASES = 8
"""Members, and as many others."""
LEVELS: dict[str, dict[str, float] | None] = {
    "no noise": None,
    "noise 0.3": {"clip": 0.5, "noise": 0.3},
    "noise 1": {"clip": 0.5, "noise": 1.0},
    "noise 4": {"clip": 0.5, "noise": 4.0},
    "noise 16": {"clip": 0.5, "noise": 16.0},
}
ATTACKS = ("inversion", "membership")


def hearts(seed: int, count: int) -> Tensor:
    """Return label maps (count, X, Y, Z) of random hearts of the small model, round the middle of their grid."""
    model, grid = small_model(), Grid.centered(28, 7.0)
    parameters = model.sample(count, torch.Generator().manual_seed(seed), pose=True)
    return label_map(model.vertices(parameters), model.topology, grid)


def study_of(folder: Path, labels: Tensor, rounds: int, privacy: dict[str, float] | None, batch: int) -> Study:
    """Write the members as cohorts of two sites and return a study of their shapes."""
    small_model().save(folder / "model.safetensors")
    grid = Grid.centered(28, 7.0)
    rows = ["case,label,site"]
    for number, label in enumerate(labels):
        write_label_map(Volume(label.numpy(), grid), folder / "cohort" / f"heart{number}_label.nii.gz")
        rows.append(f"heart{number},heart{number}_label.nii.gz,{'ab'[number % 2]}")
    (folder / "cohort" / "cohort.csv").write_text("\n".join(rows))
    recipe = {
        "recipe": "generator",
        "material": "none",
        "shape_model": str(folder / "model.safetensors"),
        "modes": MODES,
        "size": SIZE,
        "spacing_mm": SPACING_MM,
        "latent_size": 6,
        "hidden": [32],
        "batch_size": batch,
        "threads": 1,
        "device": "cpu",
        "picture_every": 10**6,
        "learning_rate": 0.02,
        "latent_learning_rate": 0.05,
    }
    policy = {"least_in_round": 1}
    sites = [{"name": s, "cohort": str(folder / "cohort"), "cohort_site": s, "policy": policy} for s in "ab"]
    often = {"checkpoint_every": 10**6, "evaluate_every": 10**6, "report_every": 10**6}
    fields = {"name": "attacked", "recipe": recipe, "sites": sites, "rounds": rounds, "privacy": privacy, **often}
    return checked_study(fields, "the benchmark")


def fitted_loss(model: GenerativeModel, label: Tensor, steps: int = 60) -> float:
    """Return the least IoU loss that a latent fitted to a heart's label map (X, Y, Z) reaches."""
    generator = model.generator
    voxels = ShapeVoxels(generator.model, generator.grid)
    wanted = voxels.one_hot(label[None])
    latent = generator.normal.mean.clone()[None].requires_grad_(True)
    adam = torch.optim.Adam([latent], lr=0.1)
    best = 1.0
    for _ in range(steps):
        loss = 1 - mean_iou(voxels.probabilities(generator.shape(latent)), wanted).mean()
        best = min(best, loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()
    return best


def area_under_curve(members: list[float], others: list[float]) -> float:
    """Return the probability that a member has less loss than another heart."""
    pairs = [(m < o) + 0.5 * (m == o) for m in members for o in others]
    return float(np.mean(pairs))


def on_learning_grid(folder: Path, study: Study, labels: Tensor) -> Tensor:
    """Return label maps as a site would learn them, by the recipe's own reading."""
    from FedSimCore.progress import silent
    from FedSimCore.training.generator import build

    study_of(folder, labels, 1, None, 1)
    task = build(study.config(None, cohort=str(folder / "cohort")), silent)
    order = [task.names.index(f"heart{number}") for number in range(len(labels))]
    result: Tensor = task._labels[order]
    return result


def membership(privacy: dict[str, float] | None, rounds: int, seeds: range) -> list[float]:
    """Return for each seed the AUC of telling members from others."""
    found = []
    for seed in seeds:
        labels = hearts(seed, 2 * CASES)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            study = study_of(folder / "members", labels[:CASES], rounds, privacy, 2)
            run_in_process(study, folder / "run")
            model = GenerativeModel.load(folder / "run" / "server")
            seen = on_learning_grid(folder / "members2", study, labels[:CASES])
            unseen = on_learning_grid(folder / "others", study, labels[CASES:])
            losses = [[fitted_loss(model, label) for label in group] for group in (seen, unseen)]
        found.append(area_under_curve(*losses))
    return found


def inversion(privacy: dict[str, float] | None, batch: int, rounds: int, seeds: range) -> list[dict[str, float]]:
    """Return for each seed how near the attacker came to a case of one update.

    The site has learnt for some rounds without noise, so that its latents say something; then the update of one round
    at the given noise is attacked.
    """
    found = []
    for seed in seeds:
        labels = hearts(100 + seed, CASES)
        with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
            folder = Path(temporary)
            study = study_of(folder / "data", labels, rounds + 1, None, batch)
            config = study.config("a", cohort=str(folder / "data" / "cohort"), sites=["a"])
            run = stack.enter_context(open_run(config, RunFolder(folder / "run"), study, lambda _: None))
            shared = parameters_of(run.shared)
            optimizer = torch.optim.Adam(shared.values(), lr=0.02)
            for _ in range(rounds):
                gradients, _, _ = exact_update(run, shared, None)
                for name, parameter in shared.items():
                    parameter.grad = torch.from_numpy(gradients[name])
                optimizer.step()
                optimizer.zero_grad()
            (phase,) = run.task.phases(run.loop.step)
            vectors = run.task.modules["latents"].state_dict()["vectors.weight"]
            true = vectors[list(phase.samples)].clone()
            wanted = run.task._labels[list(phase.samples)]
            weights = {name: p.detach().clone() for name, p in shared.items()}
            sent, _, _ = exact_update(run, shared, Privacy(**privacy) if privacy else None)
            with torch.no_grad():
                for name, parameter in shared.items():
                    parameter.copy_(weights[name])
                found.append(_judged(run, sent, true, wanted, vectors))
    return found


def _judged(run: Any, sent: dict[str, Any], true: Tensor, wanted: Tensor, vectors: Tensor) -> dict[str, float]:
    weight, bias = (torch.from_numpy(sent[f"shape.0.{name}"]).double() for name in ("weight", "bias"))
    # One case: every row of the weight's gradient is the latent times the bias' gradient of that row.
    guess = (weight * bias[:, None]).sum(0) / bias.square().sum()
    voxels, shape = run.task.learning.voxels, run.shared["shape"]
    target = voxels.one_hot(wanted[:1])

    def iou(latent: Tensor) -> float:
        made = voxels.one_hot(voxels.labels(shape(latent.float()[None])))
        return float(mean_iou(made, target)[0])

    cosine = torch.nn.functional.cosine_similarity(guess[None], true[:1].double())
    return {
        "cosine": float(cosine),
        "iou_of_attack": iou(guess),
        "iou_of_mean_heart": iou(vectors.mean(0)),
        "iou_of_true_latent": iou(true[0]),
    }


def main() -> None:
    """Attack and write the results."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.federated_attacks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", choices=ATTACKS, help="the other one's figures stay as they are in the file")
    parser.add_argument("--out", type=Path, default=RESULTS / "federated_attacks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(options.seeds)
    known = options.out.with_suffix(".json")
    results: dict[str, Any] = read_json(known) if options.only and known.exists() else {}
    results |= {"machine": machine(("torch", "opacus")), "when": time.strftime("%Y-%m-%d"), "rounds": options.rounds}
    results |= {attack: {} for attack in ATTACKS if options.only in (None, attack)}
    if options.only != "membership":
        for batch, (name, privacy) in itertools.product((1, 2, 3, 4), LEVELS.items()):
            values = inversion(privacy, batch, options.rounds, seeds)
            results["inversion"][f"{batch} case{'s' * (batch > 1)}, {name}"] = values
            print(batch, name, values[0], flush=True)
            _write(options.out, results)
    if options.only != "inversion":
        for name, privacy in LEVELS.items():
            uses = uses_of(options.rounds, 2, CASES // 2)
            epsilon = epsilon_of(privacy["noise"], uses, 1e-5) if privacy else None
            results["membership"][name] = {"epsilon": epsilon, "auc": membership(privacy, options.rounds, seeds)}
            print(name, results["membership"][name], flush=True)
            _write(options.out, results)


def _write(path: Path, results: dict[str, Any]) -> None:
    write_json(path.with_suffix(".json"), results)
    path.with_suffix(".md").write_text(_tables(results), encoding="utf-8")


def _tables(results: dict[str, Any]) -> str:
    lines = [
        "# Attacks on federated learning of shapes",
        "",
        f"`python -m Testing.benchmarks.federated_attacks`: {CASES} members of two sites, {results['rounds']} rounds, "
        "hearts of a small shape model. Means over seeds (so many as told), least and most in brackets.",
        "",
        "## Is this heart one of those learnt from?",
        "",
        "| updates | epsilon | seeds | AUC (0.5 is guessing) |",
        "|---|---|---|---|",
    ]
    for name, row in results["membership"].items():
        epsilon = "no bound" if row["epsilon"] is None else f"{row['epsilon']:.0f}"
        lines.append(f"| {name} | {epsilon} | {len(row['auc'])} | {_spread(row['auc'])} |")
    lines += [
        "",
        "## What heart is in this update?",
        "",
        "| update of | seeds | cosine of found and true latent | IoU of found heart | of the mean heart "
        "| of the true latent |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in results["inversion"].items():
        keys = ("cosine", "iou_of_attack", "iou_of_mean_heart", "iou_of_true_latent")
        lines.append(
            f"| {name} | {len(values)} | "
            + " | ".join(_spread([value[key] for value in values]) for key in keys)
            + " |"
        )
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
