"""``fedsim federate``: studies of several sites, on one machine or between hospitals."""

from __future__ import annotations

from pathlib import Path

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table
from FedSimCore.cli.federate_epsilon import epsilon
from FedSimCore.cli.train import SETTINGS, start_detached
from FedSimCore.cli.training_display import training_display
from FedSimCore.errors import InputError

app = typer.Typer(
    help="Learn one model from several sites; only updates of its shared part leave them.", no_args_is_help=True
)
FOLDER = typer.Argument(..., help="Folder of a study's runs.", show_default=False)
STUDY_NAME = "study.json"
app.command()(epsilon)


@app.command()
def run(
    study: Path = typer.Argument(..., help="Study file (docs/federated.md).", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the runs.", show_default=False),
    settings: list[str] = SETTINGS,
    in_process: bool = typer.Option(False, "--in-process", help="Without an engine, sites one after the other."),
    background: bool = typer.Option(False, "--background", help="Start it and return."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Run a study on this machine, each site in a process of its own. Ctrl-C saves and ends it; `resume` goes on."""
    from FedSimCore.federated.study import read_study
    from FedSimCore.files import write_json
    from FedSimCore.runs.folder import RunFolder

    asked = read_study(study, settings)
    kept = output / STUDY_NAME
    if kept.exists():
        raise InputError(f"{output} holds a study already; go on with `fedsim federate resume {output}`.")
    write_json(kept, {"schema": "fedsim/study/1", **asked.model_dump(mode="json")})
    if background:
        start_detached(RunFolder(output / "server"), ["federate", "resume", str(output)], as_json)
        return
    _run(output, in_process, as_json)


@app.command()
def resume(
    folder: Path = FOLDER,
    in_process: bool = typer.Option(False, "--in-process", help="Without an engine, sites one after the other."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Go on with a study on this machine from its last checkpoint."""
    _run(folder, in_process, as_json)


@app.command()
def stop(
    folder: Path = FOLDER,
    wait: float = typer.Option(60.0, min=0.0, help="Seconds to wait until it has ended; 0 returns at once."),
) -> None:
    """Let a study save a checkpoint at the server and every site, and end."""
    from FedSimCore.federated.local_sites import SERVER
    from FedSimCore.runs.control import request_stop, wait_until_ended
    from FedSimCore.runs.folder import RunFolder

    server = RunFolder(folder / SERVER if (folder / SERVER).is_dir() else folder)
    request_stop(server)
    if wait and not wait_until_ended(server, wait):
        typer.echo(f"fedsim: it still makes its round; look again with `fedsim federate status {folder}`.", err=True)
        raise typer.Exit(1)


@app.command()
def status(folder: Path = FOLDER, as_json: bool = JSON_OPTION) -> None:
    """Show a study: the server, every site, who was in the last rounds, and what has left each site."""
    from FedSimCore.federated.status import study_status

    found = study_status(folder)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_table(
        str(folder),
        ("", "state", "rounds or steps", "cases", "last in round", "messages", "MB sent", "epsilon"),
        [
            (
                one.name,
                one.run.state if one.run else "-",
                f"{one.run.step} of {one.run.total}" if one.run else "-",
                one.cases if one.cases is not None else "-",
                one.last_round if one.last_round is not None else "-",
                one.messages,
                f"{one.bytes / 1e6:.1f}",
                f"{one.epsilon:.2f}" if one.epsilon is not None else "no noise" if one.messages else "-",
            )
            for one in found.parts
        ],
    )
    for sentence in found.sentences:
        typer.echo(sentence)


@app.command()
def provision(
    study: Path = typer.Argument(..., help="Study file (docs/federated.md).", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the kits.", show_default=False),
    host: str = typer.Option(..., "--host", help="Name under which all sites find the server.", show_default=False),
    port: int = typer.Option(8002, min=1, max=65534, help="Port of the server; its operator uses the next."),
    days: int = typer.Option(365, min=1, help="Days until the certificates end."),
    settings: list[str] = SETTINGS,
) -> None:
    """Make the start-up kits of server and sites, with keys and certificates (docs/hospital_guide.md)."""
    from FedSimCore.federated.engine.kits import make_kits
    from FedSimCore.federated.study import read_study

    for kit in make_kits(read_study(study, settings), output, host, port, days):
        typer.echo(kit)


@app.command()
def server(
    kit: Path = typer.Argument(..., help="The server's kit.", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the server's run.", show_default=False),
    push: bool = typer.Option(
        False,
        "--push",
        help="Send requests instead of letting sites fetch them; quicker (an internal topic).",
    ),
) -> None:
    """Run a study's server until the study has ended; started again, it goes on from the last checkpoint."""
    from FedSimCore.federated.engine.hospital import serve

    with training_display() as listen:
        serve(kit, output, "push" if push else "pull", listen)


@app.command()
def site(
    kit: Path = typer.Argument(..., help="The site's kit.", show_default=False),
    cohort: Path | None = typer.Option(None, help="Folder or cohort.csv of the site's cases; kept in the kit."),
    runs: Path | None = typer.Option(None, help="Folder for the site's runs; kept in the kit."),
    stay: bool = typer.Option(False, "--stay", help="Wait for further studies after this one."),
) -> None:
    """Take part in a study with a kit; started again, it goes on from the last checkpoint."""
    from FedSimCore.federated.engine.hospital import take_part

    take_part(kit, cohort, runs, stay, typer.echo)


@app.command()
def demo(
    output: Path = typer.Option(Path("federate_demo"), "--output", "-o", help="Folder to write to; new."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show it all on three phantom hospitals on this machine, in a quarter of an hour on two cores."""
    import time

    from FedSimCore.federated.demonstration import demonstrate

    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty; choose a new folder for the demonstration.")
    began = time.monotonic()

    def tell(sentence: str) -> None:
        if not as_json:
            typer.echo(f"[{time.monotonic() - began:4.0f} s] {sentence}")

    made = demonstrate(output, tell=tell)
    if as_json:
        print_json({"folder": str(output), "results": made.results})


def _run(folder: Path, in_process: bool, as_json: bool) -> None:
    import importlib.util

    from FedSimCore.errors import MissingDependencyError
    from FedSimCore.federated.study import read_study

    study = read_study(folder / STUDY_NAME)
    if not in_process and importlib.util.find_spec("nvflare") is None:
        raise MissingDependencyError(
            'Sites in processes of their own need nvflare: pip install "fedsim[federated]", or add --in-process.'
        )
    with training_display() as listen:
        if in_process:
            from FedSimCore.federated.in_process import run_in_process

            run_in_process(study, folder, listen)
        else:
            from FedSimCore.federated.engine.one_machine import run_on_one_machine

            run_on_one_machine(study, folder, listen)
    from FedSimCore.federated.status import study_status

    found = study_status(folder)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for part in found.parts:
        for file in part.files:
            typer.echo(file)
