import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from FedSimCore.errors import DiskError, FedSimError, InputError
from FedSimCore.shape import model_file
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.model_file import read_model, write_model
from Testing.core.shape.small_model import small_arrays, small_header, small_model


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    small_model().save(path)
    return path.read_bytes()


def altered(tmp_path: Path, **arrays: np.ndarray) -> Path:
    """A file whose checksum is right but whose arrays make no model."""
    path = tmp_path / "m.safetensors"
    write_model(path, small_arrays() | arrays, small_header())
    return path


def test_a_missing_file_and_another_suffix_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_model(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="name the model file so"):
        write_model(tmp_path / "m.npz", small_arrays(), small_header())
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_called_damaged(tmp_path, good_bytes):
    path = tmp_path / "m.safetensors"
    for size in (0, 7, 100, len(good_bytes) // 2, len(good_bytes) - 1):
        path.write_bytes(good_bytes[:size])
        with pytest.raises(InputError, match="damaged or no safetensors file"):
            read_model(path)


def test_one_flipped_bit_of_the_vertices_is_noticed(tmp_path, good_bytes):
    path = tmp_path / "m.safetensors"
    damaged = bytearray(good_bytes)
    damaged[-5000] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match="does not match its checksum"):
        read_model(path)


def test_another_version_says_which_one_it_is(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    monkeypatch.setattr(model_file, "SCHEMA", "fedsim/shape-model/99")
    small_model().save(path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="'fedsim/shape-model/99', this FedSim reads 'fedsim/shape-model/1'"):
        read_model(path)


def test_a_safetensors_file_of_something_else_is_no_model(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(InputError, match="no FedSim shape model"):
        read_model(path)
    save_file({"weight": np.zeros(3)}, path, {"fedsim": "[1, 2]"})
    with pytest.raises(InputError, match="no FedSim shape model"):
        read_model(path)


@pytest.mark.parametrize("name", ["mean", "modes", "eigenvalues"])
def test_nan_is_refused(tmp_path, name):
    array = small_arrays()[name].copy()
    array.flat[0] = np.nan
    with pytest.raises(InputError, match=f"NaN or infinite numbers in '{name}'"):
        read_model(altered(tmp_path, **{name: array}))


def test_negative_eigenvalues_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"negative eigenvalue \(-1 mm²\)"):
        read_model(altered(tmp_path, eigenvalues=np.array([3.0, 2.0, -1.0])))


def test_modes_that_are_not_orthonormal_are_refused(tmp_path):
    with pytest.raises(InputError, match="not orthonormal"):
        read_model(altered(tmp_path, modes=small_arrays()["modes"] * np.float32(1.01)))


def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit each other"):
        read_model(altered(tmp_path, eigenvalues=np.ones(2)))
    with pytest.raises(InputError, match="faces that do not fit"):
        read_model(altered(tmp_path, faces=small_arrays()["faces"] + 1))
    with pytest.raises(InputError, match="has the arrays"):
        read_model(altered(tmp_path, extra=np.ones(2)))


def test_an_open_surface_makes_no_model(tmp_path):
    arrays = small_arrays()
    cut = {name: np.delete(arrays[name], 5, axis=0) for name in ("faces", "face_region")}
    with pytest.raises(InputError, match="not closed"):
        ShapeModel.load(altered(tmp_path, **cut))


def test_a_failed_write_leaves_the_old_file(tmp_path, good_bytes, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(good_bytes)

    def disk_runs_full(arrays, filename, metadata):
        Path(filename).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", disk_runs_full)
    with pytest.raises(DiskError, match="disk is full"):
        small_model().save(path)
    assert path.read_bytes() == good_bytes
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def _header_length(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_the_file_does_more_than_raise_one_sentence(tmp_path, good_bytes, data):
    damaged = bytearray(good_bytes)
    # Most damage goes where it matters: the JSON header.
    end = data.draw(st.sampled_from([_header_length(good_bytes), len(good_bytes)]))
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, end - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 2000)) if data.draw(st.booleans()) else 0
    path = tmp_path / "m.safetensors"
    path.write_bytes(bytes(damaged[: len(damaged) - cut]))
    try:
        ShapeModel.load(path)
    except FedSimError as error:
        assert str(path) in str(error)  # noqa: PT017 (most damage raises, some is harmless)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(json.loads(small_header().model_dump_json()))), value=_json)
def test_no_header_entry_does_more_than_raise_one_sentence(tmp_path, key, value):
    path = tmp_path / "m.safetensors"
    content = small_header().model_dump(mode="json") | {key: value}
    arrays = small_arrays()
    envelope = {"schema": model_file.SCHEMA, "sha256": model_file._checksum(arrays, content), "header": content}
    save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path, {"fedsim": json.dumps(envelope)})
    try:
        ShapeModel.load(path)
    except FedSimError as error:
        assert str(path) in str(error)  # noqa: PT017 (most damage raises, some is harmless)
