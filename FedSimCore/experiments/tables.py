"""Tables of results: Markdown in the paper's layout, and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import groupby

from FedSimCore.experiments.definition import Method
from FedSimCore.experiments.results import MAIN, METRICS, Results
from FedSimCore.experiments.statistics import Summary

NO_VALUE = "–"


def main_table(results: Results, metric: str = MAIN) -> list[list[str]]:
    """Return a table: methods down, columns across; what is missing is told in the cell."""
    rows = [["", *results.columns]]
    best = _best(results, metric)
    for group, methods in groupby(results.plan.experiment.methods, key=lambda method: method.group):
        for method in methods:
            cells = [
                _cell(results, method, column, metric, best.get(column) == method.key) for column in results.columns
            ]
            rows.append([f"{group}: {method.title}" if group else method.title, *cells])
    return rows


def paper_table(results: Results) -> list[list[str]]:
    """Return the paper's own numbers in the same layout; empty if it has none."""
    rows = []
    for method in results.plan.experiment.methods:
        known = [results.paper(method, column) for column in results.columns]
        if any(known):
            shown = [" ± ".join(f"{part:.2f}" for part in one) if one else NO_VALUE for one in known]
            rows.append([method.title, *shown])
    return [["", *results.columns], *rows] if rows else []


def _best(results: Results, metric: str) -> dict[str, str]:
    """Return each column's best method.

    Methods that see labels which the others don't are left out, and those with fewer cases: folds that are missing, or
    cases in which nothing was found, may have been the hard ones.
    """
    factor = 1 if metric == MAIN else -1
    best = {}
    for column in results.columns:
        known = {
            method.key: summary
            for method in results.plan.experiment.methods
            if method.finetune != "all" and (summary := results.summary(method.key, column, metric)) is not None
        }
        most = max((summary.cases for summary in known.values()), default=0)
        whole = {key: factor * summary.mean for key, summary in known.items() if summary.cases == most}
        if len(whole) > 1:
            best[column] = max(whole, key=lambda key: whole[key])
    return best


def _cell(results: Results, method: Method, column: str, metric: str, best: bool) -> str:
    summary = results.summary(method.key, column, metric)
    cells = results.cells(method.key, column)
    holes = [results.holes[cell.name] for cell in cells if cell.name in results.holes]
    if summary is None:
        reasons = sorted(set(holes)) or ["not defined"]
        return f"{NO_VALUE} ({'not run' if reasons == ['not run'] else 'failed' if _failed(reasons) else reasons[0]})"
    text = shown(summary, metric)
    text = f"**{text}**" if best else text
    return f"{text} ({summary.folds} of {len(cells)} folds)" if holes else text


def _failed(reasons: Sequence[str]) -> bool:
    return any(reason not in ("not run", "not finished") for reason in reasons)


def shown(summary: Summary, metric: str) -> str:
    """Return mean ± standard deviation as people read it."""
    known = METRICS[metric]
    mean = f"{summary.mean * known.factor:.{known.digits}f}"
    if summary.deviation is None:
        return mean
    return f"{mean} ± {summary.deviation * known.factor:.{known.digits}f}"


def differences_table(results: Results, metric: str = MAIN) -> list[list[str]]:
    """Return the tests: differences with their intervals, and p."""
    factor, digits, unit = METRICS[metric].factor, METRICS[metric].digits, METRICS[metric].unit
    titles = {method.key: method.title for method in results.plan.experiment.methods}
    rows = [["column", "difference", "cases", f"mean ({unit})", "95 % interval", "p (Wilcoxon)", "p (Holm)"]]
    for test in results.differences(metric):
        result, comparison = test.result, test.comparison
        interval = NO_VALUE
        if result.low is not None and result.high is not None:
            interval = f"{result.low * factor:+.{digits}f} to {result.high * factor:+.{digits}f}"
        rows.append(
            [
                test.column,
                f"{titles[comparison.method]} − {titles[comparison.against]}",
                str(result.cases),
                f"{result.difference * factor:+.{digits}f}",
                interval,
                *(NO_VALUE if p is None else f"{p:.3g}" for p in (result.p, test.corrected)),
            ]
        )
    return rows


