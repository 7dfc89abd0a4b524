"""Waiting for a phantom patient behind a progress dialog, with the application awake.

The thread imports what it needs (nibabel, SciPy, pydantic: about a second at the first time), this module does not.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import CancelledError, FedSimError
from FedSimSlicerLib.background import Background

if TYPE_CHECKING:
    from FedSimSlicerLib.sample_data import Sample
    from FedSimSlicerLib.sample_making import MadePhantom, PhantomMaker

POLL_MS = 100
_STEPS = 1000
_SHOW_AFTER_MS = 400


def make_with_dialog(sample: Sample, cache: Path) -> MadePhantom | None:
    """Make a patient and wait for it; None if it failed, which the user is told, or was cancelled."""
    return _Waiting(sample, cache).run()


class _Waiting:
    """A progress dialog round a thread that makes a patient."""

    def __init__(self, sample: Sample, cache: Path) -> None:
        self._sample, self._cache = sample, cache
        self._background = Background()
        self._maker: PhantomMaker | None = None
        self._cancelled = False
        self._step = (0.0, _("starting"))
        self._made: MadePhantom | None = None
        self._error: BaseException | None = None
        self._loop = qt.QEventLoop()
        self._dialog = qt.QProgressDialog(slicer.util.mainWindow())
        self._dialog.setWindowTitle(_("Phantom patient"))
        self._dialog.setWindowModality(qt.Qt.WindowModal)  # nothing else is started meanwhile, but views are drawn
        self._dialog.setMinimumDuration(_SHOW_AFTER_MS)  # not at all when the patient is in the cache
        self._dialog.setAutoClose(False)
        self._dialog.setAutoReset(False)
        self._dialog.setMaximum(_STEPS)
        self._dialog.setLabelText(_("{name} is made on this computer.").format(name=sample.name))
        self._dialog.connect("canceled()", self._cancel)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._show_step)

    def run(self) -> MadePhantom | None:
        """Wait until the patient is made."""
        self._dialog.setValue(0)
        self._timer.start()
        self._background.run(self._make, self._take, self._fail)
        self._loop.exec_()
        self._timer.stop()
        self._background.close()
        self._dialog.close()
        self._dialog.deleteLater()
        if self._error is not None:
            _tell_user(self._error)
        return self._made

    def _make(self) -> MadePhantom:
        """Make the patient, in the thread."""
        from FedSimSlicerLib.sample_making import PhantomMaker

        self._maker = PhantomMaker(self._sample, self._cache)
        if self._cancelled:
            self._maker.cancel()
        return self._maker.make(self._tell)

    def _tell(self, share: float, stage: str) -> None:
        """Take what the thread says; shown by the timer."""
        self._step = (share, stage)

    def _show_step(self) -> None:
        share, stage = self._step
        if not self._dialog.wasCanceled:
            self._dialog.setValue(min(round(share * _STEPS), _STEPS - 1))
            self._dialog.setLabelText(_("The phantom patient is made on this computer: {stage}").format(stage=stage))

    def _cancel(self) -> None:
        self._cancelled = True
        if self._maker is not None:
            self._maker.cancel()

    def _take(self, made: MadePhantom) -> None:
        self._made = made
        self._loop.quit()

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._loop.quit()


def _tell_user(error: BaseException) -> None:
    if isinstance(error, CancelledError):
        return
    if not isinstance(error, FedSimError):
        logging.error("FedSim sample data", exc_info=error)
    slicer.util.errorDisplay(_("The phantom patient could not be loaded: {why}").format(why=error))
