"""The paper's variants on phantoms: ``python -m Testing.trainings.phantom_variants --cohort DIR --out DIR``.

For every site the three variants of the paper's table 3, with as many labels as asked for: Pre (generator and
enhancer), Full (and the semi-supervised stage), Fix-Mat (shapes alone, and an enhancer of simulated hearts). Stopped at
any moment, it goes on where it was. ``Testing.trainings.variants_plate`` shows them side by side.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from FedSimCore.runs.folder import RunFolder
from Testing.trainings.phantom_model import OF_ENHANCER, OF_GENERATOR, SITES, trained


def train_variants(cohort: Path, out: Path, site: str, labelled: int, steps: tuple[int, int, int]) -> dict[str, Path]:
    """Train the variants of one site.

    Args:
        cohort: folder of :mod:`Testing.trainings.phantom_model`'s phantoms.
        out: where the runs go.
        site: of the cohort.
        labelled: cases whose labels may be used; fewer than there are, for Full.
        steps: of generator, enhancer, and semi-supervised stage.

    Returns:
        Variant to its model folder.
    """

    def run(name: str) -> RunFolder:
        return RunFolder(out / site / name)

    data, of_site = {"cohort": str(cohort)}, {"cohort": str(cohort), "site": site}
    of_generator = {**data, **OF_GENERATOR, "sites": [site], "labelled": labelled}
    generator = trained(run("generator"), "generator", steps[0], **of_generator)
    shapes = trained(run("shapes"), "generator", steps[0], **of_generator, material="none")
    pre = trained(run("pre"), "enhancer", steps[1], **of_site, **OF_ENHANCER, generator=str(generator))
    fixed = trained(run("fix-mat"), "enhancer", steps[1], **of_site, **OF_ENHANCER, generator=str(shapes))
    full = trained(run("full"), "semi-supervised", steps[2], **of_site, model=str(pre))
    return {"Pre": pre, "Full": full, "Fix-Mat": fixed}


def main() -> None:
    """Train all variants of the sites asked for."""
    parser = argparse.ArgumentParser(prog="python -m Testing.trainings.phantom_variants", description=__doc__)
    parser.add_argument("--cohort", type=Path, required=True, help="cohort of Testing.trainings.phantom_model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--sites", nargs="+", default=list(SITES), choices=SITES)
    parser.add_argument("--labelled", type=int, default=8, help="cases of each site whose labels may be used")
    parser.add_argument("--steps", type=int, nargs=3, default=(600, 1000, 360), help="generator, enhancer, Full")
    options = parser.parse_args()
    for site in options.sites:
        made = train_variants(options.cohort, options.out, site, options.labelled, tuple(options.steps))
        for name, folder in made.items():
            print(f"{site}, {name}: {folder}")


if __name__ == "__main__":
    main()
