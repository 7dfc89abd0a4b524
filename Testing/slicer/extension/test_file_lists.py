"""The lists of shipped files in CMake, and the fields that the Extensions Index reads."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path

import pytest

from Testing.extension.file_lists import COMMAND, FILE_LISTS, ROOT, differences

REPOSITORY = "https://github.com/fedsim/SlicerFedSim"
RAW = "https://raw.githubusercontent.com/fedsim/SlicerFedSim/main/"


def test_every_file_that_ships_is_listed_and_no_other() -> None:
    found = differences()
    assert not found, "\n".join([*found, f"Mend the lists by: {COMMAND}"])


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """A small tree with two modules, a resource, and lists that fit it."""
    for name in ("FedSimCore/__init__.py", "FedSimSlicer/FedSimSlicer.py", "Resources/ct/tissues.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in {files.cmake_file for files in FILE_LISTS}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for files in FILE_LISTS:
        files.write(tmp_path)
    assert not differences(tmp_path)
    return tmp_path


def test_a_file_that_no_list_names_is_reported(copied_tree: Path) -> None:
    (copied_tree / "FedSimCore" / "shape").mkdir()
    (copied_tree / "FedSimCore" / "shape" / "new.py").touch()
    (copied_tree / "Resources" / "Screenshots").mkdir()
    (copied_tree / "Resources" / "Screenshots" / "picture.png").touch()
    assert differences(copied_tree) == [
        "FedSimCore/shape/new.py is missing from FedSimCore_PYTHON_SCRIPTS in CMake/FedSimCoreFiles.cmake"
    ]


def test_a_listed_file_that_is_gone_is_reported_and_writing_mends_it(copied_tree: Path) -> None:
    (copied_tree / "Resources" / "ct" / "tissues.json").unlink()
    assert differences(copied_tree) == [
        "Resources/ct/tissues.json in FedSimCore_PYTHON_RESOURCES in CMake/FedSimCoreFiles.cmake "
        "does not exist or does not ship"
    ]
    assert [files.write(copied_tree) for files in FILE_LISTS] == [False, True, False, False]
    assert differences(copied_tree) == []


def test_the_wheel_carries_the_same_resources_as_the_extension() -> None:
    included = re.findall(r'^"(Resources/\w+)" = "FedSimCore/(Resources/\w+)"$', _text("pyproject.toml"), re.MULTILINE)
    assert all(source == target for source, target in included)
    folders = {"/".join(Path(name).parts[:2]) for name in FILE_LISTS[1].wanted()}
    assert {source for source, _target in included} == folders


def test_the_index_can_read_every_field_of_the_extension() -> None:
    text = _text("CMakeLists.txt")
    assert re.search(r"project\s*\(\s*([^\s)]+)", text)[1] == "FedSim"
    fields = dict(re.findall(r'^set\(EXTENSION_(\w+) "([^"\n]+)"\)$', text, re.MULTILINE))
    wanted = {"HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"}
    assert wanted <= set(fields)
    assert fields["HOMEPAGE"] == REPOSITORY
    assert fields["DEPENDS"] == "PyTorch"
    assert ";" not in fields["DESCRIPTION"]  # CMake would make a list of it
    pictures = [fields["ICONURL"], *fields["SCREENSHOTURLS"].split()]
    for url in pictures:
        assert url.startswith(RAW)
        assert (ROOT / url.removeprefix(RAW)).is_file(), url


def test_the_entry_of_the_index_agrees_with_the_extension() -> None:
    entry = json.loads(_text("FedSim.json"))
    assert entry["scm_url"] == REPOSITORY
    assert "slicer" in entry["scm_url"].rsplit("/", 1)[1].lower()  # the Index refuses other names
    assert entry["build_dependencies"] == ["PyTorch"]
    assert f'set(EXTENSION_CATEGORY "{entry["category"]}")' in _text("CMakeLists.txt")


def test_the_entry_of_the_index_fits_slicers_schema(slicer_source: Path | None) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    if slicer_source is None:
        pytest.skip("needs a checkout of Slicer, named in SLICER_SOURCE")
    entry = json.loads(_text("FedSim.json"))
    name = entry["$schema"].rsplit("/", 1)[1].rstrip("#")
    jsonschema.validate(entry, json.loads((slicer_source / "Schemas" / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["FedSim.png", "FedSimSlicer/Resources/Icons/FedSimSlicer.png"])
def test_icons_are_128_pixels_wide_and_high(name: str) -> None:
    head = (ROOT / name).read_bytes()[:24]
    assert struct.unpack(">8x4x4sII", head) == (b"IHDR", 128, 128)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
