"""Installing what FedSim needs: PyTorch through Slicer's PyTorch extension, the rest through slicer.packaging.

Whichever way, pip is held to the versions of Slicer's own packages that are there; what can't go together with them is
refused before anything is changed. Every failure becomes a sentence, and what is there afterwards is looked up anew.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any, TypeVar

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib import dependencies
from FedSimSlicerLib.dependencies import TORCH, Missing
from FedSimSlicerLib.pip_output import (
    InstallCancelledError,
    PipOutput,
    TorchProgress,
    end_process_of,
    explain_failure,
    pip_environment,
)

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from FedSimSlicerLib.wheel_folder import WheelFolder

REQUESTER = "FedSim"
EXTENSION, EXTENSION_MODULE = "PyTorch", "PyTorchUtils"
_RAW_PROGRESS_SINCE = (24, 1)
T = TypeVar("T")


class NotInstalledError(Exception):
    """Something was not installed; the text is for the user."""


class PackageInstaller:
    """Installs the packages of a requirements file into Slicer's Python.

    Args:
        requirements: the file.
        application: ``slicer.app``, or what plays it.
    """

    def __init__(self, requirements: Path = dependencies.REQUIREMENTS, application: Any = None) -> None:
        self._file = requirements
        self._application = slicer.app if application is None else application

    def missing(self) -> list[Missing]:
        """Return what is missing or too old now."""
        return dependencies.missing(self._file)

    def install(self) -> str:
        """Install what is missing from the internet; returns what the user has to know, nothing if all is well."""
        return self._told(self._install)

    def install_from(self, folder: Path) -> str:
        """Install what is missing from a folder of wheels, without internet; returns what the user has to know."""
        return self._told(lambda: self._install_from(folder))

    def needs_extension(self) -> bool:
        """Tell whether PyTorch is missing and the extension that installs it is not there."""
        return any(m.name == TORCH for m in self.missing()) and find_spec(EXTENSION_MODULE) is None

    def get_extension(self) -> str:
        """Let Slicer's Extensions Manager install the PyTorch extension; returns what the user has to know."""
        model = getattr(self._application, "extensionsManagerModel", None)
        if model is None:
            return _("This application has no Extensions Manager; take PyTorch from a folder of wheels.")
        # It asks for consent and offers the restart itself.
        if model().isExtensionInstalled(EXTENSION) or model().installExtensionFromServer(EXTENSION):
            return _("The extension PyTorch is installed; restart Slicer, then install again.")
        return _(
            "The extension PyTorch was not installed. Install it in View > Extensions Manager (which can also install "
            "from a file), or take PyTorch from a folder of wheels."
        )

    def download_command(self, cuda: bool) -> str:
        """Return the command that fills a folder of wheels; see :func:`wheel_folder.download_command`."""
        from FedSimSlicerLib.wheel_folder import download_command

        return download_command(self._wanted(), cuda)

    def _wanted(self) -> list[Requirement]:
        """Return the requirements that are not met; all of them if none is missing."""
        names = {m.name for m in self.missing()}
        return [r for r in dependencies.requirements(self._file) if r.name in names or not names]

    def _told(self, installation: Callable[[], None]) -> str:
        if _packaging().isPipInstallInProgress():
            return _("Another module is installing packages; wait until it has finished, then try again.")
        try:
            installation()
        except NotInstalledError as why:
            return str(why)
        finally:
            importlib.invalidate_caches()
        if lacking := self.missing():
            names = ", ".join(map(str, lacking))
            return _("Still missing: {names}. Press Install, or take it from a folder of wheels.").format(names=names)
        return ""

    def _install(self) -> None:
        lacking = self._wanted()
        with dependencies.constraints_file() as constraints:
            others = [r for r in lacking if r.name != TORCH]
            if others:
                _ensure(others, constraints)
            for torch in (r for r in lacking if r.name == TORCH):
                _install_torch(torch, constraints)

    def _install_from(self, path: Path) -> None:
        folder = _read(path)
        lacking = self._wanted()
        torch = next((r for r in lacking if r.name == TORCH), None)
        if torch is not None and folder.has(torch):
            _refuse_if_loaded(torch)
        elif torch is not None and len(lacking) > 1:
            lacking.remove(torch)  # The PyTorch extension can bring it; what remains is told as still missing.
        lines = _meanwhile(lambda: folder.lacks(lacking, dependencies.slicers_own()))
        if lines:
            listed = "\n".join(f"• {line}" for line in lines)
            raise NotInstalledError(
                _("Nothing was installed, because these wheels are missing in {folder}:\n{lines}").format(
                    folder=path, lines=listed
                )
            )
        with (
            dependencies.constraints_file() as constraints,
            pip_environment(no_index="1", find_links=path.resolve().as_uri()),
        ):
            _ensure(lacking, constraints)


