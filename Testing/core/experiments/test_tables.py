"""Tables of scores that are written by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from FedSimCore.errors import InputError
from FedSimCore.experiments import tables
from FedSimCore.experiments.report import html_page, write_report
from FedSimCore.experiments.results import read_results
from FedSimCore.experiments.segmenters import SCHEMA, SCORES_NAME, read_scores
from FedSimCore.experiments.workshop import record_failure
from FedSimCore.files import write_json

LOWER = [[0.8, 0.9, 0.85], [0.7, 0.75, 0.8]]
FULL = [[0.82, 0.91, 0.88], [0.72, 0.78, 0.81]]
"""Dice of the three test cases of two folds."""


def write_cell(cell, root: Path, values: list[float], distance: float | None = 2.0) -> None:
    names = cell.scores.tested.shown
    cases = {
        name: {"dice": {"heart": value}, "hd95_mm": {"heart": distance}, "assd_mm": {"heart": 1.0}}
        for name, value in zip(names, values, strict=True)
    }
    content = {"schema": SCHEMA, "implementations": {"dice": "by hand"}, "cases": cases}
    write_json(cell.scores.folder(root) / SCORES_NAME, content)
    cell.scores.finish(root, {})


@pytest.fixture
def order(tiny, changed, tmp_path):
    """An experiment of which two methods have both folds, one has one fold, one failed, and one was not run."""
    order = tiny.order(tmp_path / "out", scale=changed("scale", folds=2))
    cells = {(cell.method, cell.fold): cell for cell in order.plan().cells}
    for fold in (0, 1):
        write_cell(cells["lower-bound", fold], order.root, LOWER[fold])
        write_cell(cells["full", fold], order.root, FULL[fold], None if fold else 3.0)
    write_cell(cells["upper-bound", 0], order.root, [0.95, 0.95, 0.95])
    for fold in (0, 1):
        segmenter = cells["true-shapes", fold].scores.found.segmenter
        record_failure(segmenter, order.root, "The loss was not finite | at step 3.", "first")
    return order


@pytest.fixture
def results(order):
    """What is there."""
    return read_results(order.plan(), order.root)


def test_the_table_has_means_of_folds_the_best_in_bold_and_its_holes_told(results):
    assert tables.main_table(results) == [
        ["", "A/2"],
        ["Lower Bound", "80.00 ± 7.07"],  # 85 and 75: deviation 10 / sqrt(2)
        ["Ours-Full", "**82.00 ± 7.07**"],  # 87 and 77
        ["true shapes", "– (failed)"],
        ["SynthSeg-like", "– (not run)"],
        ["Upper Bound", "95.00 (1 of 2 folds)"],  # sees labels that the others don't, so it is never in bold
    ]


def test_distances_that_are_not_defined_do_not_count_and_make_nobody_the_best(results):
    rows = {row[0]: row[1] for row in tables.main_table(results, "hd95_mm")}
    assert rows["Lower Bound"] == "2.00 ± 0.00"  # alone in having all cases, so there is nothing to be better than
    assert rows["Ours-Full"] == "3.00"  # nothing was segmented in the other fold
    assert results.summary("full", "A/2", "hd95_mm").cases == 3


def test_of_distances_the_smallest_is_best(results):
    assert tables.main_table(results, "assd_mm")[1:3] == [
        ["Lower Bound", "**1.00 ± 0.00**"],
        ["Ours-Full", "1.00 ± 0.00"],
    ]


def test_the_papers_numbers_stand_in_the_same_layout(results):
    assert tables.paper_table(results) == [
        ["", "A/2"],
        ["Lower Bound", "87.65 ± 2.20"],
        ["Upper Bound", "89.81 ± 2.50"],
    ]


def test_differences_are_of_the_same_patients(results):
    (row,) = tables.differences_table(results)[1:]
    assert row[:4] == ["A/2", "Ours-Full − Lower Bound", "6", "+2.00"]
    assert row[5] == "0.0312"  # all six differences are positive: 2 / 64
    low, high = (float(part) for part in row[4].split(" to "))
    assert 1.0 <= low < 2.0 < high <= 3.0


def test_holes_are_told_with_their_reasons(results):
    reason = "The loss was not finite | at step 3."
    assert tables.holes_table(results)[1:] == [[f"A/2/{fold}/true-shapes", reason] for fold in (0, 1)]
    assert "not finite \\| at" in tables.markdown(tables.holes_table(results))


def test_csv_files_hold_every_number(results):
    summaries = list(csv.DictReader(io.StringIO(tables.summaries_csv(results))))
    full = next(row for row in summaries if (row["method"], row["metric"]) == ("full", "dice"))
    assert (full["mean"], full["sd_of_folds"], full["folds"], full["cases"]) == ("82.0000", "7.0711", "2", "6")
    lower = next(row for row in summaries if (row["method"], row["metric"]) == ("lower-bound", "dice"))
    assert (lower["paper_mean"], lower["paper_sd"]) == ("87.65", "2.20")
    cases = list(csv.DictReader(io.StringIO(tables.cases_csv(results))))
    values = [float(row["value"]) for row in cases if (row["method"], row["metric"]) == ("full", "dice")]
    assert values == [*FULL[0], *FULL[1]]
    assert [
        row["value"] for row in cases if (row["method"], row["metric"], row["fold"]) == ("full", "hd95_mm", "1")
    ] == [
        "",
        "",
        "",
    ]
    (difference,) = [
        row for row in csv.DictReader(io.StringIO(tables.differences_csv(results))) if row["metric"] == "dice"
    ]
    assert float(difference["difference"]) == pytest.approx(0.02)
    assert float(difference["p"]) == pytest.approx(0.03125)


def test_the_report_tells_scale_patients_and_implementations(order):
    written = write_report(order, pictures=False)
    page = (written.files[0]).read_text()
    assert "**Tiny scale, for tests.** Patients: A: the given cohort." in page
    assert "Computed by by hand." in page
    assert "5 of 10" in page
    assert "<td>– (failed)</td>" in (written.files[1]).read_text()


def test_html_shows_text_as_it_is(tmp_path):
    page = html_page(
        "a < b", "# Head & <tail>\n\n| a | b |\n|---|---|\n| **1** | `x \\| y` |\n\n- one\n- two", tmp_path
    )
    assert "<title>a &lt; b</title>" in page
    assert "<h1>Head &amp; &lt;tail&gt;</h1>" in page
    assert "<td><b>1</b></td><td><code>x | y</code></td>" in page
    assert "<ul><li>one</li><li>two</li></ul>" in page


def test_sizes_stand_beside_the_papers(results):
    rows = tables.sizes_table(results)
    assert rows[1] == ["A", "A", "0", "3", "3", "3", "2", "12 / 4 / 4"]
    assert len(rows) == 4


def test_damaged_scores_are_refused(order):
    cell = order.plan().cells[0]
    write_json(cell.scores.folder(order.root) / SCORES_NAME, {"schema": "other"})
    with pytest.raises(InputError, match="holds no scores"):
        read_scores(cell.scores.folder(order.root))
