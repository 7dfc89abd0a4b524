"""``fedsim quality``: how real and how varied a generated cohort is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from FedSimCore.evaluation.quality import QualityReport


def quality(
    generated: Path = typer.Argument(..., help="Generated cohort (of `fedsim generate`).", show_default=False),
    reference: Path = typer.Argument(..., help="Cohort it is compared with.", show_default=False),
    site: str | None = typer.Option(None, help="Compare with this site of the reference only."),
    vgg19: Path | None = typer.Option(None, "--vgg19", help="VGG-19's weights; random features if left out."),
    size: int = typer.Option(128, min=16, help="Voxels along each side of the grid on which hearts are compared."),
    spacing: float = typer.Option(1.25, help="Millimetres between voxels."),
    draws: int = typer.Option(200, min=20, help="Bootstrap draws of the intervals."),
    seed: int = typer.Option(0, min=0, help="Seed of bootstrap and clusters."),
    output: Path | None = typer.Option(None, "--output", "-o", help="Write the report to this JSON file too."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Compare a generated cohort with a reference: FID, MMD, MS-SSIM, precision and recall, HU, slices."""
    from FedSimCore.evaluation.hearts import read_hearts
    from FedSimCore.evaluation.quality import compare_cohorts
    from FedSimCore.files import write_json
    from FedSimCore.networks.vgg_file import perceptual_features

    features = perceptual_features(vgg19)
    with progress_bar() as progress:
        made = read_hearts(generated, size, spacing, None, progress)
        real = read_hearts(reference, size, spacing, site, progress)
        report = compare_cohorts(made, real, features, spacing, draws, seed, progress)
    if output is not None:
        write_json(output, report.content())
    if as_json:
        print_json(report.content())
    else:
        _print(report)


def _print(report: QualityReport) -> None:
    halves = report.fid_of_reference_halves
    rows = [
        ("FID", report.fid, "lower is better" if halves is None else f"{halves:.4g} between halves of the reference"),
        ("MMD²", report.mmd, "0 for one distribution"),
        ("precision", report.precision, "1 is best"),
        ("recall", report.recall, "1 is best"),
        ("MS-SSIM, generated", report.ms_ssim_generated, "of two hearts; higher is less varied"),
        ("MS-SSIM, reference", report.ms_ssim_reference, ""),
        ("MS-SSIM, between", report.ms_ssim_between, ""),
    ]
    title = " beside ".join(f"{part.hearts} of {part.name}" for part in (report.generated, report.reference))
    print_table(title, ("", "value (95 % interval)", ""), rows)
    if report.hounsfield_hu:
        hu = [(key, f"{e.value:.1f} ({e.low:.1f} to {e.high:.1f})") for key, e in report.hounsfield_hu.items()]
        print_table("Distance of HU", ("region", "HU"), hu)
    if report.slice_jumps:
        jumps = [
            (name, f"{j['generated']:.1f}", f"{j['real']:.1f}", f"{j['ratio']:.2f} ({j['low']:.2f} to {j['high']:.2f})")
            for name, j in report.slice_jumps.items()
        ]
        print_table("From slice to slice (HU)", ("", "generated", "reference", "ratio"), jumps)
    typer.echo(f"Image features: {report.features}.")
    for note in report.notes:
        typer.echo(note)
