"""``fedsim demo``: the whole way on what ships."""

from __future__ import annotations

from pathlib import Path

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, progress_bar


def demo(
    out: Path = typer.Option("demo_out", "--out", "-o", help="Folder to write to."),
    cases: int = typer.Option(8, "--cases", min=3, help="Phantoms the shape model is built from."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make patients, a shape model, a fitted heart and its CT in three scanners, with pictures of each."""
    import time

    from FedSimCore.demo import demonstrate

    start = time.monotonic()
    with progress_bar() as progress:

        def tell(done: int, total: int, stage: str, /) -> None:
            if not as_json:
                typer.echo(f"[{time.monotonic() - start:4.0f} s] {stage}")
            progress(done, total, "demo")

        made = demonstrate(out, cases, tell)
    if as_json:
        print_json({"folder": str(out), "files": made.files, "results": made.results})
        return
    for name, about in made.files.items():
        typer.echo(f"  {out / name}: {about}")