def sizes_table(results: Results) -> list[list[str]]:
    """Return the sizes of training, validation and test sets by fold, beside the paper's (table 1)."""
    rows = [["site", "patients", "fold", "train", "val", "test", "labels", "the paper's"]]
    for data in results.plan.sites.values():
        paper = " / ".join(map(str, data.site.sizes))
        for number, fold in enumerate(data.split.folds):
            sizes = [str(len(part)) for part in (fold.train, fold.val, fold.test)]
            labels = ", ".join(map(str, fold.labelled))
            rows.append([data.site.key, data.name, str(number), *sizes, labels, paper])
    return rows


def holes_table(results: Results) -> list[list[str]]:
    """Return which cells have failed, and why."""
    failed = [(name, reason) for name, reason in results.holes.items() if _failed([reason])]
    return [["cell", "why it has no number"], *map(list, failed)] if failed else []


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of them the header, as a Markdown table."""
    header, *body = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summaries_csv(results: Results) -> str:
    """Return every number of every table as CSV, with the paper's where it has one."""
    header = "column,method,metric,unit,mean,sd_of_folds,sd_of_cases,folds,cases,paper_mean,paper_sd"
    rows = []
    for column in results.columns:
        for method in results.plan.experiment.methods:
            for metric, known in METRICS.items():
                summary = results.summary(method.key, column, metric)
                if summary is None:
                    continue
                numbers = [summary.mean, summary.deviation, summary.case_deviation]
                scaled = ["" if number is None else f"{number * known.factor:.4f}" for number in numbers]
                paper = (results.paper(method, column) or ()) if metric == MAIN else ()
                told = [f"{part:.2f}" for part in paper] + [""] * (2 - len(paper))
                rows.append([column, method.key, metric, known.unit, *scaled, summary.folds, summary.cases, *told])
    return _csv(header.split(","), rows)


def cases_csv(results: Results) -> str:
    """Return the value of every case and region as CSV, in the metrics' own units (Dice 0 to 1, distances in mm)."""
    rows = []
    for cell in results.plan.cells:
        for case, metrics in results.values.get(cell.name, {}).items():
            for metric, regions in metrics.items():
                rows += [
                    [cell.site, cell.labelled, cell.fold, cell.method, cell.patients, case, region, metric,
                     "" if value is None else f"{value:.6f}"]
                    for region, value in regions.items()
                ]  # fmt: skip
    return _csv(["site", "labelled", "fold", "method", "patients", "case", "region", "metric", "value"], rows)


def differences_csv(results: Results) -> str:
    """Return the tests of all metrics as CSV, in the metrics' own units."""
    header = ["metric", "column", "method", "against", "cases", "difference", "low", "high", "p", "p_holm"]
    rows = []
    for metric in METRICS:
        for test in results.differences(metric):
            numbers = [test.result.difference, test.result.low, test.result.high, test.result.p, test.corrected]
            told = ["" if number is None else f"{number:.6g}" for number in numbers]
            rows.append(
                [metric, test.column, test.comparison.method, test.comparison.against, test.result.cases, *told]
            )
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def as_json(results: Results) -> dict[str, object]:
    """Return the main numbers for machines."""
    tables: dict[str, Mapping[str, object]] = {}
    for method in results.plan.experiment.methods:
        cells = {}
        for column in results.columns:
            summary = results.summary(method.key, column)
            if summary is not None:
                cells[column] = vars(summary)
        tables[method.key] = cells
    differences = [{"column": t.column, **t.comparison.model_dump(), **vars(t.result), "p_holm": t.corrected}
             for t in results.differences()]  # fmt: skip
    return {MAIN: tables, "differences": differences, "holes": dict(results.holes)}
