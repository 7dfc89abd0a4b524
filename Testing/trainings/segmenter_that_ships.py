"""The segmenter that ships: ``python -m Testing.trainings.segmenter_that_ships --out DIR``.

Trains a small 3D U-Net on chests made at random, no patient's data among them, in stages that go on from one another,
and writes ``DIR/segmenter.safetensors`` (float16) with its card. Stopped at any moment, it goes on where it was when it
is called again. ``--copy`` puts the result into Resources/models.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.runs.events import Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import RunHistory, status
from FedSimCore.segmentation.card import card
from FedSimCore.segmentation.model_file import MODEL_OF_RUN, Segmenter
from FedSimCore.training.recipes import checked_config, read_recipe
from FedSimCore.training.session import begin, resume
from Testing.trainings.phantom_model import listen

SIZES: dict[str, Any] = {"spacing_mm": 3.0, "patch": 64, "channels": [32, 48, 64, 96, 128]}
"""3 mm: half of a ventricle's wall, and what one core can train at in two hours; 192 mm hold an adult's heart."""
COMMON: dict[str, Any] = {
    "batch_size": 2,
    "augmentation": "wide",
    "threads": 1,
    "device": "cpu",
    "held_cases": 8,
    "evaluate_every": 100,
    "picture_every": 200,
    "checkpoint_every": 50,
}
STAGES: tuple[dict[str, Any], ...] = ({"name": "whole", "synthetic": 120, "steps": 1700, "learning_rate": 2e-3},)
NOTE = (
    "- it has seen no real voxel: procedural phantoms and hearts of a shape model that was made of such phantoms, in\n"
    "  bodies, phases, noise and fields of view drawn widely at random; a congenital defect in one chest of ten\n"
    "- it has not been tested on patients: no labelled real scan was at hand; docs/segmentation.md tells more\n"
    "- not for MR, and not for infants, whose chambers are a few voxels of 3 mm"
)


def trained(run: RunFolder, fields: dict[str, Any]) -> Path:
    """Train a stage, or go on with it; returns its file."""
    if not run.exists:
        known, origin = read_recipe("segmenter")
        begin(checked_config({**known, **fields}, origin), run, listen)
    elif status(run).state != "finished" or read_json(run.config_file)["steps"] < fields["steps"]:
        resume(run, [f"steps={fields['steps']}"], listen)
    return run.path / MODEL_OF_RUN


def interruptions(run: RunFolder) -> str:
    """Return what a card tells of a run that was stopped and gone on with; empty if it went in one go."""
    later = [event for event in RunHistory(run).events if isinstance(event, Started) and event.session > 1]
    if not later:
        return ""
    told = []
    for event in later:
        changed = ", ".join(f"{name}={value}" for name, value in event.changed.items())
        told.append(f"{event.step} (with {changed})" if changed else str(event.step))
    return f"\n- stopped and gone on with after step {', '.join(told)}"


def main() -> None:
    """Train the stages and write the file."""
    parser = argparse.ArgumentParser(prog="python -m Testing.trainings.segmenter_that_ships", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for chests, runs and model")
    parser.add_argument("--stages", type=int, default=len(STAGES), help="how many of the stages")
    parser.add_argument("--note", default="", help="a sentence more for the card")
    parser.add_argument("--copy", action="store_true", help="put the result into Resources/models")
    options = parser.parse_args()
    out: Path = options.out
    last: Path | None = None
    note = NOTE
    for stage in STAGES[: options.stages]:
        fields = {**SIZES, **COMMON, **stage, "anatomies": str(out / "anatomies")}
        name = fields.pop("name")
        if last is not None:
            fields["init"] = str(last)
        run = RunFolder(out / "runs" / name)
        last = trained(run, fields)
        note += interruptions(run)
    assert last is not None
    segmenter = Segmenter.load(last)
    path = segmenter.save(out / "segmenter.safetensors", half=True)
    told = path.with_suffix(".md")
    note += f"\n- {options.note}" if options.note else ""
    told.write_text(card(segmenter, note), encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    if options.copy:
        folder = resource_path("anatomy").parent / "models"
        folder.mkdir(exist_ok=True)
        for file in (path, told):
            print(shutil.copy(file, folder / file.name))


if __name__ == "__main__":
    main()
