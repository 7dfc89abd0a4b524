"""Looking at folders again and again in a thread, and handing out what was seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.background import Background
from FedSimSlicerLib.signal import Signal

if TYPE_CHECKING:
    from FedSimSlicerLib.training_runs import Start, TrainingRuns

LOOK_AGAIN_MS = 1000
"""From the end of one look to the next; on a slow drive a look takes longer, and none is begun meanwhile."""
UNSEEN_MS = 10_000
"""The same while nobody sees the panel."""


class Sight(Protocol):
    """What a look gives, as far as it matters here."""

    @property
    def begun(self) -> Collection[Path]:
        """Folders of starts that have come to work since the last look."""

    @property
    def failed(self) -> Mapping[Path, str]:
        """Folders of those that ended before, with the reason."""


S = TypeVar("S", bound=Sight)
Look = Callable[[Path, tuple[Path, ...], "tuple[Start, ...]"], S]
"""Takes the folder, what is chosen in it, and starts that are under way; called in the thread."""


class RepeatedLook(Generic[S]):
    """Looks at what there is in a folder every second.

    Attributes:
        seen: emitted after every look.
        folder: where to look, in subfolders too.
        chosen: what details are wanted of.

    Args:
        runs: whose starts are followed.
        look: looks.
        blind: gives what stands for a look that has failed, with the sentence that says why.
    """

    def __init__(self, runs: TrainingRuns, look: Look[S], blind: Callable[[str], S]) -> None:
        self.seen: Signal[[S]] = Signal()
        self.folder = Path()
        self.chosen: tuple[Path, ...] = ()
        self._runs, self._look, self._blind = runs, look, blind
        self._background = Background()
        self._again = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._timer.connect("timeout()", self.look)

    def look(self) -> None:
        """Look now, or as soon as the look that is under way has ended."""
        if self._background.busy:
            self._again = True
            return
        self._timer.stop()
        self._again = False
        folder, chosen, starting = self.folder, self.chosen, tuple(self._runs.starting.values())
        self._background.run(lambda: self._look(folder, chosen, starting), self._tell, self._fail)

    def set_pace(self, seen: bool) -> None:
        """Look less often while nobody sees what comes of it."""
        pace = LOOK_AGAIN_MS if seen else UNSEEN_MS
        if self._timer.interval != pace:  # setting it lets a running timer begin anew
            self._timer.setInterval(pace)

    def close(self) -> None:
        """End."""
        self._timer.stop()
        self._background.close()

    def _tell(self, seen: S) -> None:
        for folder in (*seen.begun, *seen.failed):
            self._runs.started(folder)
        self._timer.start()
        self.seen.emit(seen)
        if self._again:
            self.look()

    def _fail(self, error: BaseException) -> None:
        self._tell(self._blind(_("The runs cannot be read ({why}).").format(why=error)))
