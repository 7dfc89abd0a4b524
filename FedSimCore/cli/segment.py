"""``fedsim segment``: the heart's regions of scans; ``fedsim segment-export``: a segmenter for other programs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

DEVICES = ("auto", "cpu", "cuda")
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".zip")


def segment(
    scans: list[Path] = typer.Argument(..., help="CT scans: NIfTI, NRRD, DICOM folders or zips.", show_default=False),
    out: Path = typer.Option(
        ..., "--output", "-o", help="Folder, or the label map's file for one scan.", show_default=False
    ),
    model: Path | None = typer.Option(None, "--model", "-m", help="Segmenter or finished run; the one that ships."),
    uncertainty: bool = typer.Option(False, "--uncertainty", help="Write the entropy (0 to 1) beside the labels."),
    flips: bool = typer.Option(False, "--flips", help="Average mirror images; for models trained with flips."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Find the heart's regions in CT scans; labels lie on each scan's own grid. Not for clinical use."""
    from FedSimCore.errors import FedSimError, InputError
    from FedSimCore.segmentation.model_file import Segmenter, segmenter_file, shipped_segmenter
    from FedSimCore.worker.device import choose_device

    if device not in DEVICES:
        raise InputError(f"--device {device!r} is not known; choose one of {', '.join(DEVICES)}.")
    targets = _targets(scans, out)
    segmenter = Segmenter.load(segmenter_file(model) if model is not None else shipped_segmenter())
    where = choose_device(device)  # type: ignore[arg-type]
    rows: list[dict[str, Any]] = []
    failed: list[FedSimError] = []
    with progress_bar() as progress:
        for scan, target in zip(scans, targets, strict=True):
            try:
                rows.append(_segment_one(scan, target, segmenter, where, flips, uncertainty, progress))
            except FedSimError as error:  # noqa: PERF203 (one bad scan of many must not cost the others)
                if len(scans) == 1 or not isinstance(error, InputError):
                    raise
                failed.append(error)
                rows.append({"scan": str(scan), "error": str(error)})
    if as_json:
        print_json({"regions": dict(segmenter.header.region_names().values()), "scans": rows})
    else:
        _print(rows, dict(segmenter.header.region_names().values()))
    if failed:
        raise InputError(f"{len(failed)} of {len(scans)} scans could not be segmented: {failed[0]}")


def segment_export(
    model: Path = typer.Argument(..., help="Segmenter's file, or a finished run.", show_default=False),
    out: Path = typer.Option(..., "--output", "-o", help="Folder (bundle) or file to write.", show_default=False),
    kind: str = typer.Option("bundle", "--format", help="bundle (MONAI), onnx or torchscript."),
) -> None:
    """Write a segmenter for other programs; windows of HU go in, probabilities of the regions come out."""
    from FedSimCore.segmentation.export import export
    from FedSimCore.segmentation.model_file import Segmenter, segmenter_file

    written = export(Segmenter.load(segmenter_file(model)), out, kind)
    typer.echo(str(written))


def _targets(scans: list[Path], out: Path) -> list[Path]:
    """Return the label map's path of each scan."""
    from FedSimCore.errors import InputError

    if out.name.lower().endswith(_ENDINGS[:3]):
        if len(scans) > 1:
            raise InputError(f"{out} is one file, but there are {len(scans)} scans; give a folder.")
        return [out]
    names = [_stem(scan) for scan in scans]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(f"Several scans would be written to {out / double[0]}_label.nii.gz; segment them one by one.")
    return [out / f"{name}_label.nii.gz" for name in names]


def _stem(scan: Path) -> str:
    name = scan.resolve().name
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _segment_one(
    scan: Path, target: Path, segmenter: Any, device: Any, flips: bool, uncertainty: bool, progress: Any
) -> dict[str, Any]:
    from FedSimCore.errors import InputError
    from FedSimCore.segmentation.predict import segment as find
    from FedSimCore.volumes.io import read_volume, write_label_map, write_volume

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        volume = read_volume(scan)
    try:
        result = find(volume, segmenter, device=device, flips=flips, uncertainty=uncertainty, progress=progress)
    except InputError as error:
        raise InputError(f"{scan}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    write_label_map(result.labels, target)
    row: dict[str, Any] = {"scan": str(scan), "labels": str(target), **result.report()}
    row["warnings"] = [*(str(warning.message) for warning in caught), *row["warnings"]]
    if result.uncertainty is not None:
        beside = target.with_name(f"{_stem(target).removesuffix('_label')}_uncertainty.nii.gz")
        write_volume(result.uncertainty, beside)
        row["uncertainty"] = str(beside)
    return row


def _print(rows: list[dict[str, Any]], regions: dict[str, str]) -> None:
    cells = [
        (Path(row["scan"]).name, *(f"{row['volumes_ml'][key]:.0f}" for key in regions), f"{row['confidence']:.2f}")
        for row in rows
        if "labels" in row
    ]
    if cells:
        print_table("Volumes (ml)", ("scan", *regions, "confidence"), cells)
    for row in rows:
        for sentence in row.get("warnings", ()):
            typer.echo(f"{row['scan']}: {sentence}")
        if "labels" in row:
            typer.echo(f"{row['labels']}")
    typer.echo("Not for clinical use.")
