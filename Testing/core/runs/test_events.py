"""Events survive crashes, and a resumed run replaces what it repeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from FedSimCore.errors import DiskError
from FedSimCore.runs.events import Ended, EventLog, Noted, Progressed, Saved, Started, read_events, still_valid


def started(step, session=1):
    return Started(session=session, step=step, total=10, recipe="r", pid=1, host="h", device="cpu")


def progressed(step):
    return Progressed(stage="training", step=step, total=10, metrics={"loss": 1 / step})


def test_events_come_back_as_they_were_told(tmp_path):
    told = [started(0), progressed(3), Saved(step=3, file="c.json"), Noted(text="ä"), Ended(state="finished", step=10)]
    log = EventLog(tmp_path / "events.jsonl")
    for event in told:
        log.append(event)
    log.close()
    assert read_events(tmp_path / "events.jsonl")[0] == told


def test_a_reader_gets_only_what_is_new_and_never_half_a_line(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(progressed(1))
    first, place = read_events(path)
    log.append(progressed(2))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert read_events(path, place) == ([], place)
    path.write_bytes(whole)
    second, _ = read_events(path, place)
    assert [event.step for event in (*first, *second)] == [1, 2]


@pytest.mark.parametrize("portion", [1, 100, 350, 10**6])
def test_a_reader_may_take_portions_and_misses_nothing(tmp_path, portion):
    path, told = tmp_path / "events.jsonl", [started(0), *map(progressed, range(1, 30))]
    log = EventLog(path)
    for event in told:
        log.append(event)
    log.close()
    lengths = [len(line) + 1 for line in path.read_bytes().splitlines()]
    found, place, portions = [], 0, 0
    while True:
        new, place = read_events(path, place, portion)
        if not new:
            break
        assert len(new) <= max(1, portion // min(lengths))
        found += new
        portions += 1
    assert found == told
    assert place == path.stat().st_size
    assert (portions == 1) == (portion == 10**6)


def test_a_line_that_a_power_failure_cut_short_is_skipped_and_spoils_no_other(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(progressed(1))
    log.append(progressed(2))
    log.close()
    path.write_bytes(path.read_bytes()[:-10])
    log = EventLog(path)
    log.append(progressed(3))
    log.close()
    assert [event.step for event in read_events(path)[0]] == [1, 3]


def test_lines_of_a_later_version_or_of_nobody_are_skipped(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"kind": "telepathy"}}\n\x00\x00\n[]\n{progressed(4).model_dump_json()}\n')
    assert [event.step for event in read_events(path)[0]] == [4]


def test_a_resumed_session_makes_later_steps_of_the_one_before_obsolete():
    told = [started(0), progressed(2), Saved(step=2, file="c"), progressed(4), Noted(text="n"), started(2, 2)]
    kept = still_valid([*told, progressed(3)])
    assert [getattr(event, "step", event.kind) for event in kept] == [0, 2, 2, "note", 2, 3]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_told_in_one_sentence():
    log = EventLog.__new__(EventLog)
    log.path = Path("/dev/full")
    log._file = log.path.open("ab", buffering=0)
    with pytest.raises(DiskError, match="disk is full"):
        log.append(progressed(1))
    log.close()
