"""Ledgers and rounds are read as they grow, with the result that reading them whole has."""

from __future__ import annotations

import pytest

from FedSimCore.federated.following import LedgerHistory, RoundHistory
from FedSimCore.federated.ledger import Ledger, read_ledger
from FedSimCore.federated.status import RoundRecord, read_rounds


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl")


def write(ledger, count, bytes_=10):
    for number in range(count):
        ledger.record(study="s", study_sha256="", message="update", round=number, bytes=bytes_)


@pytest.mark.parametrize("portion", [None, 1, 700])
def test_a_growing_ledger_is_read_as_one_that_is_read_whole(ledger, portion):
    history = LedgerHistory(ledger.path)
    assert history.update(portion) == []
    for more in (3, 1, 5):
        write(ledger, more)
        while history.update(portion):
            pass
        assert history.entries == read_ledger(ledger.path)
    assert (history.bytes, history.problem) == (90, "")


def test_half_a_line_is_left_for_the_next_time(ledger):
    write(ledger, 2)
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(content[:-20])
    history = LedgerHistory(ledger.path)
    assert len(history.update()) == 1
    ledger.path.write_bytes(content)
    assert len(history.update()) == 1
    assert history.problem == ""


@pytest.mark.parametrize("spoil", [lambda lines: lines[:1] + lines[2:], lambda lines: [*lines[:2], b"{}", *lines[3:]]])
def test_what_follows_a_changed_line_is_not_taken(ledger, spoil):
    write(ledger, 4)
    lines = ledger.path.read_bytes().splitlines()
    ledger.path.write_bytes(b"\n".join(spoil(lines)) + b"\n")
    history = LedgerHistory(ledger.path)
    while history.update(100):
        pass
    assert len(history.entries) <= 2
    assert "line" in history.problem
    assert history.update() == []


def test_a_number_that_was_made_smaller_is_found_by_the_next_line(ledger):
    write(ledger, 3, bytes_=2_000_000)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b'"bytes":2000000', b'"bytes":2', 1))
    history = LedgerHistory(ledger.path)
    history.update()
    assert len(history.entries) == 1
    assert "line 2 does not follow the line before" in history.problem


def test_rounds_that_were_repeated_count_once(tmp_path):
    path = tmp_path / "rounds.jsonl"
    history = RoundHistory(path)
    for numbers in ([1, 2, 3], [3, 4], [2], [3]):
        with path.open("a") as file:
            for number in numbers:
                record = RoundRecord(round=number, time=len(numbers), seconds=0.1, sites={"a": 2})
                file.write(record.model_dump_json() + "\n")
        while history.update(50):
            pass
        assert list(history.rounds.values()) == read_rounds(path)
    assert list(history.rounds) == [1, 2, 3]
