"""System libraries: the list of the script is the list that the host checks, and a missing one is named."""

from __future__ import annotations

import re
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
