"""Volumes that share window and level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import vtk
from slicer.util import VTKObservationMixin


@dataclass(frozen=True)
class Window:
    """Window and level of a display node, and whether they are found automatically."""

    width: float
    level: float
    automatic: bool

    @classmethod
    def of(cls, display: Any) -> Window:
        """Read a vtkMRMLScalarVolumeDisplayNode."""
        return cls(display.GetWindow(), display.GetLevel(), bool(display.GetAutoWindowLevel()))

    def give(self, display: Any) -> None:
        """Set them, if the display node is still in the scene."""
        if display.GetScene() is not None:
            display.SetWindowLevel(self.width, self.level)
            display.SetAutoWindowLevel(self.automatic)


class LinkedWindows(VTKObservationMixin):
    """Gives the window and level of one volume to others, and goes on doing so whichever of them is changed."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._linked: dict[Any, Window] = {}
        self._copying = False

    def link(self, volumes: Sequence[Any]) -> None:
        """Link these volumes; all take the window of the first, those linked before and not now their own again."""
        displays = [volume.GetDisplayNode() for volume in volumes if volume.GetDisplayNode() is not None]
        before, self._linked = self._linked, {}
        self.removeObservers()
        for display, window in before.items():
            if display not in displays:
                window.give(display)
        self._linked = {display: before.get(display) or Window.of(display) for display in displays}
        for display in displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._on_changed)
        if displays:
            self._copy(displays[0])

    def unlink(self) -> None:
        """Let each volume go its own way, from the window it has now."""
        self.removeObservers()
        self._linked = {}

    def put_back(self) -> None:
        """Unlink the volumes and give each the window that it had before it was linked."""
        self.link([])

    def _on_changed(self, display: Any, _event: Any) -> None:
        if not self._copying:
            self._copy(display)

    def _copy(self, source: Any) -> None:
        self._copying = True
        for display in self._linked:
            if (display.GetWindow(), display.GetLevel()) != (source.GetWindow(), source.GetLevel()):
                display.SetAutoWindowLevel(False)
                display.SetWindowLevel(source.GetWindow(), source.GetLevel())
        self._copying = False
