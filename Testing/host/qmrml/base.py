"""Widgets that know the scene."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from Testing.host.ctk.collapsible import ctkCollapsibleButton
from Testing.host.pythonqt import cxx_class, private

SCENE_SIGNAL = {"mrmlSceneChanged": ("mrmlSceneChanged(vtkMRMLScene*)",)}


class SceneHolder:
    """`setMRMLScene` and `mrmlSceneChanged`."""

    def setMRMLScene(self, scene: Any) -> None:
        state = private(self)
        if scene is not getattr(state, "scene", None):
            state.scene = scene
            self.mrmlSceneChanged.emit(scene)


@cxx_class("Libs/MRML/Widgets/qMRMLWidget.h")
class qMRMLWidget(SceneHolder, QWidget):
    """A widget that passes the scene on to those in it."""

    mrmlSceneChanged = Signal(object)
    _vtk_signatures = SCENE_SIGNAL

    def mrmlScene(self) -> Any:
        return getattr(private(self), "scene", None)


@cxx_class("Base/QTGUI/qSlicerWidget.h")
class qSlicerWidget(SceneHolder, QWidget):
    """A widget that passes the scene on to those in it."""

    mrmlSceneChanged = Signal(object)
    _vtk_signatures = SCENE_SIGNAL


@cxx_class("Libs/MRML/Widgets/qMRMLCollapsibleButton.h")
class qMRMLCollapsibleButton(SceneHolder, ctkCollapsibleButton):
    """A folding section that passes the scene on to the widgets in it."""

    mrmlSceneChanged = Signal(object)
    _vtk_signatures = SCENE_SIGNAL
