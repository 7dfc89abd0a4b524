"""A site's ledger in plain words: what has left the site, in all, and as a file to hand on."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FedSimCore.files import atomic_path, disk_errors

if TYPE_CHECKING:
    from FedSimCore.federated.ledger import LedgerEntry

COLUMNS = (
    "number",
    "time_utc",
    "study",
    "round",
    "message",
    "in_words",
    "bytes",
    "arrays",
    "values",
    "filter",
    "epsilon",
    "sha256",
)


def sentence(entry: LedgerEntry, method: str = "") -> str:
    """Return what left the site in one message, all of it.

    Args:
        entry: of the ledger.
        method: of the study; empty if unknown.
    """
    return _("{when}: {what}").format(when=when(entry), what=what(entry, method))


def when(entry: LedgerEntry) -> str:
    """Return round and local time, e.g. ``"Round 12, 14:03:22"``."""
    time = clock(entry.time)
    if entry.message == "update":
        return _("Round {round}, {time}").format(round=entry.round + 1, time=time)
    return time


def clock(seconds: float) -> str:
    """Return the local time of day."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def what(entry: LedgerEntry, method: str = "") -> str:
    """Return what left the site, without the time."""
    told = {"agreement": _agreement, "update": _update, "moments": _moments, "refusal": _refusal, "done": _done}
    values = dict(entry.values)
    text = told.get(entry.message, _unknown)(entry, values, method)
    if entry.message not in told or (entry.message not in ("update", "moments") and entry.shapes):
        text += _(", {size} of arrays ({names})").format(size=size_text(entry.bytes), names=", ".join(entry.shapes))
    # Whatever the functions above have not put into words is told as it is.
    rest = "".join(_(", {name}: {value}").format(name=name, value=_short(value)) for name, value in values.items())
    text += rest or _("; nothing else")
    if entry.filter != "none":
        text += _(". Before: {filter}").format(filter=entry.filter)
    if entry.epsilon is not None:
        text += _(" (epsilon {epsilon:.2f} so far)").format(epsilon=entry.epsilon)
    return text


def _agreement(_entry: LedgerEntry, values: dict[str, Any], _method: str) -> str:
    cases = values.pop("cases", None)
    values.pop("study_sha256", None)
    tells = values.pop("metrics", None)
    text = _("agreement to the study, with the number of its cases ({cases}) and the study’s checksum").format(
        cases=cases
    )
    return text + (_(", and that it will tell mean losses") if tells else "")


def _update(entry: LedgerEntry, values: dict[str, Any], method: str) -> str:
    kind = _("gradients") if method == "exact" else _("changes of weights") if method else _("updates")
    text = _("{size} of {kind} of {parts}").format(size=size_text(entry.bytes), kind=kind, parts=parts_text(entry))
    beside = []
    if "cases" in values:
        beside.append(_("the number of cases in it ({cases})").format(cases=values.pop("cases")))
    if "metrics" in values:
        metrics = values.pop("metrics") or {}
        if metrics:
            beside.append(_("means over them ({names})").format(names=_figures(metrics)))
    return text + (_(", with {beside}").format(beside=_(" and ").join(beside)) if beside else "")


def _moments(entry: LedgerEntry, values: dict[str, Any], _method: str) -> str:
    cases = values.pop("cases", None)
    if not entry.shapes:
        text = _("nothing of its hearts’ latents")
    elif any(len(shape) > 1 for shape in entry.shapes.values()):
        text = _("mean and covariance of its hearts’ latents ({size})").format(size=size_text(entry.bytes))
    else:
        text = _("mean and variances of its hearts’ latents ({size})").format(size=size_text(entry.bytes))
    return text + (_(", with the number of its cases ({cases})").format(cases=cases) if cases is not None else "")


def _refusal(_entry: LedgerEntry, values: dict[str, Any], _method: str) -> str:
    return _("a refusal: “{reason}”").format(reason=values.pop("reason", ""))


def _done(_entry: LedgerEntry, _values: dict[str, Any], _method: str) -> str:
    return _("that it is done")


def _unknown(entry: LedgerEntry, _values: dict[str, Any], _method: str) -> str:
    return _("a message called “{name}”").format(name=entry.message)


def parts_text(entry: LedgerEntry) -> str:
    """Return the parts of the model whose arrays a message has, e.g. ``"the shape and the material generator"``."""
    parts = list(dict.fromkeys(name.partition(".")[0] for name in entry.shapes))
    if parts == ["shape", "material"]:
        return _("the shape and the material generator")
    names = {
        "shape": _("the shape generator"),
        "material": _("the material generator"),
        "enhancer": _("the enhancer"),
        "segmenter": _("the segmenter"),
    }
    return _(", ").join(names.get(part, part) for part in parts) or _("no part of the model")


def size_text(count: float) -> str:
    """Return a number of bytes in words, in powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * factor:
            return f"{count / factor:.1f} {unit}"
    return _("{count:.0f} bytes").format(count=count)


def totals_text(entries: Sequence[LedgerEntry], total_bytes: int, problem: str) -> str:
    """Return what has left a site in all, and whether the ledger can be trusted."""
    if not entries:
        return problem or _("Nothing has left this site.")
    kinds = Counter(entry.message for entry in entries)
    names = {
        "agreement": _("agreement"),
        "update": _("updates"),
        "moments": _("of the latents"),
        "refusal": _("refusals"),
        "done": _("“done”"),
    }
    listed = ", ".join(f"{names.get(kind, kind)} {count}" for kind, count in kinds.items())
    first, last = (datetime.fromtimestamp(e.time).strftime("%Y-%m-%d %H:%M") for e in (entries[0], entries[-1]))
    text = _("{count} messages ({listed}), {size} in all, {first} to {last}.").format(
        count=len(entries), listed=listed, size=size_text(total_bytes), first=first, last=last
    )
    intact = _("The chain of checksums is whole: no line was changed or taken out since it was written.")
    return f"{text}\n{problem or intact}"


def export_ledger(source: Path, entries: Sequence[LedgerEntry], target: Path, method: str = "") -> None:
    """Write a ledger for others.

    Args:
        source: the ledger.
        entries: that were read of it.
        target: a table in plain words, or, where the name ends with ``.jsonl``, the ledger as it is.
        method: of the study.

    Raises:
        DiskError: it can't be written.
    """
    with disk_errors(target), atomic_path(target) as path:
        if target.suffix == ".jsonl":
            shutil.copyfile(source, path)
            return
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_row(entry, method) for entry in entries)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _row(entry: LedgerEntry, method: str) -> Sequence[object]:
    arrays = "; ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in entry.shapes.items())
    time = datetime.fromtimestamp(entry.time, timezone.utc).isoformat(timespec="milliseconds")
    values, epsilon = json.dumps(entry.values), "" if entry.epsilon is None else entry.epsilon
    round_ = entry.round + 1 if entry.message == "update" else ""
    words = what(entry, method)
    before = (entry.number, time, entry.study, round_, entry.message, words, entry.bytes, arrays)
    return (*before, values, entry.filter, epsilon, entry.sha256)


def _figures(metrics: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in metrics.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
