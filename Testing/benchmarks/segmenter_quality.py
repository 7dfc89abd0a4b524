"""How good a segmenter is on unseen phantoms, and how it bears other geometries.

``python -m Testing.benchmarks.segmenter_quality [-m MODEL] [--count 4]`` writes
``Testing/results/segmenter_quality.*``: Dice, HD95, ASSD and BAHD by region and site, on phantoms with seeds that no
training uses as their site's scanner sees them; and the Dice between a scan's labels and those of the same scan
flipped, transposed, oblique and resampled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from FedSimCore.cohorts.phantom import make_phantom
from FedSimCore.evaluation.segmentation import CaseScores, compare, implementations, summary
from FedSimCore.machine import commit, cpu_name
from FedSimCore.progress import silent
from FedSimCore.segmentation.components import without_islands
from FedSimCore.segmentation.looking import Look, look_twice
from FedSimCore.segmentation.model_file import Segmenter, segmenter_file, shipped_segmenter
from FedSimCore.segmentation.onto_scan import labels_on_scan
from FedSimCore.segmentation.predict import segment
from FedSimCore.segmentation.working import first_voxel, to_working_grid
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.resample import reorient, resample, resample_labels

RESULTS = Path(__file__).resolve().parents[2] / "Testing" / "results"
SITES = ("adult", "congenital-mild", "congenital-severe")
FIRST_SEED = 7_000_000
SPACING_MM = 1.5


def on_phantoms(segmenter: Segmenter, count: int) -> dict[str, list[CaseScores]]:
    """Return the scores of phantoms by site."""
    scores: dict[str, list[CaseScores]] = {}
    for site in SITES:
        scores[site] = []
        for number in range(count):
            phantom = make_phantom(site, FIRST_SEED + number, spacing_mm=SPACING_MM)
            found = segment(phantom.image, segmenter)
            scores[site].append(compare(found.labels, phantom.label, f"{site}-{number}"))
            told = scores[site][-1]
            print(told.case, told.of("heart").dice, told.mean(), found.warnings, flush=True)
    return scores


def other_geometries(scan: Volume) -> Iterator[tuple[str, Volume]]:
    """Yield a scan as other scanners and programs would store it."""
    yield "flipped (LPI)", reorient(scan, "LPI")
    yield "transposed (SPR)", reorient(scan, "SPR")
    middle, extent = scan.grid.center_mm, scan.grid.spacing_mm * scan.grid.shape
    for name, angle, spacing in (
        ("oblique by 15 degrees", 15.0, (SPACING_MM,) * 3),
        ("resampled to 1 x 1 x 3 mm", 0.0, (1.0, 1.0, 3.0)),
        ("resampled to 2.5 mm", 0.0, (2.5,) * 3),
    ):
        cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        shape = np.ceil(extent / spacing * (1.25 if angle else 1.0)).astype(int)
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag(spacing)
        affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
        yield name, resample(scan, Grid(tuple(shape.tolist()), affine), outside=-1000.0)


def writer(scan: Volume, segmenter: Segmenter) -> Callable[[Grid], Volume]:
    """Segment a scan once; returns what writes the result on any grid."""
    working = to_working_grid(scan, segmenter.header.spacing_mm)
    look = Look(segmenter.network.eval(), segmenter.header, torch.device("cpu"), False, silent)
    found = look_twice(look, torch.from_numpy(working.array), first_voxel(working.grid)).numpy()
    heart = without_islands(found) > 0
    return lambda grid: Volume(labels_on_scan(found, heart, working.grid, grid), grid)


def geometry(segmenter: Segmenter) -> dict[str, dict[str, float]]:
    """Return Dice between the labels of a scan and of the same one otherwise stored, on the latter's grid.

    Beside it stands what no segmenter can better: one and the same result, written on both grids; and labels alone
    that go to the other grid and back.
    """
    scan = make_phantom("adult", FIRST_SEED, spacing_mm=SPACING_MM).image
    found = segment(scan, segmenter).labels
    written_on = writer(scan, segmenter)
    rows = {}
    for name, other in other_geometries(scan):
        scores = compare(found, segment(other, segmenter).labels, metrics=["dice"])
        back = compare(resample_labels(found, other.grid), found, metrics=["dice"])
        bound = compare(found, written_on(other.grid), metrics=["dice"])
        rows[name] = {
            "heart": scores.of("heart").dice or 0.0,
            "regions": scores.mean() or 0.0,
            "heart_bound": bound.of("heart").dice or 0.0,
            "regions_bound": bound.mean() or 0.0,
            "there_and_back": back.of("heart").dice or 0.0,
        }
        print(name, rows[name], flush=True)
    return rows


def report(results: dict[str, Any]) -> str:
    """Return the results in Markdown."""
    lines = [
        "# The segmenter on unseen phantoms",
        "",
        f"`python -m Testing.benchmarks.segmenter_quality --count {results['count']}`, commit {results['commit']}, "
        f"{results['machine']}; segmenter {results['segmenter'][:12]}. Voxels of {SPACING_MM:g} mm. Mean ± SD.",
        "",
    ]
    for site, table in results["phantoms"].items():
        lines += [f"## {site}", "", "| region | Dice | HD95, mm | ASSD, mm | BAHD, mm |", "|---|---|---|---|---|"]
        for region, row in table.items():
            cells = [
                f"{row[m]['mean']:.3f} ± {row[m]['sd']:.3f}" if m in row else "-"
                for m in ("dice", "hd95_mm", "assd_mm", "bahd_mm")
            ]
            lines.append(f"| {region} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "## The same scan otherwise stored",
        "",
        "Bound: the same result written on both grids, which only rounds to other voxels.",
        "",
        "| | Dice, whole heart | its bound | mean of regions | its bound | labels alone, there and back |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['heart']:.4f} | {row['heart_bound']:.4f} | {row['regions']:.4f} | "
        f"{row['regions_bound']:.4f} | {row['there_and_back']:.4f} |"
        for name, row in results["geometry"].items()
    ]
    lines += ["", *(f"- {name}: {what}" for name, what in results["implementations"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.segmenter_quality", description=__doc__)
    parser.add_argument("-m", "--model", type=Path, default=None)
    parser.add_argument("--count", type=int, default=4, help="phantoms of each site")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    file = segmenter_file(options.model) if options.model is not None else shipped_segmenter()
    segmenter = Segmenter.load(file)
    scores = on_phantoms(segmenter, options.count)
    results = {
        "commit": commit(),
        "machine": f"one core of {cpu_name()}",
        "count": options.count,
        "segmenter": segmenter.checksum,
        "implementations": implementations(),
        "phantoms": {site: summary(cases) for site, cases in scores.items()},
        "geometry": geometry(segmenter),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "segmenter_quality.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "segmenter_quality.md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
