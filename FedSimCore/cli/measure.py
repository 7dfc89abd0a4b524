"""``fedsim measure``: volumes, mass, wall, vessels of a label map or mesh, beside the norms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from FedSimCore.shape.norms import Comparison


def measure(
    path: Path = typer.Argument(..., help="Label map (NIfTI, NRRD) or mesh with regions (VTP, VTK)."),
    scheme: str = typer.Option(
        "fedsim", "--scheme", help="What a label map's values mean: fedsim, mmwhs, imagechd, or a JSON file."
    ),
    sex: str = typer.Option("", "--sex", help="Compare with the norms of one sex: male or female."),
    bsa_m2: float = typer.Option(
        0.0, "--bsa", min=0.0, help="Body surface area in m², for norms that are given per m²."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure a heart and compare it with the norms of healthy adults (end diastole)."""
    from FedSimCore.errors import InputError
    from FedSimCore.shape.measurements import measure_labels, measure_mesh
    from FedSimCore.shape.mesh_io import READABLE, read_mesh
    from FedSimCore.shape.norms import SEXES, compare
    from FedSimCore.volumes.io import read_label_map

    known = next((each for each in SEXES if each == sex), None)
    if sex and known is None:
        raise InputError(f"--sex {sex!r} is not known; give male or female, or leave it out.")
    if path.suffix.lower() in READABLE:
        found = measure_mesh(read_mesh(path))
    else:
        found = measure_labels(read_label_map(path, scheme))
    comparisons = compare(found, known, bsa_m2 or None)
    if as_json:
        print_json({"file": str(path), "measurements": [_as_dict(comparison) for comparison in comparisons]})
        return
    rows: list[Sequence[object]] = [_row(comparison) for comparison in comparisons]
    print_table(str(path), ("", "measured", "normal (95 %)", "", "source"), rows)


def _row(comparison: Comparison) -> tuple[str, str, str, str, str]:
    digits = _digits(comparison.value)
    number = f"{comparison.value:.{digits}f} {comparison.unit}".rstrip()
    low, high = (f"{bound:.{digits}f}" if bound is not None else "" for bound in (comparison.low, comparison.high))
    interval = f"{low or '…'} – {high or '…'}" if low or high else ""
    flag = comparison.verdict.upper() if comparison.outside else comparison.verdict
    return comparison.measurement.name, number, interval, flag, comparison.citation


def _digits(value: float) -> int:
    return 2 if abs(value) < 3 else 1 if abs(value) < 100 else 0


def _as_dict(comparison: Comparison) -> dict[str, object]:
    measurement = comparison.measurement
    return {
        "key": measurement.key,
        "name": measurement.name,
        "value": measurement.value,
        "unit": measurement.unit,
        "compared_value": comparison.value,
        "compared_unit": comparison.unit,
        "low": comparison.low,
        "high": comparison.high,
        "verdict": comparison.verdict or None,
        "source": comparison.citation or None,
    }
