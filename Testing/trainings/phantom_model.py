"""The model of phantoms that ships: ``python -m Testing.trainings.phantom_model --out DIR`` (``make phantom-model``).

Makes a cohort of three sites, trains the generator on all and an enhancer for each, and puts them into one model
folder. Stopped at any moment, it goes on where it was when it is called again; with more steps than before, finished
trainings go on too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from FedSimCore.cohorts import Cohort, read_table, write_cohort
from FedSimCore.cohorts.phantom import make_cohort
from FedSimCore.files import read_json
from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.model_folder import GENERATOR_FILE, MODEL_OF_RUN, enhancer_file, write_model
from FedSimCore.runs.events import Event, Progressed
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.model_card import card
from FedSimCore.training.recipes import checked_config, read_recipe
from FedSimCore.training.session import begin, resume

SITES = ("adult", "congenital-mild", "congenital-severe")
COHORT_SEED = 7
"""Far from the phantoms that the shipped shape model was made of."""
SIZE, SPACING_MM = 128, 1.35
"""Of the working grid: the largest adults' hearts are longer than the paper's 160 mm."""
COARSER = 2
"""Voxels of the generator's training beside those of the working grid: a step costs an eighth."""
IMAGE_SPACING_MM = 1.25
OF_GENERATOR: dict[str, Any] = {
    "size": SIZE // COARSER,
    "spacing_mm": SPACING_MM * COARSER,
    "batch_size": 6,
    "coarse": "read",
}
"""The map is read, not scanned: the enhancer learns more from it (docs/networks.md), and a preview is quicker."""
OF_ENHANCER: dict[str, Any] = {
    "channels": 8,
    "hidden": 32,
    "discriminator_channels": 16,
    "batch_size": 4,
    # Trainings of minutes instead of days: the paper's 1e-4 would hardly have moved.
    "learning_rate": 4e-4,
}
OFTEN: dict[str, Any] = {"threads": 1, "device": "cpu", "evaluate_every": 200, "picture_every": 200}


def make_phantoms(folder: Path, train: int, held: int) -> Path:
    """Make the cohort, unless it is there; the last phantoms of each site are for validation."""
    if (folder / "cohort.csv").exists():
        return folder
    cases = []
    for site in SITES:
        table = folder / site / "cohort.csv"
        if not table.exists():
            make_cohort(site, train + held, COHORT_SEED, table.parent, tell, spacing_mm=IMAGE_SPACING_MM)
        of_site = read_table(table).cases
        cases += [case.model_copy(update={"split": "train", "site": site}) for case in of_site[:train]]
        cases += [case.model_copy(update={"split": "val", "site": site}) for case in of_site[train:]]
    write_cohort(Cohort(name="phantoms of three sites", cases=tuple(cases)), folder)
    return folder


def trained(run: RunFolder, recipe: str, steps: int, **fields: Any) -> Path:
    """Train what a recipe says, or go on with it; returns its model folder."""
    if not run.exists:
        known, origin = read_recipe(recipe)
        begin(checked_config({**known, **OFTEN, **fields, "steps": steps}, origin), run, listen)
    elif status(run).state != "finished" or read_json(run.config_file)["steps"] < steps:
        resume(run, [f"steps={steps}"], listen)
    return run.path / MODEL_OF_RUN


def refined(trained_generator: Path, folder: Path) -> Path:
    """Write a trained generator with the working grid that enhancers learn on; returns its model folder."""
    write_model(folder, HeartGenerator.load(trained_generator / GENERATOR_FILE).refined(COARSER))
    return folder


def assemble(folder: Path, generator: Path, enhancers: Sequence[Path], half: bool) -> None:
    """Put a generator and the enhancers trained with it into one folder."""
    heart = HeartGenerator.load(generator / GENERATOR_FILE)
    looks = [SiteEnhancer.load(path / enhancer_file(site)) for site, path in zip(SITES, enhancers, strict=True)]
    text = card(heart, looks) + (
        "\nLearnt from FedSim's procedural phantoms alone, by `python -m Testing.trainings.phantom_model`: no\n"
        "patient's data is in it, and what it makes looks like phantoms. The trainings were short; the paper's take\n"
        "days.\n"
    )
    for path in write_model(folder, heart, looks, card=text, half=half):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def tell(done: int, total: int, stage: str) -> None:
    """Print progress as lines."""
    print(f"{stage}: {done} of {total}", flush=True)


def listen(event: Event) -> None:
    """Print a training's progress as lines."""
    if isinstance(event, Progressed):
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items())
        print(f"{event.stage} {event.step}/{event.total}: {numbers}", flush=True)


def main() -> None:
    """Make cohort, trainings and model folders."""
    parser = argparse.ArgumentParser(prog="python -m Testing.trainings.phantom_model", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for cohort, runs and model")
    parser.add_argument("--cases", type=int, default=12, help="training phantoms of each site")
    parser.add_argument("--held", type=int, default=2, help="validation phantoms of each site")
    parser.add_argument("--generator-steps", type=int, default=1800)
    parser.add_argument("--enhancer-steps", type=int, default=720, help="for each site")
    options = parser.parse_args()
    out = options.out
    cohort = make_phantoms(out / "cohort", options.cases, options.held)
    data = {"cohort": str(cohort)}
    run = RunFolder(out / "runs" / "generator")
    generator = refined(trained(run, "generator", options.generator_steps, **data, **OF_GENERATOR), out / "generator")
    of_enhancer = {**data, **OF_ENHANCER, "generator": str(generator)}
    runs = {site: RunFolder(out / "runs" / f"enhancer-{site}") for site in SITES}
    enhancers = [
        trained(run, "enhancer", options.enhancer_steps, **of_enhancer, site=site) for site, run in runs.items()
    ]
    assemble(out / "model", generator, enhancers, half=False)
    assemble(out / "model-to-ship", generator, enhancers, half=True)


if __name__ == "__main__":
    main()
