"""Volumes that share window and level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk
from slicer.util import VTKObservationMixin


class LinkedWindows(VTKObservationMixin):
    """Gives the window and level of one volume to others, and goes on doing so whichever of them is changed."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._displays: list[Any] = []
        self._before: list[tuple[Any, bool, float, float]] = []
        self._copying = False

    def link(self, volumes: Sequence[Any]) -> None:
        """Link these volumes in place of earlier ones; all take the window of the first."""
        self.unlink()
        self._displays = [volume.GetDisplayNode() for volume in volumes if volume.GetDisplayNode() is not None]
        self._before = [(d, bool(d.GetAutoWindowLevel()), d.GetWindow(), d.GetLevel()) for d in self._displays]
        for display in self._displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._on_changed)
        if self._displays:
            self._copy(self._displays[0])

    def unlink(self) -> None:
        """Let each volume go its own way, from the window it has now."""
        self.removeObservers()
        self._displays = []

    def put_back(self) -> None:
        """Unlink the volumes and give each the window that it had before it was linked."""
        self.unlink()
        for display, automatic, window, level in self._before:
            if display.GetScene() is not None:
                display.SetWindowLevel(window, level)
                display.SetAutoWindowLevel(automatic)
        self._before = []

    def _on_changed(self, display: Any, _event: Any) -> None:
        if not self._copying:
            self._copy(display)

    def _copy(self, source: Any) -> None:
        self._copying = True
        for display in self._displays:
            if display is not source and _window(display) != _window(source):
                display.SetAutoWindowLevel(False)
                display.SetWindowLevel(*_window(source))
        self._copying = False


def _window(display: Any) -> tuple[float, float]:
    return display.GetWindow(), display.GetLevel()
