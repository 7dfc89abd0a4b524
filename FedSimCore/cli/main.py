"""The command ``fedsim``: verbs, errors and exit codes in one place."""

from __future__ import annotations

import os
import sys

import typer

from FedSimCore import __version__
from FedSimCore.cli import (
    bench,
    cohort,
    demo,
    desktop,
    experiment,
    federate,
    generate,
    measure,
    quality,
    runs,
    segment,
    shape,
    simulate,
    train,
)
from FedSimCore.errors import CancelledError, ExitCode, FedSimError
from FedSimCore.ranks import is_main_process

# NumPy's small products gain nothing from threads, and OpenBLAS's wait busily beside torch's own: one thread made a
# scan several times faster on two cores. Must be set before NumPy is imported; a user's own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="fedsim",
    help="Hearts that can be moved, imaged and learnt from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"fedsim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None: ...


app.add_typer(cohort.app, name="cohort")
app.add_typer(shape.app, name="shape")
app.add_typer(runs.app, name="runs")
app.add_typer(federate.app, name="federate")
app.add_typer(experiment.app, name="experiment")
app.add_typer(bench.app, name="bench")
app.command()(train.train)
app.command()(measure.measure)
app.command()(generate.generate)
app.command()(quality.quality)
app.command()(segment.segment)
app.command(name="segment-export")(segment.segment_export)
app.command()(demo.demo)
app.command()(desktop.desktop)
app.command()(simulate.simulate)
app.command()(simulate.scanners)
app.command()(simulate.tissues)


def main() -> None:
    """Run ``fedsim`` and exit with a code of :class:`ExitCode`."""
    try:
        app()
    except FedSimError as error:
        # All processes of a training are cancelled at once, and one of them says so.
        if is_main_process() or not isinstance(error, CancelledError):
            typer.echo(f"fedsim: {error}", err=True)
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        typer.echo("fedsim: cancelled.", err=True)
        sys.exit(int(ExitCode.CANCELLED))


if __name__ == "__main__":
    main()
