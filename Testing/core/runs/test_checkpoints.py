"""At every moment the newest valid checkpoint is a whole one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from FedSimCore.errors import DiskError, InputError
from FedSimCore.runs.checkpoints import CheckpointStore


def save(store, step, session=1):
    return store.save(session, step, lambda path: path.write_bytes(b"tensors of %d" % step), {"step": step})


def newest_step(store):
    found = store.newest_good(lambda text: None)
    return found[1]["step"] if found else None


def test_the_newest_checkpoint_comes_back_and_only_as_many_as_asked_are_kept(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    assert newest_step(store) is None
    for step in (10, 20, 30):
        save(store, step)
    assert newest_step(store) == 30
    assert [c.step for c in store.stored()] == [30, 20]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


def test_a_later_session_counts_as_newer_whatever_its_step(tmp_path):
    store = CheckpointStore(tmp_path, keep=5)
    save(store, 200, session=1)
    save(store, 120, session=2)
    assert newest_step(store) == 120


@pytest.mark.parametrize("what", ["json cut", "json changed", "tensors cut", "tensors gone", "json empty"])
def test_a_damaged_newest_checkpoint_is_passed_over_saying_so(tmp_path, what):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    newest = save(store, 2)
    text = newest.path.read_text()
    if what == "json cut":
        newest.path.write_text(text[: len(text) // 2])
    elif what == "json changed":
        newest.path.write_text(text.replace('"step": 2', '"step": 3'))
    elif what == "tensors cut":
        newest.tensors.write_bytes(newest.tensors.read_bytes()[:-1])
    elif what == "tensors gone":
        newest.tensors.unlink()
    else:
        newest.path.write_text("")
    said = []
    found = store.newest_good(said.append)
    assert found is not None
    assert found[1] == {"step": 1}
    assert len(said) == 1
    assert newest.path.stem in said[0]


def test_if_all_are_damaged_it_is_told_and_nothing_is_begun_anew_in_silence(tmp_path):
    store = CheckpointStore(tmp_path)
    save(store, 1).tensors.unlink()
    with pytest.raises(InputError, match="All 1 checkpoints"):
        store.newest_good(lambda text: None)


OPERATIONS = {"fsync": (os, "fsync"), "rename": (Path, "replace"), "open": (Path, "open"), "remove": (Path, "unlink")}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("call", range(1, 5))
def test_a_save_that_breaks_off_at_any_operation_leaves_a_whole_checkpoint(tmp_path, monkeypatch, operation, call):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 1)
    owner, name = OPERATIONS[operation]
    real, calls = getattr(owner, name), []

    def breaks(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, breaks)
        try:
            save(store, 2)
            complete = True
        except (DiskError, OSError):
            complete = False
    # An operation may fail after the checkpoint is valid, e.g. when old ones are removed; then it counts.
    assert newest_step(store) == 2 if complete else newest_step(store) in (1, 2)
    save(store, 3)
    assert newest_step(store) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_the_old_checkpoint_is_removed_only_after_the_new_one_has_reached_the_disk(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 1)
    order = []
    fsync, unlink = os.fsync, Path.unlink
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(
        Path, "unlink", lambda path, **kwargs: (order.append(f"remove {path.name}"), unlink(path, **kwargs))[1]
    )
    save(store, 2)
    removed = [index for index, what in enumerate(order) if "step-00000001" in what]
    synced = [index for index, what in enumerate(order) if what == "sync"]
    assert removed
    assert len(synced) >= 3  # tensors, JSON, folder
    assert min(removed) > max(synced)
