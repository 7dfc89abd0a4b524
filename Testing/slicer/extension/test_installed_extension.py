"""The extension, built and installed by CMake round a stand-in for Slicer's build, and loaded from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from Testing.extension.file_lists import FILE_LISTS, ROOT
from Testing.host.pytest_plugin import skip_without_host

STAND_IN = ROOT / "Testing" / "extension" / "slicer_build"
MODULES = Path("lib/Slicer-5.12/qt-scripted-modules")


def _run_tool(tool: str, *arguments: str) -> str:
    """Run CMake or CTest, of the system or of this Python's environment; returns what it printed."""
    found = shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))
    if found is None or shutil.which("c++") is None:
        pytest.skip("needs cmake (pip install cmake) and a C++ compiler, which every build of an extension asks for")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{tool} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _install(folder: Path, *settings: str) -> Path:
    """Configure, build and install the extension; returns the folder of scripted modules."""
    build, prefix = str(folder / "build"), folder / "installed"
    _run_tool("cmake", "-S", str(ROOT), "-B", build, f"-DSlicer_DIR={STAND_IN}", "-DBUILD_TESTING=ON", *settings)
    _run_tool("cmake", "--build", build)
    _run_tool("cmake", "--install", build, "--prefix", str(prefix))
    return prefix / MODULES


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _install(tmp_path_factory.mktemp("extension"))


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"}


def test_the_listed_files_are_installed_and_no_other(installed: Path) -> None:
    assert _files(installed) == {name for files in FILE_LISTS for name in files.listed()}


def test_slicers_own_macros_install_the_same(
    tmp_path: Path, installed: Path, slicer_source: Path | None, ctk_source: Path | None
) -> None:
    if slicer_source is None or ctk_source is None:
        pytest.skip("needs checkouts of Slicer and CTK, named in SLICER_SOURCE and CTK_SOURCE")
    by_slicer = _install(tmp_path, f"-DSLICER_SOURCE={slicer_source}", f"-DCTK_SOURCE={ctk_source}")
    assert _files(by_slicer) == _files(installed)


def test_the_modules_own_test_is_registered_with_ctest(installed: Path) -> None:
    tests = json.loads(_run_tool("ctest", "--test-dir", str(installed.parents[3] / "build"), "--show-only=json-v1"))
    assert [test["name"] for test in tests["tests"]] == ["py_FedSimSlicer"]


@pytest.fixture(scope="module")
def answer(installed: Path) -> dict[str, Any]:
    """What a process finds whose Python looks into the installed folder before anything else."""
    skip_without_host()
    path = os.pathsep.join([str(installed), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "Testing.extension.try_installed", str(installed)],
        capture_output=True, text=True, timeout=240, cwd=installed, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_installed_module_loads_from_its_folder_alone(installed: Path, answer: dict[str, Any]) -> None:
    assert answer["errors"] == []
    assert len(answer["files"]) > 20
    assert [name for name in answer["files"] if not Path(name).is_relative_to(installed)] == []
    assert Path(answer["model"]).is_relative_to(installed)


def test_no_part_of_the_module_imports_torch_into_slicer(answer: dict[str, Any]) -> None:
    assert not answer["torch_imported"]


def test_the_modules_own_test_passes_where_it_is_installed(answer: dict[str, Any]) -> None:
    assert answer["tests_run"] >= 1
    assert answer["passed"], answer["report"]
