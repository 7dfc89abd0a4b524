"""The first half of the way: patients, a shape model, an unseen patient's heart, and that heart in three scanners."""

from __future__ import annotations

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.phantom import make_label_map, make_phantom
from FedSimCore.cohorts.table import write_cohort
from FedSimCore.ct.recipe import Recipe, simulate
from FedSimCore.ct.scanners import scanner
from FedSimCore.demo.record import CTA, SITES, UNSEEN_SEED, Demonstration
from FedSimCore.pictures.annotate import write_png
from FedSimCore.pictures.norm_chart import norm_chart
from FedSimCore.pictures.plates import modes_plate, scanners_plate, views_plate
from FedSimCore.pictures.slices import write_figure
from FedSimCore.shape.build import build_model, provenance_now
from FedSimCore.shape.cohort import read_hearts
from FedSimCore.shape.fit import fit
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.measurements import measure_mesh
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.norms import compare
from FedSimCore.shape.parameters import read_parameters, write_parameters
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import write_label_map, write_volume

_COHORT_SPACING_MM = 1.25


def make_patients(demo: Demonstration) -> None:
    """Make a phantom patient of each site."""
    rows: dict[str, tuple[Volume, Volume]] = {}
    for site, title in SITES.items():
        phantom = make_phantom(site, UNSEEN_SEED)
        write_volume(phantom.image, demo.keep(f"patients/{site}.nii.gz", f"CT of a phantom patient, {title}"), "int16")
        write_label_map(phantom.label, demo.keep(f"patients/{site}_label.nii.gz", "its seven regions"))
        rows[title] = phantom.image, phantom.label
    write_png(
        demo.keep("patients.png", "a phantom patient of each site, with the seven regions"), scanners_plate(rows, CTA)
    )


def make_cohort(demo: Demonstration, cases: int) -> None:
    """Make label maps of phantom adults, as a cohort."""
    entries = []
    for number in range(cases):
        name = f"adult-{number:03d}"
        path = demo.out / "cohort" / f"{name}.nii.gz"
        write_label_map(make_label_map("adult", number, spacing_mm=_COHORT_SPACING_MM), path)
        entries.append(Case(id=name, label=path, site="adult"))
    write_cohort(Cohort(name="demo", cases=tuple(entries)), demo.out / "cohort")
    demo.files["cohort/cohort.csv"] = f"label maps of {cases} phantom adults, as a cohort any verb reads"


def build_shape_model(demo: Demonstration) -> None:
    """Build a shape model of the cohort."""
    hearts = read_hearts(demo.out / "cohort")
    command = "fedsim shape build cohort -o model.safetensors"
    provenance = provenance_now(hearts.cohort, hearts.sites, command, 0, hearts.skipped)
    model, _ = build_model(hearts.hearts, provenance, modes=min(14, len(hearts.hearts) - 1))
    model.save(demo.keep("model.safetensors", f"shape model of the cohort, {model.mode_count} modes"))
    write_png(demo.keep("modes_cohort.png", "first two modes of that model at ±1.5 SD"), modes_plate(model, modes=2))
    demo.results["shape_model"] = {"quality": model.header.quality, "cases": len(hearts.hearts)}


def fit_patient(demo: Demonstration, model: ShapeModel) -> None:
    """Fit the built-in model to an unseen patient and measure it."""
    labels = make_label_map("adult", UNSEEN_SEED, spacing_mm=_COHORT_SPACING_MM)
    result = fit(model, LabelledHeart.from_volume("unseen patient", labels))
    write_parameters(
        demo.keep("heart.json", "the built-in model's parameters for an unseen patient"),
        result.parameters,
        model.checksum,
    )
    demo.results["fit"] = {"mean_dice": result.mean_dice, "dice": result.dice, "distance_mm": result.distance_mm}
    mesh = model.mesh(result.parameters)
    write_png(demo.keep("heart.png", "that heart from four sides"), views_plate(mesh))
    write_png(demo.keep("modes.png", "first modes of the built-in model at ±1.5 SD"), modes_plate(model))
    compared = compare(measure_mesh(mesh))
    chart = norm_chart(compared, "The fitted heart beside the norms of healthy adults")
    write_figure(demo.keep("measurements.png", "its measurements beside the norms"), chart)
    demo.results["measurements"] = {c.measurement.key: c.measurement.value for c in compared}


def scan_heart(demo: Demonstration, model: ShapeModel) -> None:
    """Scan the fitted heart in the three sites' scanners."""
    rows: dict[str, tuple[Volume, Volume]] = {}
    heart = read_parameters(demo.out / "heart.json", model.mode_count, model.checksum)
    for site, title in SITES.items():
        recipe = Recipe(parameters=heart, model_sha256=model.checksum, scanner=scanner(site))
        scan = simulate(recipe, model)
        beam = f"{recipe.scanner.kvp} kVp, {recipe.scanner.mas:g} mAs"
        rows[f"{title}\n{beam}"] = scan.image, scan.labels
        write_volume(scan.image, demo.keep(f"scans/{site}_image.nii.gz", f"CT of that heart at {beam}"), "int16")
        write_label_map(scan.labels, demo.keep(f"scans/{site}_label.nii.gz", "its seven regions"))
    write_png(demo.keep("scanners.png", "the same heart in the three sites' scanners"), scanners_plate(rows, CTA))
    first = dict([next(iter(rows.items()))])
    about = "its simulated CT in three planes with the regions' outlines"
    write_png(demo.keep("ct.png", about), scanners_plate(first, CTA, inches=4.0))
