"""``fedsim generate``: hearts from a trained model, as a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from FedSimCore.cli.common import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from FedSimCore.generation.cohort import GeneratedRecord

SHAPES, BLENDS, DEVICES = ("learnt", "random"), ("", "alpha", "poisson"), ("auto", "cpu", "cuda")


def generate(
    model: Path | None = typer.Argument(
        None, help="Model folder, or a finished run that wrote one; the one that ships, of phantoms, if left out."
    ),
    out: Path = typer.Option(..., "--output", "-o", help="Folder for the cohort.", show_default=False),
    site: str = typer.Option("", help="Whose look; may be left out where the model has one site."),
    count: int = typer.Option(20, "-n", "--n", min=1, help="Number of hearts."),
    seed: int = typer.Option(0, min=0, help="Heart n of a seed is always the same, however many are asked for."),
    shape: str = typer.Option("learnt", help="learnt, or random: from the shape model's own distribution (ablation)."),
    population: str = typer.Option(
        "",
        help="Whose hearts: a site the generator has learnt, or all; the site's own if left out.",
        show_default=False,
    ),
    blend: str = typer.Option("", help="alpha or poisson: the simulator's heart in the enhancer's image (ablation)."),
    training_cohort: Path | None = typer.Option(
        None, help="Cohort the model was trained on, to tell the nearest training case by image too."
    ),
    segmenter: Path | None = typer.Option(None, help="Segmenter that tells whether it finds each heart where it is."),
    device: str = typer.Option("cpu", help="auto, cpu or cuda; bits are the same again only on the CPU."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Generate hearts: CT, labels, parameters, trust figures and a cohort.csv. Run again, it goes on."""
    from FedSimCore.generation.cohort import CohortGenerator
    from FedSimCore.generation.model_folder import GenerativeModel, shipped_model
    from FedSimCore.generation.sampling import HeartSampler
    from FedSimCore.generation.trust_measures import TrustMeter, training_images
    from FedSimCore.worker.device import choose_device

    chosen_shape, chosen_blend = _one_of("--shape", shape, SHAPES), _one_of("--blend", blend, BLENDS) or None
    where = choose_device(_one_of("--device", device, DEVICES))
    opened = GenerativeModel.load(model or shipped_model())
    sampler = HeartSampler(opened, _site(site, opened.sites, opened.folder), chosen_blend, where)
    agreement = None if segmenter is None else _agreement(segmenter, where)
    with progress_bar() as progress:
        images = None
        if training_cohort is not None:
            learnt_from = sampler.enhancer.header.cases
            images = training_images(training_cohort, sampler.generator, learnt_from, progress)
        meter = TrustMeter(sampler.generator, images)
        maker = CohortGenerator(opened, sampler, meter, out, seed, chosen_shape, population or None, agreement)
        records = maker.generate(count, progress)
    if as_json:
        print_json({"folder": str(out), "seconds": _total_seconds(records), "hearts": [_row(r) for r in records]})
    else:
        _print(out, records)


def _agreement(file: Path, device: Any) -> Any:
    from FedSimCore.segmentation.agreement import AgreementMeter
    from FedSimCore.segmentation.model_file import Segmenter, segmenter_file

    return AgreementMeter(Segmenter.load(segmenter_file(file)).to(device), device)


def _total_seconds(records: list[GeneratedRecord]) -> dict[str, float]:
    stages = {stage: 0.0 for record in records for stage in record.seconds}
    return {stage: sum(record.seconds.get(stage, 0.0) for record in records) for stage in stages}


def _row(record: GeneratedRecord) -> dict[str, Any]:
    return {"case": record.recipe.case_id, **record.model_dump(mode="json"), "concerns": list(record.trust.concerns())}


def _print(out: Path, records: list[GeneratedRecord]) -> None:
    rows = []
    for record in records:
        trust = record.trust
        image = "-" if trust.nearest_image is None else f"{trust.nearest_image.case} x{trust.nearest_image.ratio:.2f}"
        rows.append(
            (
                record.recipe.case_id,
                f"{trust.nearest_shape.case} x{trust.nearest_shape.ratio:.2f}",
                image,
                f"P{trust.latent.percentile:.0f}",
                f"P{trust.weights.percentile:.0f}",
                trust.self_intersecting_faces,
                "-" if trust.segmenter is None else f"{trust.segmenter.dice.get('heart', 0.0):.2f}",
            )
        )
    header = ("heart", "nearest shape", "nearest CT", "latent", "weights", "cut faces", "Dice")
    print_table(str(out), header, rows)
    for record in records:
        for sentence in record.trust.concerns():
            typer.echo(f"{record.recipe.case_id}: {sentence}")
    seconds = _total_seconds(records)
    told = ", ".join(f"{stage} {value:.1f} s" for stage, value in seconds.items())
    typer.echo(f"{len(records)} hearts; {told}.")


def _one_of(option: str, value: str, known: tuple[str, ...]) -> Any:
    from FedSimCore.errors import InputError

    if value not in known:
        named = ", ".join(name for name in known if name)
        raise InputError(f"{option} {value!r} is not known; choose one of {named}.")
    return value


def _site(name: str, sites: tuple[str, ...], folder: Path) -> str:
    from FedSimCore.errors import InputError

    if name:
        return name
    if len(sites) == 1:
        return sites[0]
    if not sites:
        raise InputError(f"{folder} has no enhancer of any site; train one with the recipe enhancer.")
    raise InputError(f"{folder} has enhancers of {', '.join(sites)}; choose one with --site.")
