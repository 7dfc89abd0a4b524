"""``fedsim runs``: list, show, watch, stop, resume and compare runs. Reading them needs no torch."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table
from FedSimCore.cli.train import BACKGROUND, SETTINGS, print_outcome, start_detached
from FedSimCore.cli.training_display import time_left, training_display
from FedSimCore.errors import ExitCode, InputError

if TYPE_CHECKING:
    from FedSimCore.runs.history import RunStatus

app = typer.Typer(help="List, show, watch, stop, resume and compare training runs.", no_args_is_help=True)
_BEGINS_WITHIN_S = 60.0
RUN = typer.Argument(..., help="Folder of a run.", show_default=False)


@app.command("list")
def list_runs(
    folder: Path = typer.Argument(Path(), help="Where to look, subfolders too."), as_json: bool = JSON_OPTION
) -> None:
    """List the runs below a folder."""
    from FedSimCore.runs.folder import runs_below
    from FedSimCore.runs.history import status

    found = [status(run) for run in runs_below(folder)]
    if as_json:
        print_json({"runs": [one.model_dump(mode="json") for one in found]})
        return
    rows = [(_below(folder, s), s.recipe, s.state, f"{s.step} of {s.total}", _when(s), _left(s)) for s in found]
    print_table(str(folder), ("run", "recipe", "state", "steps", "last event (UTC)", "left"), rows)


@app.command()
def show(path: Path = RUN, as_json: bool = JSON_OPTION) -> None:
    """Show a run: its state, newest metrics, config, and what it was made with."""
    from FedSimCore.runs.folder import RunFolder
    from FedSimCore.runs.history import status

    run = RunFolder(path)
    state = status(run)
    if as_json:
        content = {"status": state.model_dump(mode="json"), "config": run.config(), "summary": run.summary()}
        print_json(content)
        return
    rows: list[tuple[str, object]] = [
        ("state", state.state),
        ("stage", state.stage),
        ("steps", f"{state.step} of {state.total}"),
        ("left", _left(state)),
        ("newest checkpoint", "none" if state.checkpoint_step is None else f"step {state.checkpoint_step}"),
        ("session", state.session),
        ("device", state.device),
        ("last event (UTC)", _when(state)),
    ]
    print_table(f"{state.path}: {state.recipe}", ("", ""), [row for row in rows if row[1] != ""])
    print_table("Metrics", ("metric", "newest"), [(name, f"{value:.5g}") for name, value in state.metrics.items()])
    print_table("Config", ("field", "value"), sorted(run.config().items()))
    for sentence in (*state.warnings, state.reason):
        if sentence:
            typer.echo(sentence)


@app.command()
def watch(path: Path = RUN) -> None:
    """Follow a run on the terminal until it ends; Ctrl-C stops watching, not the run."""
    import time

    from FedSimCore.runs.folder import RunFolder
    from FedSimCore.runs.history import RunHistory
    from FedSimCore.runs.lock import is_locked

    run = RunFolder(path)
    give_up = time.monotonic() + _BEGINS_WITHIN_S
    with training_display() as listen:
        history = RunHistory(run)
        for event in history.events:
            listen(event)
        while is_locked(run) or not history.events:
            if not history.events and time.monotonic() > give_up:
                raise InputError(f"Nothing runs in {path}; see {run.log_file} if something should.")
            time.sleep(0.5)
            for event in history.update():
                listen(event)
    state = history.status()
    typer.echo(f"{state.path}: {state.state} after step {state.step} of {state.total}. {state.reason}".rstrip())


@app.command()
def stop(
    path: Path = RUN,
    wait: float = typer.Option(60.0, min=0.0, help="Seconds to wait until it has ended; 0 returns at once."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Let a run save a checkpoint and end."""
    from FedSimCore.runs.control import request_stop, wait_until_ended
    from FedSimCore.runs.folder import RunFolder
    from FedSimCore.runs.history import status

    run = RunFolder(path)
    request_stop(run)
    ended = wait_until_ended(run, wait) if wait else False
    state = status(run)
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        typer.echo(f"{state.path}: {state.state} after step {state.step} of {state.total}.")
    if wait and not ended:
        typer.echo(f"fedsim: it still makes its step; look again with `fedsim runs show {path}`.", err=True)
        raise typer.Exit(int(ExitCode.BUG))


@app.command()
def resume(
    path: Path = RUN, settings: list[str] = SETTINGS, background: bool = BACKGROUND, as_json: bool = JSON_OPTION
) -> None:
    """Go on with a run from its newest good checkpoint."""
    from FedSimCore.runs.folder import RunFolder

    run = RunFolder(path)
    if "study" in run.config():
        raise InputError(_of_study(path.absolute()))
    if background:
        changes = [part for setting in settings for part in ("--set", setting)]
        start_detached(run, ["runs", "resume", str(path), *changes], as_json)
        return
    from FedSimCore.training.session import resume as go_on

    with training_display() as listen:
        outcome = go_on(run, settings, listen)
    print_outcome(run.path, outcome, as_json)


def _of_study(run: Path) -> str:
    """Return what to do with a run of a study, which cannot go on without the others."""
    from FedSimCore.federated.local_sites import SERVER

    told = f"{run} is part of a study of several sites"
    for folder in list(run.parents)[:3]:
        if (folder / "study.json").exists():
            return f"{told}; go on with `fedsim federate resume {folder}`."
    kit = f"server KIT -o {run.parent}" if run.name == SERVER else "site KIT"
    return f"{told}; go on with `fedsim federate {kit}`, KIT being its start-up kit."


@app.command()
def compare(
    paths: list[Path] = typer.Argument(..., help="Folders of two runs or more.", show_default=False),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show where the configs of runs differ, and their newest metrics side by side."""
    from FedSimCore.runs.comparison import compare_runs
    from FedSimCore.runs.folder import RunFolder

    compared = compare_runs([RunFolder(path) for path in paths])
    if as_json:
        print_json(compared.model_dump(mode="json"))
        return
    header = ("", *compared.runs)
    print_table("Configs differ in", header, [(name, *values) for name, values in compared.config.items()])
    metrics = [(name, *("-" if v is None else f"{v:.5g}" for v in values)) for name, values in compared.metrics.items()]
    print_table("Newest metrics", header, [("state", *compared.states), ("step", *compared.steps), *metrics])


def _when(state: RunStatus) -> str:
    if state.updated is None:
        return "-"
    return datetime.fromtimestamp(state.updated, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _below(folder: Path, state: RunStatus) -> str:
    inside = Path(state.path).relative_to(folder)
    return str(inside) if inside.parts else state.name


def _left(state: RunStatus) -> str:
    return time_left(state.seconds_left) if state.state in ("running", "stopping") else "-"
