"""What pip prints while it runs inside Slicer: kept, turned into a bar that can be cancelled, and told in plain words.

Both slicer.packaging and the PyTorch extension print pip's lines to ``sys.stdout`` and hand them to nobody else.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from subprocess import Popen
from types import TracebackType
from typing import Any

import slicer
from slicer.i18n import tr as _

_DOWNLOADS_TORCH = re.compile(r"^\s*(?:Collecting|Downloading) (?:\S*/)?torch\b")
_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)")
_INSTALLS = re.compile(r"^\s*Installing collected packages")


class InstallCancelledError(Exception):
    """The user pressed Cancel while something was being downloaded; nothing had been changed yet."""


class PipOutput:
    """Passes on what is printed and keeps its lines; in use as a context, in place of ``sys.stdout``.

    Args:
        on_line: called with each whole line; what it raises ends whoever prints.
    """

    def __init__(self, on_line: Callable[[str], None] | None = None) -> None:
        self.lines: list[str] = []
        self._on_line = on_line
        self._begun = ""
        self._original: Any = sys.stdout
        self._redirection = contextlib.redirect_stdout(self)

    def __enter__(self) -> PipOutput:
        self._redirection.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redirection.__exit__(kind, error, trace)

    def write(self, text: str) -> int:
        """Take what is printed."""
        self._original.write(text)
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self.lines.append(line)
            if self._on_line is not None:
                self._on_line(line)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class TorchProgress:
    """A bar for the download of PyTorch, with a Cancel that works until the first file is installed.

    The PyTorch extension runs pip in a child process and waits for its lines on the GUI's thread; only between two
    lines is the window alive. So pip is told to print its progress, four lines a second.
    """

    def __init__(self) -> None:
        self._dialog: Any = None
        self._downloads = True

    def on_line(self, line: str) -> None:
        """Show what a line of pip tells.

        Raises:
            InstallCancelledError: the user does not want it any more.
        """
        if self._dialog is None:
            if not _DOWNLOADS_TORCH.match(line):
                return  # Before that slicer.packaging may install a tool of the extension, under a dialog of its own.
            self._show()
        if self._downloads and self._dialog.wasCanceled:
            raise InstallCancelledError
        if found := _PROGRESS.match(line):
            done, total = (int(number) for number in found.groups())
            self._dialog.maximum = 100
            self._dialog.value = min(99, 100 * done // max(total, 1))
            self._dialog.labelText = _("Downloading: {done} of {total} MB").format(
                done=done // 10**6, total=total // 10**6
            )
        elif _INSTALLS.match(line):
            self._downloads = False
            self._dialog.setCancelButton(None)
            self._dialog.maximum = 0
            self._dialog.labelText = _(
                "Installing PyTorch. This takes some minutes, in which Slicer may not respond, and cannot be cancelled."
            )

    def close(self) -> None:
        """Take the bar away."""
        if self._dialog is not None:
            self._dialog.close()
            self._dialog.deleteLater()
            self._dialog = None

    def _show(self) -> None:
        self._dialog = slicer.util.createProgressDialog(
            maximum=0,
            labelText=_("Looking for the PyTorch that fits this computer..."),
            windowTitle=_("FedSim - Installing PyTorch"),
            autoClose=False,
            autoReset=False,
        )
        self._dialog.show()


@contextlib.contextmanager
def pip_environment(**options: str) -> Iterator[None]:
    """Give options to every pip that is started meanwhile, in any process: PIP_NO_INDEX for ``no_index`` and so on."""
    names = {f"PIP_{name.upper()}": value for name, value in options.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def end_process_of(error: BaseException) -> None:
    """End the child whose output was being read when an error was raised.

    Nobody hands the process out, but the frames of the error hold it. Its pipe is closed: with the next line that it
    prints, pip finds no reader and ends, also behind a launcher such as PythonSlicer. A thread waits for that.
    """
    frames = (frame for frame, _line in traceback.walk_tb(error.__traceback__))
    processes = {value for frame in frames for value in frame.f_locals.values() if isinstance(value, Popen)}
    for process in processes:
        if process.stdout is not None:
            process.stdout.close()
        threading.Thread(target=process.wait, name="fedsim-pip-end", daemon=True).start()


def explain_failure(lines: list[str]) -> str:
    """Tell why pip failed, and what to do, from what it printed."""
    text = "\n".join(lines)
    for pattern, sentence in _causes():
        if re.search(pattern, text, re.IGNORECASE):
            return sentence
    last = next((line for line in reversed(lines) if line.strip().lower().startswith("error")), "")
    reason = last.strip() or _("pip does not say why")
    return _("The installation failed ({reason}); see the Python console for all that pip printed.").format(
        reason=reason
    )


def _causes() -> tuple[tuple[str, str], ...]:
    """Return patterns in pip's output with what they mean, the most telling first."""
    return (
        (
            r"No space left on device|Errno 28|not enough space on the disk",
            _("The disk is full; make some GB free and install again."),
        ),
        (
            r"Permission denied|Access is denied|Errno 13|WinError 5\b",
            _(
                "Slicer's folder may not be written; start Slicer once as an administrator, or install Slicer in a "
                "folder of your own, and install again."
            ),
        ),
        (
            r"ResolutionImpossible|conflicting dependencies|\(constraint\)",
            _(
                "A package would have to replace one that belongs to Slicer, so nothing was installed; take versions "
                "that fit this Slicer (see 'What do I need?')."
            ),
        ),
        (
            r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|SSLCertVerification"
            r"|Connection aborted|Connection reset|ConnectionResetError|Max retries exceeded",
            _(
                "The internet could not be reached from here; try again, or use a folder of wheels (see 'What do I "
                "need?')."
            ),
        ),
        (
            r"Filename or extension is too long|Errno 2\].*site-packages|WinError 206",
            _(
                "A path is longer than Windows allows; let an administrator enable long paths (see docs/install.md), "
                "and install again."
            ),
        ),
        (
            r"No matching distribution found|Could not find a version",
            _("A package was not found for this Python and system; use the newest Slicer, and see the Python console."),
        ),
    )
