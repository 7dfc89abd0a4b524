"""A mode that swings to and fro."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import qt

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_editor import HeartEditor

PERIOD_S = 4.0
FRAME_MS = 40


class ModeAnimation:
    """Swings one mode's weight between plus and minus a limit; where it began it comes back to.

    Args:
        editor: whose heart is moved.
    """

    def __init__(self, editor: HeartEditor) -> None:
        self._editor = editor
        self._mode, self._limit, self._first, self._began = 0, 0.0, 0.0, 0.0
        self._timer = qt.QTimer()
        self._timer.setInterval(FRAME_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def running(self) -> bool:
        """Whether a mode swings."""
        return bool(self._timer.isActive())

    def start(self, mode: int, limit_sigma: float) -> None:
        """Let a mode swing, from where it is."""
        self.stop()
        self._editor.commit()
        self._mode, self._limit = mode, limit_sigma
        self._first = self._editor.heart.weights[mode]
        self._began = time.monotonic()
        self._timer.start()

    def stop(self) -> None:
        """Stop, and put the mode back to where it was; the swing is nothing to undo."""
        if self.running:
            self._timer.stop()
            if self._mode < len(self._editor.heart.weights):
                self._editor.set_weight(self._mode, self._first)
            self._editor.commit()

    def _step(self) -> None:
        if self._mode >= len(self._editor.heart.weights):
            self.stop()
            return
        start = math.asin(max(-1.0, min(1.0, self._first / self._limit)))
        phase = 2 * math.pi * (time.monotonic() - self._began) / PERIOD_S
        self._editor.set_weight(self._mode, self._limit * math.sin(start + phase))
