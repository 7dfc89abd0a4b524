import errno
import os
import stat
from pathlib import Path

import pytest

from FedSimCore.errors import DiskError, ExitCode, InputError
from FedSimCore.files import atomic_path, read_json, sha256_of, write_json


def test_a_file_appears_only_once_it_is_whole(tmp_path):
    target = tmp_path / "result.nii.gz"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.suffixes[-2:] == [".nii", ".gz"]
    assert target.read_bytes() == b"half"
    assert os.listdir(tmp_path) == ["result.nii.gz"]


def test_an_error_leaves_what_was_there_untouched(tmp_path):
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(tmp_path):
    target = tmp_path / "result.json"
    with pytest.raises(DiskError, match="disk is full") as caught, atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.exit_code == ExitCode.DISK
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_the_operating_systems_own_full_disk_error_is_recognised():
    with pytest.raises(DiskError, match="disk is full"):
        from FedSimCore.files import disk_errors

        with disk_errors(Path("/dev/full")), open("/dev/full", "w") as file:
            file.write("x" * 100_000)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DiskError, match="cannot be written"):
        write_json(tmp_path / "no" / "result.json", {})


def test_written_files_have_the_users_ordinary_permissions(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_json(tmp_path / "ours.json", {"a": 1})
    assert stat.S_IMODE((tmp_path / "ours.json").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    write_json(target, {"x": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, {"x": float("nan")})
    assert read_json(target) == {"x": 1.5}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_damaged_json_is_one_sentence(tmp_path, content):
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.json is not a readable JSON file"):
        read_json(path)


def test_missing_json_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "absent.json")


def test_sha256_is_the_standard_one(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
