"""A site's real and generated hearts in rows: ``python -m Testing.trainings.variants_plate``.

A case of the training cohort as it is; below it a heart of each model given, all of one seed and number, each with the
training case whose CT is nearest to it:

    python -m Testing.trainings.variants_plate --cohort hearts --site adult -o adult.png \
        --model Pre=runs/adult/model --model Full=runs/adult-full/model --model Fix-Mat=runs/adult-fixed/model
"""

from __future__ import annotations

import argparse
from pathlib import Path

from FedSimCore.cohorts import load_case, read_cohort
from FedSimCore.cohorts.case import Case
from FedSimCore.errors import InputError
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import HeartSampler, draw
from FedSimCore.generation.trust_measures import TrustMeter, training_images
from FedSimCore.pictures.slices import SliceRow, Window, slice_panel, write_figure
from FedSimCore.volumes.crop import crop_round_heart

CTA = Window(level_hu=200.0, width_hu=900.0)


def real_row(case: Case, title: str, size: int, spacing_mm: float) -> SliceRow:
    """Return a case of the cohort on the working grid."""
    loaded = load_case(case)
    crop = crop_round_heart(loaded.image, loaded.label, size, spacing_mm)
    assert crop.image is not None
    return SliceRow(title, crop.image, crop.label, CTA)


def rows_of(name: str, folder: Path, cohort: Path, site: str, seed: int, number: int) -> list[SliceRow]:
    """Return a model's heart and the training case that is nearest to it."""
    sampler = HeartSampler(GenerativeModel.load(folder), site)
    generator = sampler.generator
    drawn = draw(generator, seed, number, population=generator.population_at(site))
    heart = sampler.make(drawn)
    images = training_images(cohort, generator, sampler.enhancer.header.cases)
    nearest = TrustMeter(generator, images).measure(drawn, heart.image.array).nearest_image
    assert nearest is not None
    title = f"nearest to {name}:\n{nearest.case}\n{nearest.distance:.0f} HU, x{nearest.ratio:.2f}"
    header = generator.header
    neighbour = real_row(read_cohort(cohort).case(nearest.case), title, header.size, header.spacing_mm)
    return [SliceRow(f"{name}\nheart {number} of seed {seed}", heart.image, heart.label, CTA), neighbour]


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(prog="python -m Testing.trainings.variants_plate", description=__doc__)
    parser.add_argument("--cohort", type=Path, required=True, help="the training cohort")
    parser.add_argument("--site", required=True)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=FOLDER", help="repeat it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    models = dict(entry.partition("=")[::2] for entry in options.model)
    case = next((case for case in read_cohort(options.cohort).of_site(options.site) if case.label and case.image), None)
    if case is None:
        raise InputError(f"{options.cohort} has no case of {options.site} with image and labels.")
    header = GenerativeModel.load(Path(next(iter(models.values())))).generator.header
    rows = [real_row(case, f"{options.site}\n{case.id}", header.size, header.spacing_mm)]
    for name, folder in models.items():
        rows += rows_of(name, Path(folder), options.cohort, options.site, options.seed, options.number)
    write_figure(options.output, slice_panel(rows), dots_per_inch=100)  # seven rows make a tall picture
    print(options.output)


if __name__ == "__main__":
    main()
