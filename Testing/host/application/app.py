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
class qSlicerModuleManager(QObject):  # noqa: N801 -- Slicer's name
    """The modules that there are."""

    moduleLoaded = Signal(str)  # noqa: N815 -- Slicer's name
    moduleAboutToBeUnloaded = Signal(str)  # noqa: N815 -- Slicer's name

    def module(self, name: str) -> Any:
        import slicer

        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> tuple[str, ...]:  # noqa: N802 -- Slicer's name
        import slicer

        return tuple(sorted(vars(slicer.moduleNames).values()))


@cxx_class("Base/QTGUI/qSlicerApplication.h")
class qSlicerApplication(QApplication):  # noqa: N801 -- Slicer's name
    """The application.

    Left out: extensions, error log, DICOM database, Python console, languages, restart (which is recorded in
    `restart_requests`).
    """

    startupCompleted = Signal()  # noqa: N815 -- Slicer's name
    mrmlSceneChanged = Signal(object)  # noqa: N815 -- Slicer's name
    _vtk_signatures = {"mrmlSceneChanged": ("mrmlSceneChanged(vtkMRMLScene*)",)}  # noqa: RUF012

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        private(self, testing=False, restarts=0, modules=None, layout=None, io=None, logic=None, scene=None)

    def mrmlScene(self) -> Any:  # noqa: N802 -- Slicer's name
        return private(self).scene

    def applicationLogic(self) -> Any:  # noqa: N802 -- Slicer's name
        return private(self).logic

    def moduleManager(self) -> qSlicerModuleManager:  # noqa: N802 -- Slicer's name
        return private(self).modules

    def moduleLogic(self, name: str) -> Any:  # noqa: N802 -- Slicer's name
        module = private(self).modules.module(name)
        return module.logic() if module is not None else None

    def layoutManager(self) -> Any:  # noqa: N802 -- Slicer's name
        return private(self).layout

    def coreIOManager(self) -> Any:  # noqa: N802 -- Slicer's name
        return private(self).io

    def ioManager(self) -> Any:  # noqa: N802 -- Slicer's name
        return private(self).io

    def testingEnabled(self) -> bool:  # noqa: N802 -- Slicer's name
        """Whether dialogs are answered without being shown."""
        return bool(private(self).testing)

    def commandOptions(self) -> Any:  # noqa: N802 -- Slicer's name
        return SimpleNamespace(testingEnabled=self.testingEnabled(), noMainWindow=False)

    def settings(self) -> QSettings:
        return QSettings()

    def userSettings(self) -> QSettings:  # noqa: N802 -- Slicer's name
        return QSettings()

    def startupEnvironment(self) -> dict[str, str]:  # noqa: N802 -- Slicer's name
        return dict(os.environ)

    def pauseRender(self) -> None:  # noqa: N802 -- Slicer's name
        private(self).layout.pauseRender()

    def resumeRender(self) -> None:  # noqa: N802 -- Slicer's name
        private(self).layout.resumeRender()

    def setRenderPaused(self, paused: bool) -> None:  # noqa: N802 -- Slicer's name
        private(self).layout.setRenderPaused(paused)

    def restart(self) -> None:
        private(self).restarts += 1

    def moduleDocumentationUrl(self, name: str) -> str:  # noqa: N802 -- Slicer's name
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def openNodeModule(self, _node: Any) -> None:  # noqa: N802 -- Slicer's name
        """Slicer would go to the module that edits the node; the host has none."""

    temporaryPath = Property(str, lambda _self: tempfile.gettempdir())  # noqa: N815 -- Slicer's name
    majorVersion = Property(int, lambda _self: VERSION[0])  # noqa: N815 -- Slicer's name
    minorVersion = Property(int, lambda _self: VERSION[1])  # noqa: N815 -- Slicer's name
    documentationBaseUrl = Property(  # noqa: N815 -- Slicer's name
        str, lambda _self: "https://slicer.readthedocs.io/en/{}.{}/".format(*VERSION)
    )
    mainApplicationName = Property(str, lambda _self: "Slicer")  # noqa: N815 -- Slicer's name
    slicerHome = Property(str, lambda _self: "")  # noqa: N815 -- Slicer's name
    releaseType = Property(str, lambda _self: "FedSim host")  # noqa: N815 -- Slicer's name


def restart_requests() -> int:
    """How often a module has asked for a restart."""
    import slicer

    return int(private(slicer.app).restarts)
