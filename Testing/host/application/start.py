"""Starting the host in a process."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE_VARIABLE = "SLICER_SOURCE"
STAND_INS = Path(__file__).parents[1] / "slicer_python"


@dataclass
class Application:
    """The host that runs in this process."""

    slicer: Any
    window: Any
    slicer_source: Path | None
    keep: list[Any] = field(default_factory=list)  # what must live as long as the process

    def load_module(self, path: Path | str) -> Any:
        """Load a scripted module; see `modules.load_module`."""
        from Testing.host.application.modules import load_module

        return load_module(path)

    def process_events(self) -> None:
        """Let Qt do what waits to be done."""
        self.slicer.app.processEvents()


_running: Application | None = None


def start_application(
    *, slicer_source: Path | str | None = None, testing: bool = False, settings_folder: Path | str | None = None
) -> Application:
    """Start the host in this process, or give the one that runs.

    Args:
        slicer_source: a checkout of Slicer's source, whose own Python files (ScriptedLoadableModule,
            parameterNodeWrapper, i18n, packaging, cli, SampleData) then take the place of our stand-ins; also taken
            from the environment variable SLICER_SOURCE.
        testing: what `slicer.app.testingEnabled()` answers: dialogs are then answered and not shown.
        settings_folder: where QSettings are kept; a temporary folder if not given.

    Raises:
        MissingSystemPackageError: a system library that Qt or VTK needs is not installed; it says which package has it.
        FileNotFoundError: `slicer_source` is no checkout of Slicer.
    """
    global _running
    if _running is None:
        source = slicer_source or os.environ.get(SOURCE_VARIABLE) or None
        _running = _start(Path(source) if source else None, settings_folder)
    from Testing.host.pythonqt import private

    private(_running.slicer.app).testing = testing or private(_running.slicer.app).testing
    return _running


def _start(source: Path | None, settings_folder: Path | str | None) -> Application:
    from Testing.host.system import check_system

    check_system()
    python = _slicer_python(source)
    _prepare_qt(settings_folder)
    from Testing.host import ctk, qmrml
    from Testing.host.application.app import qSlicerApplication
    from Testing.host.pythonqt import install

    install()
    ctk.install()
    app = qSlicerApplication(sys.argv[:1])
    app.applicationName = "Slicer"
    app.setStyle("Fusion")

    import slicer

    slicer.app = slicer.qApp = app
    slicer.__path__.extend(str(p) for p in python)
    if source is not None:
        sys.path.append(str(source / "Modules" / "Scripted" / "SampleData"))
    else:
        sys.path.append(str(STAND_INS / "modules"))
    qmrml.install()
    application = Application(slicer, None, source)
    _make_scene(application)
    return application


def _slicer_python(source: Path | None) -> list[Path]:
    """Folders that join the package `slicer`."""
    if source is None:
        return [STAND_INS / "slicer"]
    folder = source / "Base" / "Python" / "slicer"
    if not (folder / "ScriptedLoadableModule.py").is_file():
        raise FileNotFoundError(f"{source} is no checkout of Slicer's source: it has no Base/Python/slicer")
    return [folder]


def _prepare_qt(settings_folder: Path | str | None) -> None:
    from PySide6.QtCore import QCoreApplication, QSettings

    QCoreApplication.setOrganizationName("FedSim")
    QCoreApplication.setApplicationName("Slicer")
    QSettings.setDefaultFormat(QSettings.IniFormat)
    folder = str(settings_folder) if settings_folder else tempfile.mkdtemp(prefix="fedsim-host-settings-")
    QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, folder)


def _make_scene(application: Application) -> None:
    """The scene with Slicer's default nodes, the application's and the modules' logics, the views and the window."""
    import vtk

    from Testing.host.application import modules, subject_hierarchy
    from Testing.host.application.app import qSlicerModuleManager
    from Testing.host.application.io_manager import qSlicerIOManager
    from Testing.host.application.main_window import MainWindow
    from Testing.host.pythonqt import private
    from Testing.host.views.layout_manager import qSlicerLayoutManager

    slicer = application.slicer
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application.keep.append(_give_cache(slicer, scene))
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as Slicer's Colors module does
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    private(slicer.app, scene=scene, logic=logic, modules=qSlicerModuleManager(), io=qSlicerIOManager())
    source = application.slicer_source
    terminologies = source / "Modules" / "Loadable" / "Terminologies" / "Resources" if source else None
    # slicer.util asks whether a panel is of this class.
    slicer.qSlicerScriptedLoadableModuleWidget = modules.qSlicerScriptedLoadableModuleWidget
    modules.register_core_modules(scene, logic, terminologies)
    subject_hierarchy.follow_scene(scene)
    layout = qSlicerLayoutManager()
    private(slicer.app).layout = layout
    layout._start(scene, logic)
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.mrmlSceneChanged.emit(scene)
    application.window = MainWindow(layout.viewport())
    slicer.util.mainWindow = lambda verbose=True: application.window


def _give_cache(slicer: Any, scene: Any) -> Any:
    """What reading an .mrb needs: a data IO manager with a cache folder."""
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="fedsim-host-cache-"))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    return cache, manager
