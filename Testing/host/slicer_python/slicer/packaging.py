"""Stand-in for `slicer.packaging` that asks and records, and never installs.

`pip_ensure` checks what is installed and asks for consent as Slicer does; then, instead of running pip, it appends to
`recorded_installs` and calls `installer` if a test has set one. In testing mode it records and does not ask.

Left out: progress dialog, `skip_packages` beyond passing it on, checks of transitive requirements, pyproject files.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement


@dataclasses.dataclass(frozen=True)
class RecordedInstall:
    """A call of pip that Slicer would have made."""

    requirements: tuple[str, ...]
    skip_packages: tuple[str, ...]
    constraints: str | None
    requester: str | None
    consent: bool | None  # None: nobody was asked


recorded_installs: list[RecordedInstall] = []
installer: Callable[[RecordedInstall], None] | None = None


def load_requirements(path: str | Path) -> list[Requirement]:
    """The requirements in a file; comments and pip's options are passed over."""
    lines = (line.strip() for line in Path(path).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def isPipInstallInProgress() -> bool:
    """Whether pip runs in the background, which it never does here."""
    return False


def _as_requirements(given: Any) -> list[Requirement]:
    if isinstance(given, Requirement):
        return [given]
    items = shlex.split(given) if isinstance(given, str) else given
    return [item if isinstance(item, Requirement) else Requirement(item) for item in items]


def pip_check(req: Any) -> bool:
    """Whether all requirements that apply here are installed, in versions that fit."""
    return all(_is_satisfied(r) for r in _as_requirements(req) if r.marker is None or r.marker.evaluate())


def _is_satisfied(requirement: Requirement) -> bool:
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(installed, prereleases=True)


def pip_ensure(
    requirements: Any,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Ask for and record the installation of what is missing.

    Raises:
        RuntimeError: the user declined.
    """
    import slicer

    missing = [r for r in _as_requirements(requirements) if not pip_check(r)]
    if not missing:
        return None
    consent = None
    testing = slicer.app.testingEnabled()
    if prompt_install and not testing:
        title = f"{requester} - Install Python Packages" if requester else "Install Python Packages"
        text = (
            f"{len(missing)} Python packages need to be installed.\n\nThis will modify Slicer's Python environment. "
            "Continue?"
        )
        names = "\n".join(f"- {r}" for r in missing)
        consent = slicer.util.confirmOkCancelDisplay(text, title, detailedText=names)
    _record(missing, skip_packages, constraints, requester, consent)
    if consent is False:
        raise RuntimeError("User declined package installation")
    return list(skip_packages) if skip_packages else None


def pip_install(
    requirements: Any,
    constraints: str | Path | None = None,
    no_deps_requirements: Any = None,
    skip_packages: list[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> list[str] | None:
    """Record an installation."""
    _record(requirements, skip_packages, constraints, requester, None)
    if completedCallback:
        completedCallback(0)
    return list(skip_packages) if skip_packages else None


def _record(requirements: Any, skip: Any, constraints: Any, requester: str | None, consent: bool | None) -> None:
    items = shlex.split(requirements) if isinstance(requirements, str) else requirements
    install = RecordedInstall(
        tuple(map(str, items)), tuple(skip or ()), str(constraints) if constraints else None, requester, consent
    )
    recorded_installs.append(install)
    if installer is not None and consent is not False:
        installer(install)
