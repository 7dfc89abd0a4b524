"""Fixtures for tests that run in the host. A conftest.py imports them: `from Testing.host.pytest_plugin import *`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["application", "dialogs", "expected_slot_errors", "fail_on_slot_errors", "load_panel", "scene"]


def skip_without_host() -> None:
    """Skip the test where the host can't start, with the sentence that says what it lacks."""
    from Testing.host.system import MissingPackageError, MissingSystemPackageError, check_packages, check_system

    try:
        check_packages()
        check_system()
    except (MissingPackageError, MissingSystemPackageError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def application() -> Any:
    """The host, started once for all tests, in testing mode and with its window shown."""
    skip_without_host()
    from Testing.host import start_application

    host = start_application(testing=True)
    host.window.show()
    host.process_events()
    return host


@pytest.fixture
def expected_slot_errors() -> list[Any]:
    """The errors of this test's slots; a test that wants some looks at them and clears the list."""
    from Testing.host.pythonqt import slot_errors

    return slot_errors


@pytest.fixture(autouse=True)
def fail_on_slot_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a slot, a virtual method or an observer raised: Slicer would print it and go on."""
    if "application" not in request.fixturenames:
        yield
        return
    from Testing.host.pythonqt import slot_errors
    from Testing.host.pythonqt.signals import SlotError

    def record(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        slot_errors.append(SlotError("a virtual method or an observer", error, repr(error)))
        hook(kind, error, trace)

    slot_errors.clear()
    hook, sys.excepthook = sys.excepthook, record  # where PySide6 and VTK report what C++ can't pass on
    try:
        yield
    finally:
        sys.excepthook = hook
    if slot_errors:
        errors = "\n".join(map(str, slot_errors))
        slot_errors.clear()
        pytest.fail(f"exceptions in slots:\n{errors}", pytrace=False)


@pytest.fixture
def scene(application: Any) -> Iterator[Any]:
    """The MRML scene, empty before and after the test."""
    application.slicer.mrmlScene.Clear(False)
    application.process_events()
    yield application.slicer.mrmlScene
    application.slicer.mrmlScene.Clear(False)
    application.process_events()


@pytest.fixture
def dialogs(application: Any) -> Iterator[Any]:
    """Answers for modal dialogs; one without an answer fails the test instead of waiting for ever."""
    from Testing.host.dialogs import answered_dialogs

    with answered_dialogs() as answers:
        yield answers


@pytest.fixture
def load_panel(application: Any, scene: Any, dialogs: Any) -> Iterator[Any]:
    """A function that loads a scripted module and shows its panel: `widget = load_panel(path)`; unloaded at the end."""
    from Testing.host.application.modules import unload_module

    loaded: list[str] = []

    def load(path: Path | str) -> Any:
        name = application.load_module(path).name
        loaded.append(name)
        application.window.moduleSelector().selectModule(name)
        application.process_events()
        return getattr(application.slicer.modules, f"{name}Widget")

    yield load
    for name in loaded:
        application.window.moduleSelector().selectModule("")
        unload_module(name)
    application.process_events()
