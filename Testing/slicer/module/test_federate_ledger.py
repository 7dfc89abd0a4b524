"""Ledgers in plain words: all that left is told, in whatever shape it left."""

from __future__ import annotations

import csv
import json
import re

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from FedSimCore.federated.ledger import Ledger, read_ledger

SHAPES = {"shape.0.weight": (250_000,), "material.0.weight": (250_000,)}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def entry(ledger, application):
    """A function that writes an entry: `entry("update", round=11)`."""

    def write(message, **fields):
        return ledger.record(**{"study": "s", "study_sha256": "0", "message": message, "round": 0, **fields})

    return write


def test_an_update_is_told_with_its_size_its_parts_and_nothing_else(entry):
    from FedSimSlicerLib.federation_ledger import sentence

    told = sentence(entry("update", round=11, shapes=SHAPES, bytes=2_000_000), "exact")
    assert re.fullmatch(
        r"Round 12, \d\d:\d\d:\d\d: 2\.0 MB of gradients of the shape and the material generator; nothing else", told
    )


def test_numbers_that_go_with_an_update_are_told_too(entry):
    from FedSimSlicerLib.federation_ledger import what

    values = {"cases": 4, "metrics": {"loss": 0.25, "iou": 0.5}}
    told = what(entry("update", shapes=SHAPES, bytes=2_000_000, values=values), "fedavg")
    assert told == (
        "2.0 MB of changes of weights of the shape and the material generator, with the number of cases in it (4) and "
        "means over them (loss 0.25, iou 0.5); nothing else"
    )


def test_what_no_sentence_is_made_for_is_told_as_it_is(entry):
    from FedSimSlicerLib.federation_ledger import what

    strange = what(entry("update", shapes=SHAPES, bytes=10, values={"cases": 1, "patients": "Mary"}))
    assert "patients: Mary" in strange
    assert "nothing else" not in strange
    unknown = what(entry("greeting", shapes={"scan": (128, 128, 128)}, bytes=8_388_608, values={"hello": 1}))
    assert unknown == "a message called “greeting”, 8.4 MB of arrays (scan), hello: 1"
    smuggled = what(entry("done", shapes={"labels": (9,)}, bytes=36))
    assert "36 bytes of arrays (labels)" in smuggled


@pytest.mark.parametrize(
    ("message", "fields", "told"),
    [
        (
            "agreement",
            {"values": {"cases": 3, "study_sha256": "f", "metrics": True}},
            "agreement to the study, with the number of its cases (3) and the study’s checksum, and that it will tell "
            "mean losses; nothing else",
        ),
        ("moments", {"values": {"cases": 3}}, "nothing of its hearts’ latents, with the number of its cases (3)"),
        (
            "moments",
            {"shapes": {"latents.mean": (6,), "latents.covariance": (6,)}, "bytes": 48},
            "mean and variances of its hearts’ latents (48 bytes); nothing else",
        ),
        (
            "moments",
            {"shapes": {"latents.mean": (6,), "latents.covariance": (6, 6)}, "bytes": 168},
            "mean and covariance of its hearts’ latents (168 bytes); nothing else",
        ),
        ("refusal", {"values": {"reason": "No."}}, "a refusal: “No.”; nothing else"),
        ("done", {}, "that it is done; nothing else"),
    ],
)
def test_every_kind_of_message_has_its_sentence(entry, message, fields, told):
    from FedSimSlicerLib.federation_ledger import what

    assert what(entry(message, **fields)).startswith(told)


def test_noise_and_epsilon_are_told(entry):
    from FedSimSlicerLib.federation_ledger import what

    told = what(entry("update", shapes=SHAPES, bytes=2_000, filter="noise of 2 times that added", epsilon=1.234))
    assert told.endswith("; nothing else. Before: noise of 2 times that added (epsilon 1.23 so far)")


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1_128, "1.1 kB"), (2e9, "2.0 GB")])
def test_sizes_are_in_powers_of_ten(application, count, text):
    from FedSimSlicerLib.federation_ledger import size_text

    assert size_text(count) == text


def test_totals_add_up_and_tell_whether_the_ledger_is_whole(ledger, entry):
    from FedSimSlicerLib.federation_ledger import totals_text

    entry("agreement")
    for number in range(3):
        entry("update", round=number, bytes=2_000_000)
    entries = read_ledger(ledger.path)
    told = totals_text(entries, sum(each.bytes for each in entries), "")
    assert "4 messages (agreement 1, updates 3), 6.0 MB in all" in told
    assert "no line was changed or taken out" in told
    spoiled = totals_text(entries, 0, "ledger.jsonl, line 3 does not follow the line before: the ledger was changed.")
    assert "line 3" in spoiled
    assert "whole" not in spoiled


def test_the_exported_table_has_every_message_and_the_ledger_itself_its_every_byte(ledger, entry, tmp_path):
    from FedSimSlicerLib.federation_ledger import export_ledger

    entry("agreement", values={"cases": 3})
    entry("update", round=4, shapes=SHAPES, bytes=2_000_000, values={"cases": 2, "metrics": {"loss": 0.5}}, epsilon=1.5)
    entries = read_ledger(ledger.path)
    export_ledger(ledger.path, entries, tmp_path / "out.csv", "exact")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["message"] for row in rows] == ["agreement", "update"]
    update = rows[1]
    assert (update["round"], update["bytes"], update["epsilon"]) == ("5", "2000000", "1.5")
    assert update["arrays"] == "shape.0.weight 250000; material.0.weight 250000"
    assert json.loads(update["values"]) == {"cases": 2, "metrics": {"loss": 0.5}}
    assert "2.0 MB of gradients" in update["in_words"]
    export_ledger(ledger.path, entries, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == ledger.path.read_bytes()