def _ensure(lacking: list[Requirement], constraints: Path) -> None:
    """Let slicer.packaging ask, install under its progress dialog, and offer a restart.

    Its dialog is modal and lets the application draw every 10 ms; pip cannot be cancelled under it.

    Raises:
        NotInstalledError: the user declined, or pip failed.
    """
    with PipOutput() as output, _reported(output):
        _packaging().pip_ensure(lacking, constraints=constraints, requester=REQUESTER)


def _install_torch(torch: Requirement, constraints: Path) -> None:
    """Let the PyTorch extension choose, ask for consent and install.

    It runs pip on the GUI's thread and imports torch at the end; both are its own. The constraints reach its pip by the
    environment, as a URL because pip splits such values at blanks.

    Raises:
        NotInstalledError: the extension is missing, the user declined or cancelled, or pip failed.
    """
    if find_spec(EXTENSION_MODULE) is None:
        raise NotInstalledError(
            _(
                "PyTorch is still missing. Slicer's PyTorch extension installs it: press 'Get the PyTorch extension', "
                "or take PyTorch from a folder of wheels."
            )
        )
    _refuse_if_loaded(torch)
    logic = importlib.import_module(EXTENSION_MODULE).PyTorchUtilsLogic()
    progress = TorchProgress()
    options = {"constraint": constraints.as_uri(), **({"progress_bar": "raw"} if _pip_prints_progress() else {})}
    try:
        with pip_environment(**options), PipOutput(progress.on_line) as output, _reported(output):
            if logic.installTorch(True, None, str(torch.specifier)) is None:
                raise NotInstalledError(_("PyTorch was not installed, because you declined."))
    finally:
        progress.close()


@contextmanager
def _reported(output: PipOutput) -> Iterator[None]:
    """Turn whatever the installation raises into a sentence."""
    try:
        yield
    except NotInstalledError:
        raise
    except InstallCancelledError as error:
        end_process_of(error)
        raise NotInstalledError(_("The installation was cancelled; nothing was changed.")) from None
    except CalledProcessError as error:
        raise NotInstalledError(explain_failure(output.lines)) from error
    except Exception as error:  # of code that is not ours, and must not leave the panel without a word
        logging.exception("FedSim: the installation failed")
        raise NotInstalledError(_("Nothing was installed: {reason}.").format(reason=str(error).rstrip("."))) from error


def _refuse_if_loaded(torch: Requirement) -> None:
    """Refuse to replace a PyTorch that is in use: its libraries are locked on Windows and broken elsewhere.

    Raises:
        NotInstalledError: it is.
    """
    if TORCH in sys.modules:
        version = dependencies.installed_version(TORCH)
        raise NotInstalledError(
            _(
                "PyTorch {version} is too old for FedSim ({wanted}) and in use by another module; restart Slicer, and "
                "install before you use that module."
            ).format(version=version, wanted=torch)
        )


def _packaging() -> Any:
    """Return ``slicer.packaging``, which Slicer does not load before somebody needs it."""
    return importlib.import_module("slicer.packaging")


def _read(path: Path) -> WheelFolder:
    from FedSimSlicerLib.wheel_folder import WheelFolder

    try:
        return _meanwhile(lambda: WheelFolder.read(path))
    except OSError as error:
        raise NotInstalledError(
            _("The folder {folder} cannot be read ({reason}); choose another one.").format(
                folder=path, reason=error.strerror or error
            )
        ) from error


def _pip_prints_progress() -> bool:
    version = (dependencies.installed_version("pip") or "0").split(".")
    return tuple(int(part) for part in version[:2] if part.isdigit()) >= _RAW_PROGRESS_SINCE


def _meanwhile(function: Callable[[], T]) -> T:
    """Call a function in a thread while the application draws; for files that may lie on a slow network drive."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(function)
        while not future.done():
            slicer.app.processEvents()
            qt.QThread.msleep(5)
        return future.result()
