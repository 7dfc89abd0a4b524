"""`slicer.app` and its module manager."""

from __future__ import annotations

import os
import tempfile
from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import Property, QObject, QSettings, Signal
from PySide6.QtWidgets import QApplication

from Testing.host.pythonqt import cxx_class, private

DOWNLOAD_PAGE = "https://download.slicer.org"
VERSION = (5, 12)


@cxx_class("Base/QTCore/qSlicerModuleManager.h")
class qSlicerModuleManager(QObject):
    """The modules that there are."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def module(self, name: str) -> Any:
        import slicer

        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> tuple[str, ...]:
        import slicer

        return tuple(sorted(vars(slicer.moduleNames).values()))


@cxx_class("Base/QTGUI/qSlicerApplication.h")
class qSlicerApplication(QApplication):
    """The application.

    Left out: extensions, error log, DICOM database, Python console, languages, restart (which is recorded in
    `restart_requests`).
    """

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    _vtk_signatures = {"mrmlSceneChanged": ("mrmlSceneChanged(vtkMRMLScene*)",)}  # noqa: RUF012

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        private(self, testing=False, restarts=0, modules=None, layout=None, io=None, logic=None, scene=None)

    def mrmlScene(self) -> Any:
        return private(self).scene

    def applicationLogic(self) -> Any:
        return private(self).logic

    def moduleManager(self) -> qSlicerModuleManager:
        return private(self).modules

    def moduleLogic(self, name: str) -> Any:
        module = private(self).modules.module(name)
        return module.logic() if module is not None else None

    def layoutManager(self) -> Any:
        return private(self).layout

    def coreIOManager(self) -> Any:
        return private(self).io

    def ioManager(self) -> Any:
        return private(self).io

    def testingEnabled(self) -> bool:
        """Whether dialogs are answered without being shown."""
        return bool(private(self).testing)

    def commandOptions(self) -> Any:
        return SimpleNamespace(testingEnabled=self.testingEnabled(), noMainWindow=False)

    def settings(self) -> QSettings:
        return QSettings()

    def userSettings(self) -> QSettings:
        return QSettings()

    def startupEnvironment(self) -> dict[str, str]:
        return dict(os.environ)

    def pauseRender(self) -> None:
        private(self).layout.pauseRender()

    def resumeRender(self) -> None:
        private(self).layout.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        private(self).layout.setRenderPaused(paused)

    def restart(self) -> None:
        private(self).restarts += 1

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def openNodeModule(self, _node: Any) -> None:
        """Slicer would go to the module that edits the node; the host has none."""

    temporaryPath = Property(str, lambda _self: tempfile.gettempdir())
    majorVersion = Property(int, lambda _self: VERSION[0])
    minorVersion = Property(int, lambda _self: VERSION[1])
    documentationBaseUrl = Property(str, lambda _self: "https://slicer.readthedocs.io/en/{}.{}/".format(*VERSION))
    mainApplicationName = Property(str, lambda _self: "Slicer")
    slicerHome = Property(str, lambda _self: "")
    releaseType = Property(str, lambda _self: "FedSim host")


def restart_requests() -> int:
    """How often a module has asked for a restart."""
    import slicer

    return int(private(slicer.app).restarts)
