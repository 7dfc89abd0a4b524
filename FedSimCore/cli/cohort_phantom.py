"""``fedsim cohort phantom``: patients that never were."""

from __future__ import annotations

from pathlib import Path

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar


def phantom(
    site: str = typer.Option("adult", help="adult, congenital-mild or congenital-severe."),
    n: int = typer.Option(20, "--n", "-n", help="Number of patients."),
    seed: int = typer.Option(0, help="The same seed makes the same voxels."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder to write the cohort to.", show_default=False),
    spacing: float | None = typer.Option(None, help="Edge of cubic voxels in mm; by default the site's scanner's."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a cohort of procedural phantoms, CT and label maps, and compare it with the norms."""
    from FedSimCore.cohorts.phantom import make_cohort
    from FedSimCore.cohorts.phantom.compare import as_json as plain

    with progress_bar() as progress:
        made = make_cohort(site, n, seed, output, progress, spacing_mm=spacing)
    if as_json:
        print_json({"table": str(made.table), "cases": list(made.facts), "comparison": plain(made.comparison)})
        return
    rows = [
        (row.quantity, row.group, row.unit, row.cases, _spread(row.mean, row.sd), row.norm, row.citation)
        for row in made.comparison
    ]
    header = ("quantity", "group", "unit", "cases", "phantoms (mean ± SD)", "norm", "source of the norm")
    print_table(f"{len(made.facts)} phantoms in {made.table.parent}", header, rows)


def _spread(mean: float, sd: float | None) -> str:
    return f"{mean:.1f}" if sd is None else f"{mean:.1f} ± {sd:.1f}"
