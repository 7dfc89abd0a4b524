"""``fedsim experiment``: the paper's experiments, cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from FedSimCore.experiments.processes import Order

app = typer.Typer(help="Run the paper's experiments and report their tables.", no_args_is_help=True)

NAME = typer.Argument(..., help="An experiment that ships (see list), or a JSON file.", show_default=False)
OUT = typer.Option(..., "--output", "-o", help="Folder of the experiments; several can share one.", show_default=False)
SCALE = typer.Option("small", help="small, paper, or a JSON file: grid, folds, lengths of trainings.")
COHORTS = typer.Option(
    [], "--cohort", metavar="SITE=FOLDER", help="Patients of a site; phantoms stand in for the others. Repeat it."
)
ONLY = typer.Option(
    [],
    "--only",
    metavar="SITE/LABELS/FOLD/METHOD",
    help="Only these cells; * and what is left out mean any. Repeat it.",
)
PICTURES = typer.Option(True, help="Draw samples and segmentations too.")


@app.command("list")
def list_experiments(as_json: bool = JSON_OPTION) -> None:
    """List the experiments and scales that ship."""
    from FedSimCore.experiments.definition import read_experiment, shipped_experiments
    from FedSimCore.experiments.scale import read_scale, shipped_scales

    experiments = [read_experiment(name) for name in shipped_experiments()]
    scales = [read_scale(name) for name in shipped_scales()]
    if as_json:
        rows = [{"name": one.name, "title": one.title, "source": one.source} for one in experiments]
        print_json({"experiments": rows, "scales": [{"name": one.name, "says": one.says} for one in scales]})
        return
    print_table("Experiments", ("name", "", "methods"), [(e.name, e.title, len(e.methods)) for e in experiments])
    print_table("Scales", ("name", ""), [(one.name, one.says) for one in scales])


@app.command()
def show(
    name: str = NAME,
    out: Path = OUT,
    scale: str = SCALE,
    cohorts: list[str] = COHORTS,
    only: list[str] = ONLY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the cells of an experiment: done, failed and why, running, or waiting."""
    from FedSimCore.experiments.workshop import state_of

    order = _order(name, out, scale, cohorts, only)
    cells = order.plan().chosen(order.only)
    states = [(cell.name, *state_of(cell, order.root)) for cell in cells]
    if as_json:
        rows = [{"cell": n, "state": state, "reason": f.reason if f else ""} for n, state, f in states]
        print_json({"experiment": name, "scale": scale, "cells": rows})
        return
    print_table(f"{name}, scale {scale}", ("cell", "state", ""), [(n, s, f.reason if f else "") for n, s, f in states])
    counts = {state: sum(one == state for _, one, _ in states) for state in ("done", "failed", "running")}
    typer.echo(f"{len(states)} cells: " + ", ".join(f"{count} {state}" for state, count in counts.items()) + ".")


@app.command()
def run(
    name: str = NAME,
    out: Path = OUT,
    scale: str = SCALE,
    cohorts: list[str] = COHORTS,
    only: list[str] = ONLY,
    devices: str = typer.Option("cpu", help="cpu, cuda, or several, e.g. cuda:0,cuda:1; a process for each."),
    threads: int | None = typer.Option(None, min=1, help="CPU threads of each process; as many as torch likes."),
    pictures: bool = PICTURES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Run an experiment and write its report. Called again, it goes on where it was; failed cells are tried again."""
    from FedSimCore.experiments.processes import run_processes

    order = _order(name, out, scale, cohorts, only, threads)
    run_processes(order, [part.strip() for part in devices.split(",") if part.strip()])
    _report(order, pictures, as_json)


@app.command()
def report(
    name: str = NAME,
    out: Path = OUT,
    scale: str = SCALE,
    cohorts: list[str] = COHORTS,
    pictures: bool = PICTURES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Write tables, tests, figures and the report page of what is there; holes are shown as holes."""
    _report(_order(name, out, scale, cohorts, []), pictures, as_json)


def _order(name: str, out: Path, scale: str, cohorts: list[str], only: list[str], threads: int | None = None) -> Order:
    from FedSimCore.errors import InputError
    from FedSimCore.experiments.processes import Order

    given = []
    for text in cohorts:
        site, separator, path = text.partition("=")
        if not separator or not site or not path:
            raise InputError(f"--cohort {text!r} is not SITE=FOLDER, e.g. --cohort CT20=data/mmwhs.")
        given.append((site, Path(path).expanduser().absolute()))
    return Order(name, scale, out.expanduser().absolute(), tuple(given), tuple(only), threads)


def _report(order: Order, pictures: bool, as_json: bool) -> None:
    from FedSimCore.experiments.report import write_report

    written = write_report(order, pictures)
    if as_json:
        content: dict[str, Any] = written.content()
        print_json(content)
        return
    for table in written.tables:
        typer.echo(table)
    for path in written.files:
        typer.echo(str(path))
