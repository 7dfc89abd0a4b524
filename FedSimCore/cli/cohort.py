"""``fedsim cohort``: look at, check, split and crop a folder of patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from FedSimCore.cli.cohort_phantom import phantom
from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar
from FedSimCore.errors import ExitCode

if TYPE_CHECKING:
    from FedSimCore.cohorts.case import Cohort
    from FedSimCore.cohorts.check import CaseReport

app = typer.Typer(help="Look at, check, split and crop a cohort of patients, or make one up.", no_args_is_help=True)
app.command()(phantom)

COHORT = typer.Argument(
    ..., help="Folder of MM-WHS, ImageCHD or one's own volumes, or a cohort.csv (docs/data.md).", show_default=False
)


def _read(path: Path) -> Cohort:
    """Read a cohort and say on standard error what its reader warns of."""
    import warnings

    from FedSimCore.cohorts.readers import read_cohort

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cohort = read_cohort(path)
    for one in caught:
        typer.echo(f"fedsim: note: {one.message}", err=True)
    return cohort


@app.command()
def show(path: Path = COHORT, as_json: bool = JSON_OPTION) -> None:
    """List the cases without opening their volumes."""
    cohort = _read(path)
    if as_json:
        print_json({"cohort_sha256": cohort.checksum(), **cohort.model_dump(mode="json")})
        return
    rows = [
        (case.id, case.site, case.modality, _kind(case.image), _kind(case.label), case.group) for case in cohort.cases
    ]
    print_table(cohort.name, ("case", "site", "modality", "image", "label", "group"), rows)


def _kind(path: Path | None) -> str:
    """Return a file's type; the whole paths are in --json."""
    if path is None:
        return "-"
    return (
        ".".join(path.name.split(".")[-2:] if path.name.endswith(".gz") else path.name.split(".")[1:][-1:]) or "folder"
    )


@app.command()
def check(path: Path = COHORT, as_json: bool = JSON_OPTION) -> None:
    """Open every case and report its geometry, HU, regions and problems; exit code 3 if there is any problem."""
    from FedSimCore.cohorts.check import check_case

    cohort, reports = _read(path), []
    with progress_bar() as progress:
        for number, case in enumerate(cohort.cases):
            progress(number, len(cohort.cases), "checking")
            reports.append(check_case(case))
        progress(len(cohort.cases), len(cohort.cases), "checking")
    if as_json:
        print_json({"cohort": cohort.name, "cases": [report.as_json() for report in reports]})
    else:
        _print_reports(cohort.name, reports)
    if any(report.problems for report in reports):
        raise typer.Exit(int(ExitCode.BAD_INPUT))


def _print_reports(name: str, reports: list[CaseReport]) -> None:
    from FedSimCore.anatomy import regions

    keys = [region.key for region in regions()]
    geometry: list[tuple[object, ...]] = []
    volumes: list[tuple[object, ...]] = []
    for report in reports:
        shape = " x ".join(map(str, report.shape)) or "-"
        spacing = " x ".join(f"{value:.3g}" for value in report.spacing_mm) or "-"
        intensities = f"{report.range[0]:.0f} to {report.range[1]:.0f}" if report.range else "-"
        geometry.append((report.id, shape, spacing, report.axes, intensities, len(report.problems) or "none"))
        if report.regions_ml:
            volumes.append((report.id, *(_ml(report, key) for key in keys)))
    print_table(name, ("case", "shape", "mm", "axes", "P1 to P99", "problems"), geometry)
    if volumes:
        print_table("Volumes (ml)", ("case", *keys), volumes)
    for report in reports:
        for kind, sentences in (("problem", report.problems), ("note", report.notes)):
            for sentence in sentences:
                typer.echo(f"{report.id}: {kind}: {sentence}")


def _ml(report: CaseReport, key: str) -> str:
    return f"{report.regions_ml[key]:.1f}" if key in report.regions_ml else "-"


@app.command()
def split(
    path: Path = COHORT,
    output: Path = typer.Option(..., "--output", "-o", help="JSON file to write.", show_default=False),
    seed: int = typer.Option(0, min=0, help="The same seed draws the same folds."),
    folds: int = typer.Option(5, help="Every labelled case is tested in one of them."),
    val: int | None = typer.Option(None, help="Validation cases a fold; by default the paper's, or as many as tested."),
    labelled: list[int] | None = typer.Option(
        None, help="Training cases whose labels are shown (repeat it); by default the paper's, or 1/3 and 2/3."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Draw folds and nested labelled subsets of every site and write them to a file."""
    from FedSimCore.cohorts.splits import make_splits, write_splits

    splits = make_splits(_read(path), seed, folds, val, labelled or None)
    write_splits(splits, output)
    if as_json:
        print_json({"file": str(output), **splits.model_dump(mode="json")})
        return
    rows = [
        (
            site,
            number,
            *(len(names) for names in (fold.train, fold.val, fold.test)),
            "/".join(map(str, fold.labelled)),
            len(of_site.unlabelled),
            of_site.sizes,
        )
        for site, of_site in splits.sites.items()
        for number, fold in enumerate(of_site.folds)
    ]
    print_table(str(output), ("site", "fold", "train", "val", "test", "labelled", "unlabelled", "sizes"), rows)


@app.command()
def crop(
    path: Path = COHORT,
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the crops.", show_default=False),
    size: int = typer.Option(128, min=2, help="Voxels along each axis."),
    spacing: str = typer.Option("1.25", help="Millimetres between voxels, or 'fit' for each heart's own."),
    nrrd: bool = typer.Option(False, "--nrrd", help="Write NRRD instead of NIfTI."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Bring every heart onto a working grid; run again, it goes on where it stopped. Exit code 3 if any case failed."""
    from FedSimCore.cohorts.cropping import crop_cohort

    cohort = _read(path)
    with progress_bar() as progress:
        made = crop_cohort(cohort, output, size, _spacing(spacing), ".nrrd" if nrrd else ".nii.gz", progress)
    if as_json:
        print_json({"folder": str(output), "crops": made.record, "failures": made.failures})
    else:
        rows = [
            (case_id, entry["spacing_mm"], " ".join(f"{x:.1f}" for x in entry["center_mm"]), f"{entry['covered']:.0%}")
            for case_id, entry in made.record.items()
        ]
        print_table(str(output), ("case", "mm", "centre (R A S, mm)", "inside the scan"), rows)
        for case_id, sentence in made.failures.items():
            typer.echo(f"{case_id}: not cropped: {sentence}", err=True)
    if made.failures:
        raise typer.Exit(int(ExitCode.BAD_INPUT))


def _spacing(text: str) -> Any:
    if text == "fit":
        return "fit"
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number of millimetres nor 'fit'") from None
