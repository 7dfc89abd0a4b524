"""``fedsim train``: make a run of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json
from FedSimCore.cli.training_display import training_display

if TYPE_CHECKING:
    from FedSimCore.runs.folder import RunFolder
    from FedSimCore.training.task import Outcome

SETTINGS = typer.Option(
    [], "--set", metavar="KEY=VALUE", help="Change a field of the config (repeat it).", show_default=False
)
BACKGROUND = typer.Option(False, "--background", help="Start it and return; it goes on when the terminal closes.")


def train(
    recipe: str = typer.Argument(
        ...,
        help="A recipe that ships (generator, enhancer, semi-supervised, shape-generator) or a JSON file.",
        show_default=False,
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the run.", show_default=False),
    settings: list[str] = SETTINGS,
    background: bool = BACKGROUND,
    as_json: bool = JSON_OPTION,
) -> None:
    """Train what a recipe says. Ctrl-C or `fedsim runs stop` saves and ends it; `fedsim runs resume` goes on."""
    from FedSimCore.runs.folder import RunFolder
    from FedSimCore.training.recipes import checked_config, read_recipe, with_settings

    fields, origin = read_recipe(recipe)
    config = checked_config(with_settings(fields, settings), origin)
    run = RunFolder(output)
    if background:
        changes = [part for setting in settings for part in ("--set", setting)]
        start_detached(run, ["train", recipe, "-o", str(output), *changes], as_json)
        return
    from FedSimCore.training.session import begin

    with training_display() as listen:
        outcome = begin(config, run, listen)
    print_outcome(run.path, outcome, as_json)


def start_detached(run: RunFolder, arguments: list[str], as_json: bool) -> None:
    """Start a ``fedsim`` command in the background and say how to watch it."""
    from FedSimCore.runs.control import start_in_background

    process = start_in_background(run, arguments)
    if as_json:
        print_json({"run": str(run.path), "pid": process.pid})
    else:
        typer.echo(f"Process {process.pid} has begun; watch it with `fedsim runs watch {run.path}`.")


def print_outcome(path: Path, outcome: Outcome, as_json: bool) -> None:
    """Print what a finished training has made."""
    files = [str(file) for file in outcome.files]
    if as_json:
        print_json({"run": str(path), "state": "finished", "files": files, "metrics": dict(outcome.metrics)})
        return
    for name, value in outcome.metrics.items():
        typer.echo(f"{name}: {value:.4g}")
    for file in files:
        typer.echo(file)
