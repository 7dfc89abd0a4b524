"""``fedsim simulate``, ``fedsim scanners`` and ``fedsim tissues``: CT of hearts, and what it is made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from FedSimCore.ct.recipe import Recipe, Simulated
    from FedSimCore.ct.scanners import Scanner
    from FedSimCore.shape.model import ShapeModel

FORMATS = {"nifti": ".nii.gz", "nrrd": ".nrrd"}


def simulate(
    parameters: list[Path] = typer.Argument(
        None, help="Parameter files (of `fedsim shape sample` or `fit`); random hearts if left out.", show_default=False
    ),
    out: Path = typer.Option(..., "--out", "-o", help="Folder to write to.", show_default=False),
    labels: list[Path] = typer.Option([], "--labels", help="Scan this label map instead; may be repeated."),
    scheme: str = typer.Option("fedsim", help="How the label map's values name regions: fedsim, mmwhs or imagechd."),
    again: Path | None = typer.Option(None, "--from", help="Repeat the simulation this JSON describes."),
    count: int = typer.Option(1, "-n", "--n", min=1, help="Number of random hearts, or of scans of each given one."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of shape, person and noise; scan i has seed + i."),
    model: Path | None = typer.Option(None, "--model", "-m", help="Shape model; the built-in one if left out."),
    scanner: str = typer.Option("adult", help="Scanner by name (see `fedsim scanners`), or a JSON file of one."),
    kvp: int | None = typer.Option(None, help="Tube voltage instead of the scanner's, kVp."),
    kev: float | None = typer.Option(None, help="An ideal beam of one energy instead, keV."),
    mas: float | None = typer.Option(None, help="Dose instead of the scanner's, mAs."),
    phase: str | None = typer.Option(None, help="Contrast phase instead of the scanner's (see `fedsim tissues`)."),
    views: int | None = typer.Option(None, help="Projections instead of the scanner's."),
    kernel: str | None = typer.Option(None, help="ramp, hann, soft or sharp instead of the scanner's."),
    slice_mm: float | None = typer.Option(None, "--slice", help="Slice thickness instead of the scanner's, mm."),
    surroundings: str = typer.Option("thorax", help="What lies around the heart: thorax, fat or none."),
    noise: bool = typer.Option(True, help="Quantum and electronic noise."),
    size: int = typer.Option(128, help="Voxels along each side of the volume."),
    spacing: float = typer.Option(1.25, help="Millimetres between voxels."),
    volume_format: str = typer.Option("nifti", "--format", help="nifti or nrrd."),
    device: str = typer.Option("cpu", "--device", help="cpu or cuda."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Scan hearts: writes CT, labels, mesh and the JSON that reproduces them, and a cohort.csv."""
    from FedSimCore.ct.recipe import simulate as run
    from FedSimCore.errors import InputError

    if volume_format not in FORMATS:
        raise InputError(f"There is no format {volume_format!r}; choose {' or '.join(FORMATS)}.")
    if sum((bool(parameters), bool(labels), again is not None)) > 1:
        raise InputError("Give parameter files, --labels or --from, only one of them.")
    given = bool(parameters) or again is not None
    shape_model = None if labels else _load_model(model, every_mode=given)
    if again is not None:
        recipes = _repeated(again)
    else:
        changes = {
            "kvp": kvp, "monochromatic_kev": kev, "mas": mas, "phase": phase, "views": views, "kernel": kernel,
            "slice_thickness_mm": slice_mm,
        }  # fmt: skip
        chosen = _scanner(scanner, {k: v for k, v in changes.items() if v is not None})
        common = {"scanner": chosen, "surroundings": surroundings, "size": size, "spacing_mm": spacing}
        hearts = _hearts(parameters or [], labels, scheme, shape_model, count, seed)
        recipes = _recipes(hearts, common, count, seed, noise)
    written: list[dict[str, str]] = []
    with progress_bar() as progress:
        for number, (stem, recipe) in enumerate(recipes):
            progress(number, len(recipes), "scanning")
            written.append(_write(run(recipe, shape_model, device), out, stem, FORMATS[volume_format]))
        progress(len(recipes), len(recipes), "scanning")
    _write_cohort(out, recipes, written)
    if as_json:
        print_json({"folder": str(out), "scans": written})
    else:
        typer.echo(f"{len(written)} {'scan' if len(written) == 1 else 'scans'} in {out}")


def scanners(as_json: bool = JSON_OPTION) -> None:
    """List the scanners that ship."""
    from FedSimCore.ct.scanners import scanners as shipped

    entries = shipped()
    if as_json:
        print_json({"scanners": [s.model_dump(mode="json") for s in entries.values()]})
        return
    rows = [
        (s.key, f"{s.monochromatic_kev:g} keV" if s.monochromatic_kev else f"{s.kvp} kVp", f"{s.mas:g}", s.phase,
         s.kernel, f"{s.slice_thickness_mm:g}", s.views)
        for s in entries.values()
    ]  # fmt: skip
    print_table("Scanners", ("key", "beam", "mAs", "phase", "kernel", "slice mm", "views"), rows)


