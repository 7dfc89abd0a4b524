"""What FedSim needs in Slicer's Python, and what of it is missing; nothing heavy is imported to find out.

The list is ``Resources/requirements.txt``. Whatever is installed, nothing of ``Resources/slicers_packages.txt`` is
replaced: :func:`constraints_file` holds pip to the versions that are there.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

RESOURCES = Path(__file__).parents[1] / "Resources"
REQUIREMENTS = RESOURCES / "requirements.txt"
TRAINING_REQUIREMENTS = RESOURCES / "requirements-training.txt"
"""What only trainings need; asked for when the first one is started."""
SEGMENTING_REQUIREMENTS = RESOURCES / "requirements-segmenting.txt"
"""What only segmenting needs; asked for when its panel is opened, so that PyTorch is there already."""
FEDERATED_REQUIREMENTS = RESOURCES / "requirements-federated.txt"
"""What studies of several sites need; asked for when the first one is started."""
TORCH = "torch"


@dataclass(frozen=True)
class Missing:
    """A package that is not there, or too old.

    Attributes:
        requirement: as in the requirements file, e.g. ``"pydantic>=2.7"``.
        name: of the package.
        installed: the version that is too old, or None.
    """

    requirement: str
    name: str
    installed: str | None = None

    def __str__(self) -> str:
        wanted = self.requirement.replace(self.name, "", 1)
        text = f"{self.name} {wanted[2:]} or later" if wanted.startswith(">=") else self.requirement
        return f"{text} (version {self.installed} is installed)" if self.installed else text


def requirements(path: Path = REQUIREMENTS) -> list[Requirement]:
    """Return the requirements that apply on this system."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in _lines(path)]
    return [r for r in wanted if r.marker is None or r.marker.evaluate()]


def missing(path: Path = REQUIREMENTS) -> list[Missing]:
    """Return what is not installed, too old, or half there (metadata without its package); imports none of it."""
    importlib.invalidate_caches()
    return [found for requirement in requirements(path) if (found := _missing(requirement)) is not None]


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def slicers_own() -> dict[str, str]:
    """Return name and version of each of Slicer's own packages that is installed."""
    names = _lines(RESOURCES / "slicers_packages.txt")
    return {name: version for name in names if (version := installed_version(name)) is not None}


@contextmanager
def constraints_file() -> Iterator[Path]:
    """A file for ``pip -c`` that keeps Slicer's own packages as they are; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="fedsim-pip-") as folder:
        path = Path(folder) / "slicers-own-packages.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in slicers_own().items()), encoding="utf-8")
        yield path


def _lines(path: Path) -> list[str]:
    """Return the lines of a requirements file that are requirements, neither comments nor options of pip."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _missing(requirement: Requirement) -> Missing | None:
    installed = installed_version(requirement.name)
    if installed is None or find_spec(requirement.name.replace("-", "_")) is None:
        return Missing(str(requirement), requirement.name)
    if not requirement.specifier.contains(installed, prereleases=True):
        return Missing(str(requirement), requirement.name, installed)
    return None
