from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid
from FedSimCore.worker import protocol as p
from FedSimCore.worker.exchange import read_arrays, write_arrays
from FedSimCore.worker.reporting import Reporter
from Testing.core.worker.conversation import ROOT, heart


def test_the_protocol_is_readable_without_torch() -> None:
    code = "import sys, FedSimCore.worker.protocol, FedSimCore.worker.exchange; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_client_imports_neither_pydantic_nor_numpy_nor_qt() -> None:
    code = (
        "import sys; sys.path.insert(0, 'FedSimSlicer'); import FedSimSlicerLib.worker_client; "
        "assert not {'pydantic', 'numpy', 'torch', 'qt', 'FedSimCore'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_request_survives_its_line() -> None:
    task = p.RenderTask(parameters=heart(0.1), materials={3: p.Material(base="blood_right", iodine_mg_ml=4.0)})
    request = p.Request(
        id=4, channel="full", task=task, arrays={"a": p.ArrayFile(file="a.raw", dtype="uint8", shape=(2, 3))}
    )
    assert p.read_command(request.model_dump_json().encode()) == request


def test_a_grid_survives_as_numbers() -> None:
    grid = Grid((3, 4, 5), np.array([[0, -1.2, 0, 7], [0.9, 0.1, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1]]))
    assert p.GridSpec.of(grid).grid().same_as(grid, 1e-12)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[1]", b'{"type": "polish"}', b"\xff\xfe", b"null", b'{"type": "cancel"}']
)
def test_lines_that_are_no_messages_are_refused_in_a_sentence(line: bytes) -> None:
    with pytest.raises(InputError, match=r"cannot be used: .*\.$"):
        p.read_command(line)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "a/b.raw", "A.raw", "a.npy"])
def test_an_array_file_lies_in_the_exchange_folder(name: str) -> None:
    with pytest.raises(ValueError, match="file"):
        p.ArrayFile(file=name, dtype="uint8", shape=(1,))


def test_a_grid_that_would_eat_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="voxels together"):
        p.GridSpec.centered(513, 0.1)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_arrays_come_back_as_they_were_and_leave_no_file(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(1)
    array = (rng.normal(size=(7, 5, 3)) * 50).astype(dtype)
    arrays = {"a": np.asfortranarray(array), "part": array[::2, 1:, ::-1], "none": array[:0]}
    found = read_arrays(tmp_path, write_arrays(tmp_path, arrays))
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_array_is_told_and_removed(tmp_path: Path) -> None:
    files = write_arrays(tmp_path, {"hu": np.ones(1000, dtype=np.float32)})
    path = tmp_path / files["hu"].file
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="3996 bytes instead of 4000"):
        read_arrays(tmp_path, files)
    assert list(tmp_path.iterdir()) == []


def test_an_array_of_complex_numbers_has_no_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'z'"):
        write_arrays(tmp_path, {"z": np.ones(3, dtype=complex)})


def test_parts_make_one_fraction() -> None:
    told: list[p.Progress] = []
    report = Reporter(1, told.append, lambda: None, lambda result, arrays: None)
    for number, progress in enumerate(report.parts([1, 3])):
        progress(0, 2, f"part {number}")
        with report.part(0.5, 1.0) as inner:
            inner(1, 1, f"end of {number}")
    assert [message.fraction for message in told] == pytest.approx([0, 0.25, 0.25, 1.0])


def test_remaining_time_is_what_the_work_took_so_far_scaled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("FedSimCore.worker.reporting.time.monotonic", lambda: now[0])
    told: list[p.Progress] = []
    report = Reporter(1, told.append, lambda: None, lambda result, arrays: None)
    for now[0], done in ((0.5, 1), (2.0, 2), (2.01, 3), (6.0, 6)):
        report(done, 8, "work")
    assert [(m.step, m.remaining_s) for m in told] == [(1, None), (2, pytest.approx(6)), (6, pytest.approx(2))]
