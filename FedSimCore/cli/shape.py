"""``fedsim shape``: build, show and use the statistical shape model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from FedSimCore.shape.model import ShapeModel

app = typer.Typer(help="Build, show and use the statistical shape model.", no_args_is_help=True)

MODEL_OPTION = typer.Option(None, "--model", "-m", help="Model file; the built-in model if left out.")
MODES_OPTION = typer.Option(14, "--modes", min=1, help="Modes to keep; at most one less than there are cases.")
USED_MODES_OPTION = typer.Option(
    None, "--modes", min=1, help="Use the model's first modes only; 14 of the built-in model if left out, else all."
)
LIMIT_OPTION = typer.Option(1.5, "--limit", min=0.1, max=6.0, help="Limit of the mode weights in sigma.")
SEED_OPTION = typer.Option(0, "--seed", min=0, help="Seed of what is drawn at random.")


@app.command()
def build(
    cohort: Path = typer.Argument(..., help="Folder or table of a cohort with label maps."),
    out: Path = typer.Option(..., "--out", "-o", help="Model file to write (.safetensors)."),
    modes: int = MODES_OPTION,
    limit: float = LIMIT_OPTION,
    seed: int = SEED_OPTION,
    site: list[str] = typer.Option([], "--site", help="Only cases of this site; may be repeated."),
    skip_incomplete: bool = typer.Option(
        False, "--skip-incomplete", help="Leave out cases that lack a region instead of stopping."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Build a shape model of a cohort's label maps."""
    from FedSimCore.shape.build import build_model, provenance_now
    from FedSimCore.shape.cohort import read_hearts

    _check_model_path(out)
    with progress_bar() as progress:
        hearts = read_hearts(cohort, site, skip_incomplete, progress)
        provenance = provenance_now(hearts.cohort, hearts.sites, _command(), seed, hearts.skipped)
        model, _ = build_model(hearts.hearts, provenance, modes, limit, progress=progress)
    model.save(out)
    _report(model, out, as_json)


