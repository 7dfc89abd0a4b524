"""What the modes mean in words: asked of the worker once, then kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import qt
from pydantic import ValidationError

from FedSimCore import __version__
from FedSimCore.errors import FedSimError
from FedSimCore.files import atomic_path
from FedSimCore.resources import resource_path
from FedSimCore.worker.protocol import ModeRow, ModeTableResult, ModeTableTask
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_surface import HeartSurface
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed
    from FedSimSlicerLib.worker_service import WorkerService

CHANNEL = "modes"
WORDS = "shape/mode_words.json"


class ModeMeanings:
    """Tells what the modes of a model mean.

    The paper's modes are asked for first, because they are there after a few seconds; all of the model's modes when
    more are used.

    Args:
        worker: works it out.
        surface: the shape model.
        take: called with the modes' rows and the sigma they are told for, whenever there are more.
        folder: where they are kept; the user's cache folder if None.
    """

    def __init__(
        self,
        worker: WorkerService,
        surface: HeartSurface,
        take: Callable[[tuple[ModeRow, ...], float], None],
        folder: Path | None = None,
    ) -> None:
        self._worker, self._surface, self._take = worker, surface, take
        self._usual = len(surface.mean_heart().weights)
        self._path = (folder or _cache_folder()) / f"modes-{_fingerprint(surface.checksum)}.json"
        self._asked = 0
        known = self._read()
        self._known = 0 if known is None else len(known.modes)
        if known is not None:
            take(known.modes, known.sigma)

    def want(self, modes: int) -> None:
        """See to it that so many modes are told, now or later."""
        if modes <= max(self._known, self._asked):
            return
        self._asked = self._usual if modes <= self._usual else self._surface.mode_count
        self._worker.ask(CHANNEL, ModeTableTask(modes=self._asked), Reply(self._take_answer, failed=self._on_failed))

    def _take_answer(self, event: RequestDone) -> None:
        result = cast(ModeTableResult, event.result)
        self._known = len(result.modes)
        self._take(result.modes, result.sigma)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path) as path:
                path.write_text(result.model_dump_json(), encoding="utf-8")
        except (FedSimError, OSError) as error:
            logging.info(f"FedSim: the modes' meanings are not kept for the next start: {error}")

    def _on_failed(self, event: RequestFailed) -> None:
        if event.cause == "lost":  # with the worker; any other failure would come again with every move
            self._asked = 0

    def _read(self) -> ModeTableResult | None:
        try:
            kept = ModeTableResult.model_validate_json(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            return None  # none is kept, or it is damaged: it is asked for anew
        return kept if kept.modes else None


def _fingerprint(checksum: str) -> str:
    """Return a name that is another one for another model, other words or another version of FedSim."""
    words = resource_path(WORDS).read_bytes()
    return hashlib.sha256(b"\n".join((checksum.encode(), __version__.encode(), words))).hexdigest()[:16]


def _cache_folder() -> Path:
    return Path(qt.QStandardPaths.writableLocation(qt.QStandardPaths.CacheLocation)) / "FedSim"
