"""An experiment's report: tables, tests, every case's values, pictures, and one page that needs no network."""

from __future__ import annotations

import base64
import datetime
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FedSimCore.errors import MissingDependencyError
from FedSimCore.experiments import tables
from FedSimCore.experiments.figures import Figure, write_figures
from FedSimCore.experiments.processes import Order
from FedSimCore.experiments.results import MAIN, METRICS, Results, read_results
from FedSimCore.files import atomic_path
from FedSimCore.machine import commit, cpu_name

PICTURES_NAME = "pictures"


@dataclass(frozen=True, eq=False)
class Written:
    """A report that was written.

    Attributes:
        results: what it tells.
        tables: the main ones in Markdown.
        files: all files.
    """

    results: Results
    tables: tuple[str, ...]
    files: tuple[Path, ...]

    def content(self) -> dict[str, Any]:
        """Return the main numbers for machines."""
        told = {"experiment": self.results.plan.experiment.name, "scale": self.results.plan.scale.name}
        return {**told, **tables.as_json(self.results), "files": [str(path) for path in self.files]}


def report_folder(order: Order, results: Results) -> Path:
    """Return where an order's report goes."""
    return order.out / f"{results.plan.experiment.name}-{results.plan.scale.name}"


def write_report(order: Order, pictures: bool = True) -> Written:
    """Write the report of what is there.

    Args:
        order: what was asked for.
        pictures: write them too; left out, saying so, where matplotlib is not installed.

    Raises:
        InputError: the experiment can't be planned, or scores are damaged.
        DiskError: a file can't be written.
    """
    results = read_results(order.plan(), order.root)
    folder = report_folder(order, results)
    figures: list[Figure] = []
    notes = []
    if pictures:
        try:
            figures = write_figures(results, order.root, folder / PICTURES_NAME)
        except MissingDependencyError as error:
            notes.append(str(error))
    page = markdown_report(order, results, figures, notes)
    files = {
        "report.md": page,
        "report.html": html_page(results.plan.experiment.title, page, folder),
        "table.csv": tables.summaries_csv(results),
        "cases.csv": tables.cases_csv(results),
        "differences.csv": tables.differences_csv(results),
    }
    for name, text in files.items():
        _write(folder / name, text)
    main = [
        tables.main_table(results) if results.plan.cells else tables.sizes_table(results),
        tables.differences_table(results),
    ]
    shown = tuple(tables.markdown(rows) for rows in main if len(rows) > 1)
    return Written(results, shown, (*(folder / name for name in files), *(figure.path for figure in figures)))


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def markdown_report(order: Order, results: Results, figures: list[Figure], notes: list[str]) -> str:
    """Return the report in Markdown."""
    experiment, scale = results.plan.experiment, results.plan.scale
    patients = ", ".join(f"{key}: {_patients(data.name, key)}" for key, data in results.plan.sites.items())
    lines = [f"# {experiment.title}", "", f"**{scale.says}** Patients: {patients}.", "", experiment.source, ""]
    if results.plan.cells:
        lines += [_says(results), ""]
        for metric, known in METRICS.items():
            lines += [
                f"## {known.title} ({known.unit})",
                "",
                f"Computed by {results.implementations.get(metric, '–')}.",
                "",
            ]
            lines += [tables.markdown(tables.main_table(results, metric)), ""]
            if metric == MAIN:
                lines += _section("The paper's own numbers (its patients, its scale)", tables.paper_table(results))
            differences = tables.differences_table(results, metric)
            if len(differences) > 1:
                lines += _section(f"Differences, {known.title}", differences)
        lines += _section("Holes", tables.holes_table(results))
    lines += _section("Who trains and who is tested", tables.sizes_table(results))
    for figure in figures:
        lines += [f"![{figure.caption}]({PICTURES_NAME}/{figure.path.name})", "", figure.caption, ""]
    lines += [*notes, "", "## Made with", "", *_made_with(order, results), ""]
    return "\n".join(lines)


def _patients(name: str, key: str) -> str:
    return "the given cohort" if name == key else f"phantoms ({name})"


def _says(results: Results) -> str:
    return (
        f"Mean ± standard deviation of the means of {results.plan.folds} folds (of "
        f"{results.plan.experiment.folds}). In bold the highest mean (for distances the lowest) among methods that see "
        "no more labels than the column says. Every segmenter makes the same number of optimizer steps in all; the "
        "best by the Dice of the validation cases is kept. p: Wilcoxon's signed-rank test over patients, and "
        "corrected for all tests of the table (Holm); interval: BCa bootstrap of the mean over patients. A distance "
        "is not defined where nothing was segmented; such cases are missing from its mean."
    )


def _section(title: str, rows: list[list[str]]) -> list[str]:
    return [f"## {title}", "", tables.markdown(rows), ""] if rows else []


def _made_with(order: Order, results: Results) -> list[str]:
    asked = ["fedsim experiment run", order.experiment, "--scale", order.scale, "-o", order.out.name]
    asked += [f"--cohort {site}={path}" for site, path in order.cohorts]
    facts: Mapping[str, object] = {
        "command": f"`{' '.join(asked)}`",
        "cells with values": f"{len(results.values)} of {len(results.plan.cells)}",
        "commits of the artifacts": ", ".join(results.commits) or "–",
        "commit of the report": commit(),
        "machine of the report": cpu_name(),
        "processor time of all artifacts": f"{results.seconds / 3600:.2f} h",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "recipes": f"`{json.dumps(results.plan.scale.recipes)}`",
    }
    return [f"- {name}: {value}" for name, value in facts.items()]


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}th,td{border:1px solid #bbb;padding:.25em .6em;text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{background:#eee}img{max-width:100%}code{font-size:90%}"
)


def html_page(title: str, page: str, folder: Path) -> str:
    """Return a Markdown report as HTML with its pictures inside; of Markdown it knows what the report is made of."""
    body = [_block(block, folder) for block in re.split(r"\n{2,}", page) if block.strip()]
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>\n" + "\n".join(body) + "\n</body></html>\n"


def _block(block: str, folder: Path) -> str:
    lines = block.strip().splitlines()
    heading = re.match(r"(#+) (.*)", lines[0])
    if heading:
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    if lines[0].startswith("|"):
        return _table(lines)
    if lines[0].startswith("- "):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
    picture = re.fullmatch(r"!\[(.*)\]\((.*)\)", lines[0])
    if picture:
        data = base64.b64encode((folder / picture[2]).read_bytes()).decode()
        return f"<img alt='{html.escape(picture[1], quote=True)}' src='data:image/png;base64,{data}'>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    made = []
    for number, row in enumerate(rows):
        if number != 1:
            tag = "th" if number == 0 else "td"
            made.append("<tr>" + "".join(f"<{tag}>{_inline(cell)}</{tag}>" for cell in row) + "</tr>")
    return "<table>" + "".join(made) + "</table>"


def _inline(text: str) -> str:
    text = html.escape(text.replace("\\|", "|"), quote=False)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