@app.command("build-builtin")
def build_builtin(
    out: Path = typer.Option(..., "--out", "-o", help="Model file to write (.safetensors)."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make the built-in model again, from the phantoms that Resources/shape/builtin.json lists."""
    from FedSimCore.shape.builtin import build_builtin_model

    _check_model_path(out)
    with progress_bar() as progress:
        model = build_builtin_model(_command(), progress)
    model.save(out)
    _report(model, out, as_json)


@app.command()
def show(
    model: Path | None = typer.Argument(None, help="Model file; the built-in model if left out."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show a model's modes, quality and provenance."""
    from FedSimCore.resources import resource_path
    from FedSimCore.shape.model import BUILTIN

    path = resource_path(BUILTIN) if model is None else model
    _report(_load(path), path, as_json)


@app.command()
def sample(
    out: Path = typer.Option(..., "--out", "-o", help="Folder for one parameter file and mesh per heart."),
    model: Path | None = MODEL_OPTION,
    modes: int | None = USED_MODES_OPTION,
    count: int = typer.Option(1, "-n", "--count", min=1, help="Number of hearts."),
    seed: int = SEED_OPTION,
    distribution: str = typer.Option("normal", help="Of the weights within the limit: normal or uniform."),
    pose: bool = typer.Option(False, "--pose", help="Draw poses too, as the model's cohort had them."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Draw hearts at random."""
    from FedSimCore.errors import InputError
    from FedSimCore.shape.parameters import HeartParameters, write_parameters

    if distribution not in ("normal", "uniform"):
        raise InputError(f"There is no distribution {distribution!r}; choose normal or uniform.")
    shape_model = _load(model, modes)
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn = shape_model.sample(count, generator, "uniform" if distribution == "uniform" else "normal", pose)
    files: list[str] = []
    with progress_bar() as progress:
        for number, vector in enumerate(drawn.double().numpy()):
            progress(number, count, "writing hearts")
            parameters = HeartParameters.from_vector(vector)
            stem = out / f"heart-{number:04d}"
            write_parameters(stem.with_suffix(".json"), parameters, shape_model.checksum)
            _write_mesh(shape_model, parameters, stem.with_suffix(".vtp"))
            files += [str(stem.with_suffix(".json")), str(stem.with_suffix(".vtp"))]
        progress(count, count, "writing hearts")
    if as_json:
        print_json({"seed": seed, "parameters": drawn.double().tolist(), "files": files})
    else:
        typer.echo(f"{count} hearts in {out}")


@app.command()
def project(
    mesh: Path = typer.Argument(..., help="Mesh in the model's own vertex order (VTP)."),
    model: Path | None = MODEL_OPTION,
    modes: int | None = USED_MODES_OPTION,
    out: Path | None = typer.Option(None, "--out", "-o", help="Parameter file to write (.json)."),
    unlimited: bool = typer.Option(False, "--unlimited", help="Do not clip the weights to the model's limit."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Find the parameters of a mesh that is in correspondence with the model."""
    import numpy as np

    from FedSimCore.shape.mesh_io import read_mesh
    from FedSimCore.shape.parameters import write_parameters

    shape_model = _load(model, modes)
    heart = read_mesh(mesh)
    parameters = shape_model.project(heart.vertices, limited=not unlimited)
    if out is not None:
        write_parameters(out, parameters, shape_model.checksum)
    distance = np.linalg.norm(shape_model.mesh(parameters).vertices - heart.vertices, axis=1)
    result = {
        "parameters": parameters.model_dump(mode="json"),
        "vertex_distance_mean_mm": float(distance.mean()),
        "vertex_distance_max_mm": float(distance.max()),
    }
    if as_json:
        print_json(result)
        return
    _print_parameters(parameters)
    typer.echo(f"Vertex distance {distance.mean():.2f} mm on the mean, {distance.max():.2f} mm at most.")


@app.command()
def fit(
    label_map: Path = typer.Argument(..., help="Label map (NIfTI or NRRD)."),
    model: Path | None = MODEL_OPTION,
    modes: int | None = USED_MODES_OPTION,
    scheme: str = typer.Option("fedsim", help="How the file's values name regions: fedsim, mmwhs, imagechd or JSON."),
    limit: float | None = typer.Option(None, "--limit", min=0.1, help="Limit of the weights; the model's if left out."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Parameter file to write (.json)."),
    mesh: Path | None = typer.Option(None, "--mesh", help="Fitted mesh to write (.vtp)."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Fit the model to a label map."""
    from dataclasses import asdict

    from FedSimCore.shape.fit import fit as fit_model
    from FedSimCore.shape.labelled_heart import LabelledHeart
    from FedSimCore.shape.parameters import write_parameters
    from FedSimCore.volumes.io import read_label_map

    shape_model = _load(model, modes)
    heart = LabelledHeart.from_volume(str(label_map), read_label_map(label_map, scheme))
    with progress_bar() as progress:
        result = fit_model(shape_model, heart, limit, progress=progress)
    if out is not None:
        write_parameters(out, result.parameters, shape_model.checksum)
    if mesh is not None:
        _write_mesh(shape_model, result.parameters, mesh)
    if as_json:
        content = asdict(result) | {"parameters": result.parameters.model_dump(mode="json")}
        print_json(content | {"mean_dice": result.mean_dice})
        return
    rows = [(key, f"{result.dice[key]:.3f}", f"{result.distance_mm[key]:.2f}") for key in result.dice]
    print_table(f"{label_map}: mean Dice {result.mean_dice:.3f}", ("region", "Dice", "surface distance mm"), rows)
    _print_parameters(result.parameters)


def _check_model_path(path: Path) -> None:
    """Refuse a wrong name before minutes of work, not after."""
    from FedSimCore.errors import InputError

    if path.suffix != ".safetensors":
        raise InputError(f"{path} does not end in .safetensors; name the model file so.")


def _load(path: Path | None, modes: int | None = None) -> ShapeModel:
    from FedSimCore.shape.model import ShapeModel, builtin_model

    if path is None:
        return builtin_model() if modes is None else builtin_model(modes)
    model = ShapeModel.load(path)
    return model if modes is None else model.with_modes(modes)


def _write_mesh(model: ShapeModel, parameters: Any, path: Path) -> None:
    from FedSimCore.shape.mesh_io import write_mesh

    write_mesh(path, model.mesh(parameters))


def _command() -> str:
    return " ".join(["fedsim", *sys.argv[1:]])


def _print_parameters(parameters: Any) -> None:
    pose = parameters.pose
    rows = [(f"mode {k}", f"{w:+.2f} σ") for k, w in enumerate(parameters.weights, start=1)]
    rows += [
        ("rotation", " ".join(f"{v:+.3f}" for v in pose.rotation_rad) + " rad"),
        ("translation", " ".join(f"{v:+.1f}" for v in pose.translation_mm) + " mm"),
        ("scale", f"{pose.scale:.3f}"),
    ]
    print_table("Parameters", ("", "value"), rows)


def _report(model: ShapeModel, path: Path, as_json: bool) -> None:
    header = model.header
    quality = header.quality
    if as_json:
        print_json(
            {
                "path": str(path),
                "sha256": model.checksum,
                "modes": model.mode_count,
                "vertices": model.topology.vertex_count,
                "faces": len(model.topology.faces),
                "eigenvalues_mm2": model.eigenvalues.tolist(),
                **header.model_dump(mode="json"),
            }
        )
        return
    made_of = header.provenance
    typer.echo(
        f"{path}: {model.topology.vertex_count} vertices, {len(model.topology.faces)} faces, "
        f"{model.mode_count} modes within ±{header.limit_sigma:g} σ, from {made_of.cases} cases of {made_of.cohort} "
        f"({made_of.created}, FedSim {made_of.version}, sha256 {model.checksum[:12]})\nmade by: {made_of.command}"
    )
    for reason in made_of.skipped:
        typer.echo(f"left out: {reason}")
    if not quality:
        typer.echo("The model carries no quality report.")
        return
    _print_quality(quality, model.eigenvalues.tolist())


def _print_quality(quality: dict[str, Any], eigenvalues: list[float]) -> None:
    unseen = quality["generalisation_mm"]
    rows = [
        (
            number,
            f"{value:.0f}",
            f"{quality['explained_variance'][number - 1]:.1%}",
            f"{quality['cumulative_variance'][number - 1]:.1%}",
            f"{unseen[number]:.2f}" if number < len(unseen) else "",
        )
        for number, value in enumerate(eigenvalues, start=1)
    ]
    print_table("Modes", ("mode", "eigenvalue mm²", "variance", "cumulative", "generalisation mm"), rows)
    distances = [(region, f"{distance:.2f}") for region, distance in quality["correspondence_mm"].items()]
    print_table("Correspondence", ("region", "mean surface distance mm"), distances)
    worst = quality["correspondence_worst"]
    typer.echo(
        f"Worst correspondence {worst['distance_mm']:.2f} mm ({worst['region']} of {worst['case']}); "
        f"specificity {quality['specificity_mm']:.2f} mm; at random samples "
        f"{quality['self_intersecting_faces']:.3%} of faces self-intersecting, "
        f"{quality['inverted_faces']:.3%} inverted."
    )
