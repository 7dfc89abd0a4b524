"""A folder of wheels for computers without internet: what it lacks, and how to fill it."""

from __future__ import annotations

import platform
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from FedSimSlicerLib.dependencies import installed_version

PULLED_ALONG = ("numpy", "packaging", "setuptools", "typing-extensions")
"""Slicer's own packages on which FedSim's depend; pip download takes them too, and has to take Slicer's versions."""

TORCH_WHEELS = "https://download.pytorch.org/whl"
CUDA = "cu130"
"""CUDA of the PyTorch wheels for NVIDIA cards; needs a driver of version 580 or later."""

_LINUX_TAGS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True)
class Wheel:
    """A wheel file that fits this Python and this system."""

    path: Path
    version: Version

    def needs(self, extras: Iterable[str]) -> list[Requirement]:
        """Return what it requires here, as its metadata tells.

        Raises:
            OSError, zipfile.BadZipFile, ValueError: the file cannot be read as a wheel.
        """
        with zipfile.ZipFile(self.path) as archive:
            name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
            if name is None:
                raise ValueError("it has no METADATA")
            headers = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
        found = [Requirement(text) for text in headers.get_all("Requires-Dist", [])]
        return [r for r in found if _applies(r, extras)]


@dataclass
class WheelFolder:
    """The wheels in a folder.

    Attributes:
        path: of the folder.
        wheels: package name to those that fit.
        unfit: package name to names of files for another Python or system.
    """

    path: Path
    wheels: dict[str, list[Wheel]] = field(default_factory=dict)
    unfit: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> WheelFolder:
        """Look at the names of all files in a folder.

        Raises:
            OSError: it cannot be read.
        """
        folder, fitting = cls(path), frozenset(sys_tags())
        for file in sorted(path.iterdir()):
            try:
                name, version, _build, tags = parse_wheel_filename(file.name)
            except InvalidWheelFilename:
                continue
            if tags & fitting:
                folder.wheels.setdefault(name, []).append(Wheel(file, version))
            else:
                folder.unfit.setdefault(name, []).append(file.name)
        return folder

    def has(self, requirement: Requirement) -> bool:
        """Tell whether a fitting wheel is there."""
        return self._best(requirement) is not None

    def lacks(self, requirements: Iterable[Requirement], pinned: Mapping[str, str]) -> list[str]:
        """Name what is neither installed nor in the folder, of the requirements and all that they need in turn.

        It walks the newest fitting wheel of each package; pip has the last word on what goes together.

        Args:
            requirements: to be installed.
            pinned: version of each installed package that has to stay, by name.

        Returns:
            A line per missing wheel; empty if the folder suffices.
        """
        lines: list[str] = []
        waiting = [(requirement, "") for requirement in requirements]
        seen: set[str] = set()
        while waiting:
            requirement, needed_by = waiting.pop(0)
            if str(requirement) in seen or _is_installed(requirement):
                continue
            seen.add(str(requirement))
            wheel = self._best(requirement)
            if requirement.name in pinned or canonicalize_name(requirement.name) in pinned:
                lines.append(_pin_line(requirement, needed_by))
            elif wheel is None:
                lines.append(self._lack_line(requirement, needed_by))
            else:
                try:
                    waiting += [(needed, wheel.path.name) for needed in wheel.needs(requirement.extras)]
                except (OSError, zipfile.BadZipFile, ValueError) as error:
                    lines.append(f"{wheel.path.name} cannot be read ({error}); copy it again")
        return lines

    def _best(self, requirement: Requirement) -> Wheel | None:
        there = self.wheels.get(canonicalize_name(requirement.name), [])
        fitting = [w for w in there if requirement.specifier.contains(w.version, prereleases=True)]
        return max(fitting, key=lambda wheel: wheel.version, default=None)

    def _lack_line(self, requirement: Requirement, needed_by: str) -> str:
        name = canonicalize_name(requirement.name)
        line = _named(requirement, needed_by)
        if older := self.wheels.get(name):
            return f"{line}: the folder has only {', '.join(w.path.name for w in older)}"
        if other := self.unfit.get(name):
            return f"{line}: {', '.join(other)} is for another Python or system than {python_tag()}, {system_name()}"
        return line


def python_tag() -> str:
    """Return e.g. ``"Python 3.12"``."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor}"


def system_name() -> str:
    """Return system and processor, e.g. ``"Windows AMD64"``."""
    return f"{platform.system()} {platform.machine()}"


def download_command(requirements: Iterable[Requirement], cuda: bool = False) -> str:
    """Return the command that fills the folder ``fedsim-wheels`` on a computer with internet.

    It asks for wheels for this system and Python, and for those versions of Slicer's own packages that are here.

    Args:
        requirements: to be installed.
        cuda: take PyTorch for NVIDIA cards, some GB, rather than for the processor, some hundred MB.
    """
    pins = [f"{name}=={version}" for name in PULLED_ALONG if (version := installed_version(name)) is not None]
    wanted = " ".join(f'"{item}"' for item in (*map(str, requirements), *pins))
    platforms = " ".join(f"--platform {tag}" for tag in _platform_tags())
    return (
        f"python -m pip download {wanted} --only-binary=:all: {platforms} --implementation cp "
        f"--python-version {sys.version_info.major}.{sys.version_info.minor} "
        f"--extra-index-url {TORCH_WHEELS}/{CUDA if cuda else 'cpu'} -d fedsim-wheels"
    )


def _platform_tags() -> tuple[str, ...]:
    if sys.platform.startswith("linux"):
        return tuple(f"{tag}_{platform.machine()}" for tag in _LINUX_TAGS)
    # Of macOS pip takes all older versions too.
    own = next(tag.platform for tag in sys_tags()) if sys.platform == "darwin" else sysconfig.get_platform()
    return (own.replace("-", "_").replace(".", "_"),)


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def _is_installed(requirement: Requirement) -> bool:
    version = installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _named(requirement: Requirement, needed_by: str) -> str:
    return f"{requirement}, needed by {needed_by}" if needed_by else str(requirement)


def _pin_line(requirement: Requirement, needed_by: str) -> str:
    version = installed_version(requirement.name)
    return f"{_named(requirement, needed_by)}: Slicer's own {requirement.name} {version} has to stay"
