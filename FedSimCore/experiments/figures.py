"""Pictures of an experiment: generated hearts beside their nearest training case, and segmentations of test cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from FedSimCore.cohorts import Case, read_table
from FedSimCore.experiments.hearts import DrawnHearts
from FedSimCore.experiments.planning import Cell
from FedSimCore.experiments.results import Results
from FedSimCore.pictures.slices import SliceRow, Window, slice_panel, write_figure
from FedSimCore.volumes.io import read_label_map, read_volume

CTA = Window(level_hu=200.0, width_hu=900.0)
SAMPLES = 2


@dataclass(frozen=True)
class Figure:
    """A picture with its legend.

    Attributes:
        path: PNG.
        caption: what it shows.
    """

    path: Path
    caption: str


def write_figures(results: Results, root: Path, folder: Path) -> list[Figure]:
    """Write the pictures of what is there.

    Args:
        results: of the experiment.
        root: folder of the artifacts.
        folder: for the pictures.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        DiskError: the folder can't be written.
    """
    return [*_samples(results, root, folder), *_segmentations(results, root, folder)]


def _samples(results: Results, root: Path, folder: Path) -> Iterator[Figure]:
    for column in results.columns:
        for method in results.plan.experiment.methods:
            cell = next(iter(results.cells(method.key, column)), None)
            hearts = _of_kind(cell, root) if cell is not None else None
            if hearts is None:
                continue
            rows = []
            training = {
                case.id: case for case in read_table(hearts.table.crops.folder(root) / "cohort/cohort.csv").cases
            }
            for heart in read_table(hearts.folder(root) / "cohort/cohort.csv").cases[:SAMPLES]:
                rows.append(_row(f"{method.title}\n{heart.id}", heart))
                nearest = heart.extra.get("nearest_image", "")
                if nearest in training:
                    ratio = heart.extra["nearest_image_ratio"]
                    rows.append(
                        _row(f"nearest of training:\n{nearest}\nx{ratio} the usual distance", training[nearest])
                    )
            path = folder / f"samples-{_file(column)}-{method.key}.png"
            write_figure(path, slice_panel(rows, inches=2.9), 70)
            yield Figure(
                path, f"{column}, {method.title}: generated hearts, each above the training case whose CT is nearest."
            )


def _of_kind(cell: Cell, root: Path) -> DrawnHearts | None:
    for one in cell.scores.with_needs():
        if isinstance(one, DrawnHearts) and one.is_done(root):
            return one
    return None


def _segmentations(results: Results, root: Path, folder: Path) -> Iterator[Figure]:
    """Show, for each column, the test case that is the middle one by the first method's Dice, by every method."""
    for column in results.columns:
        cells = {
            method.title: cell
            for method in results.plan.experiment.methods
            for cell in results.cells(method.key, column)[:1]
            if cell.name in results.values
        }
        if not cells:
            continue
        first = next(iter(cells.values()))
        ranked = sorted(results.cases(first, "dice").items(), key=lambda item: item[1])
        if not ranked:
            continue
        name = ranked[len(ranked) // 2][0]
        tested = {case.id: case for case in read_table(first.scores.tested.folder(root) / "cohort.csv").cases}
        rows = [_row(f"{name}\ntruth", tested[name])]
        for title, cell in cells.items():
            dice = results.cases(cell, "dice").get(name)
            told = f"{title}\nDice {dice:.3f}" if dice is not None else title
            found = cell.scores.found
            rows.append(_row(told, tested[name], found.file(found.folder(root), name)))
        path = folder / f"segmentations-{_file(column)}.png"
        write_figure(path, slice_panel(rows, inches=2.2, legend=False), 90)
        yield Figure(path, f"{column}: the test case in the middle by {next(iter(cells))}'s Dice, by every method.")


def _row(title: str, case: Case, label: Path | None = None) -> SliceRow:
    assert case.image is not None
    assert case.label is not None
    return SliceRow(title, read_volume(case.image), read_label_map(label or case.label), CTA)


def _file(column: str) -> str:
    return column.replace("/", "-").replace("<", "-from-").replace(" ", "-")
