"""Damage to files, drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from FedSimCore.errors import FedSimError

# Derandomized: the same damage in every run of CI; a wider hunt is a matter of raising max_examples by hand.
bounded = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

_extremes = st.sampled_from(
    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"-1", b"1e999", b"nan"]
)
_edit = st.tuples(
    st.sampled_from(["flip", "overwrite", "insert", "delete", "cut"]),
    st.one_of(st.integers(0, 600), st.integers(0, 1 << 16)),  # headers deserve most of it
    st.one_of(st.binary(min_size=1, max_size=8), _extremes),
)
damages = st.lists(_edit, min_size=1, max_size=6)


def damaged(whole: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    """Apply a drawn damage to a file's bytes."""
    data = bytearray(whole)
    for kind, place, payload in edits:
        at = place % (len(data) + 1)
        if kind == "flip" and at < len(data):
            data[at] ^= payload[0] or 1
        elif kind == "overwrite":
            data[at : at + len(payload)] = payload
        elif kind == "insert":
            data[at:at] = payload
        elif kind == "delete":
            del data[at : at + payload[0]]
        elif kind == "cut" and payload[0] % 4 == 0:
            del data[at:]
    return bytes(data)


def assert_read_or_refused(read: Callable[[Path], object], path: Path) -> None:
    """Nothing but a sentence may come out, and it names the file and is printable on one line."""
    try:
        read(path)
    except FedSimError as error:
        message = str(error)
        assert path.name in message or path.parent.name in message
        assert message.isprintable()
        assert message.endswith(".")