def tissues(
    phase: str = typer.Option("none", help="Contrast phase."),
    kvp: int = typer.Option(120, help="Tube voltage, kVp."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List the tissues, with their HU behind 20 cm of water."""
    from FedSimCore.ct.materials import contrast_phases
    from FedSimCore.ct.materials import tissues as shipped
    from FedSimCore.ct.spectra import hounsfield, tube_spectrum

    spectrum = tube_spectrum(kvp)
    entries = [(t, hounsfield(t, spectrum)) for t in shipped(phase).values()]
    if as_json:
        print_json({"kvp": kvp, "phase": phase, "tissues": [t.model_dump() | {"hu": hu} for t, hu in entries]})
        return
    rows = [(t.key, f"{t.density_g_cm3:g}", f"{t.iodine_mg_ml:g}", f"{hu:.0f}", t.name) for t, hu in entries]
    print_table(
        f"Tissues, phase {phase} (phases: {', '.join(contrast_phases())})",
        ("key", "g/cm3", "I mg/ml", f"HU at {kvp} kVp", "name"),
        rows,
    )


def _load_model(path: Path | None, every_mode: bool) -> ShapeModel:
    """Load a model; of the built-in one all modes for hearts that are given, the paper's 14 to draw hearts from."""
    from FedSimCore.shape.model import ShapeModel, builtin_model

    if path is not None:
        return ShapeModel.load(path)
    return builtin_model(None) if every_mode else builtin_model()


def _scanner(name: str, changes: dict[str, Any]) -> Scanner:
    from FedSimCore.ct.scanners import scanner

    return scanner(name).with_changes(**changes)


def _repeated(path: Path) -> list[tuple[str, Recipe]]:
    from FedSimCore.ct.recipe import read_recipe

    return [(_stem(path), read_recipe(path))]


def _hearts(
    parameters: list[Path], labels: list[Path], scheme: str, model: ShapeModel | None, count: int, seed: int
) -> list[tuple[str, dict[str, Any]]]:
    """Return a stem and the recipe's fields that describe the heart, for every heart that is scanned."""
    from FedSimCore.ct.recipe import LabelFile
    from FedSimCore.errors import InputError
    from FedSimCore.files import sha256_of
    from FedSimCore.shape.parameters import HeartParameters, read_parameters

    if labels:
        missing = [path for path in labels if not path.is_file()]
        if missing:
            raise InputError(f"{missing[0]} does not exist; check the path.")
        files = [LabelFile(path=path.resolve(), scheme=scheme, sha256=sha256_of(path)) for path in labels]
        return [(_stem(path), {"labels": file}) for path, file in zip(labels, files, strict=True)]
    assert model is not None
    if parameters:
        read = [read_parameters(path, None, model.checksum) for path in parameters]
        for path, each in zip(parameters, read, strict=True):
            if not 1 <= len(each.weights) <= model.mode_count:
                raise InputError(f"{path} has {len(each.weights)} weights, but the model has {model.mode_count} modes.")
        return [
            (_stem(path), {"parameters": p, "model_sha256": model.checksum})
            for path, p in zip(parameters, read, strict=True)
        ]
    import torch

    drawn = []
    for number in range(count):
        vector = model.sample(1, torch.Generator().manual_seed(seed + number))[0].double().numpy()
        fields = {"parameters": HeartParameters.from_vector(vector), "model_sha256": model.checksum}
        drawn.append((f"heart-{seed + number:04d}", fields))
    return drawn


def _stem(path: Path) -> str:
    """Return a file's name without its endings, fit to name a case."""
    import re

    return re.sub(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+", "-", path.name.split(".")[0]).strip("-") or "heart"


def _recipes(
    hearts: list[tuple[str, dict[str, Any]]], common: dict[str, Any], count: int, seed: int, noise: bool
) -> list[tuple[str, Recipe]]:
    from FedSimCore.ct.recipe import Recipe
    from FedSimCore.ct.schema import checked
    from FedSimCore.errors import InputError

    stems = [stem for stem, _ in hearts]
    if len(set(stems)) < len(stems):
        raise InputError(f"Two of the hearts are called {max(stems, key=stems.count)!r}; rename one of the files.")
    drawn_at_random = len(hearts) == count and stems[0] == f"heart-{seed:04d}"
    recipes = []
    for index, (stem, heart) in enumerate(hearts):
        scans = [index] if drawn_at_random else range(count)
        for scan in scans:
            own = seed + scan
            fields = {**common, **heart, "person_seed": own, "noise_seed": own if noise else None}
            name = stem if len(scans) == 1 else f"{stem}-{scan:04d}"
            recipes.append((name, checked(Recipe, fields, f"simulation {name}")))
    return recipes


def _write(simulated: Simulated, out: Path, stem: str, suffix: str) -> dict[str, str]:
    """Write one scan, the JSON last, so that where it stands everything else does."""
    from FedSimCore.ct.recipe import write_recipe
    from FedSimCore.shape.mesh_io import write_mesh
    from FedSimCore.volumes.io import write_label_map, write_volume

    files = {"image": out / f"{stem}_image{suffix}", "label": out / f"{stem}_label{suffix}"}
    write_volume(simulated.image, files["image"], "int16")
    write_label_map(simulated.labels, files["label"])
    if simulated.mesh is not None:
        files["mesh"] = out / f"{stem}.vtp"
        write_mesh(files["mesh"], simulated.mesh)
    files["recipe"] = out / f"{stem}.json"
    write_recipe(simulated.recipe, files["recipe"])
    return {role: str(path) for role, path in files.items()}


def _write_cohort(out: Path, recipes: list[tuple[str, Recipe]], written: list[dict[str, str]]) -> None:
    from FedSimCore.cohorts.case import Case, Cohort
    from FedSimCore.cohorts.table import write_cohort

    cases = [
        Case(id=stem, image=Path(files["image"]), label=Path(files["label"]), site=recipe.scanner.key)
        for (stem, recipe), files in zip(recipes, written, strict=True)
    ]
    write_cohort(Cohort(name=out.name, cases=tuple(cases)), out)
