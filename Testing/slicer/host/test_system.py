"""System libraries: the list of the script is the list that the host checks, and a missing one is named."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from Testing.host import system

SCRIPT = Path(__file__).parents[3] / system.SCRIPT


def test_the_script_installs_the_packages_that_the_host_checks_for():
    listed = re.search(r"^packages=\(([^)]*)\)", SCRIPT.read_text(), re.MULTILINE)
    assert listed is not None
    # A font is no library, so there's nothing to check for; without one Qt draws no text.
    assert set(listed[1].split()) == {*system.LIBRARIES.values(), "fonts-dejavu-core"}
    for_a_screen = re.search(r"^  packages\+=\(([^)]*)\)", SCRIPT.read_text(), re.MULTILINE)
    assert for_a_screen is not None
    assert for_a_screen[1].split() == list(system.SCREEN_LIBRARIES.values())


def test_a_missing_library_is_named_with_its_package_and_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(system, "_loads", lambda name: name != "libEGL.so.1")
    monkeypatch.setattr(system.sys, "platform", "linux")
    with pytest.raises(system.MissingSystemPackageError, match=r"libEGL\.so\.1.*install_system_packages\.sh.*libegl1$"):
        system.check_system()


def test_other_systems_need_none_of_them(monkeypatch):
    monkeypatch.setattr(system, "_loads", lambda _name: False)
    monkeypatch.setattr(system.sys, "platform", "win32")
    system.check_system(screen=True)


def test_a_window_needs_a_screen(monkeypatch):
    monkeypatch.setattr(system.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(system.MissingSystemPackageError, match="no screen to open a window on"):
        system.check_system(screen=True)


def test_a_missing_python_package_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(system, "PACKAGES", {"a_package_that_nobody_has": "slicer-core", "json": "json"})
    with pytest.raises(system.MissingPackageError, match=r"without slicer-core; install FedSim's extra desktop"):
        system.check_packages()


@pytest.fixture
def run_script(tmp_path):
    """Run the script where no package is installed and root asks; other commands' answers by name, in shell."""

    def run(*given, **commands):
        usual = {"dpkg-query": "exit 1", "apt-get": 'echo "$@"', "id": "echo 0"}
        for name, command in {**usual, **commands}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
            (tmp_path / name).chmod(0o755)
        shell = ["/bin/bash", str(SCRIPT), *given]
        return subprocess.run(shell, capture_output=True, text=True, timeout=30, env={"PATH": str(tmp_path)})

    return run


needs_bash = pytest.mark.skipif(not Path("/bin/bash").exists(), reason="the script is for Debian and Ubuntu")


@needs_bash
def test_the_script_installs_what_is_missing(run_script):
    done = run_script("--screen")
    assert done.returncode == 0
    asked = done.stdout.splitlines()[-1].split()
    assert set(asked) >= {*system.LIBRARIES.values(), *system.SCREEN_LIBRARIES.values()}


@needs_bash
def test_the_script_asks_for_nothing_where_all_is_installed(run_script):
    done = run_script(**{"dpkg-query": "echo install ok installed", "apt-get": "exit 1"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_bash
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"id": "echo 1000"}, "this needs root, and there is no sudo"),
        ({"apt-get": "exit 1"}, "apt-get update failed"),
    ],
)
def test_the_script_says_why_it_cannot_and_what_to_install_by_hand(run_script, answers, reason):
    done = run_script(**answers)
    assert done.returncode == 1
    assert f"{reason}; install by hand: libegl1" in done.stderr
