"""`slicer.modules`: the core modules' real logics, and scripted modules of Python."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from PySide6.QtCore import Property, QObject
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout

from Testing.host.pythonqt import cxx_class, private
from Testing.host.pythonqt.signals import record_slot_error
from Testing.host.qmrml.base import qSlicerWidget
from Testing.host.stored import stored

# Slicer's modules whose logics slicer-core has.
CORE_MODULES = {
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


class _Module(QObject):
    """What qSlicerAbstractCoreModule offers."""

    def __init__(self, name: str, path: str, logic: Any) -> None:
        super().__init__()
        private(self, module_name=name, module_path=path, module_logic=logic, widget=None)

    def logic(self) -> Any:
        return private(self).module_logic

    def mrmlScene(self) -> Any:
        import slicer

        return slicer.mrmlScene

    name = Property(str, lambda self: private(self).module_name)
    path = Property(str, lambda self: private(self).module_path)


@cxx_class("Base/QTGUI/qSlicerLoadableModule.h", constructor_arguments=3)
class qSlicerLoadableModule(_Module):
    """A core module: its logic; it has no panel here."""

    def widgetRepresentation(self) -> None:
        """The host has no panels for Slicer's own modules."""

    title = Property(str, lambda self: private(self).module_name)


@cxx_class("Base/QTGUI/qSlicerScriptedLoadableModule.h", constructor_arguments=3)
class qSlicerScriptedLoadableModule(_Module):
    """A scripted module, as its Python class sees it in `self.parent`."""

    title = stored(str, "title", "")
    categories = stored("QStringList", "categories", [])
    dependencies = stored("QStringList", "dependencies", [])
    contributors = stored("QStringList", "contributors", [])
    helpText = stored(str, "helpText", "")
    acknowledgementText = stored(str, "acknowledgementText", "")
    associatedNodeTypes = stored("QStringList", "associatedNodeTypes", [])
    hidden = stored(bool, "hidden", False)
    index = stored(int, "index", -1)
    widgetRepresentationCreationEnabled = stored(bool, "widgetRepresentationCreationEnabled", True)
    icon = stored(QIcon, "icon", QIcon())

    def widgetRepresentation(self) -> Any:
        """The module's panel, made at the first call."""
        if private(self).widget is None:
            private(self).widget = self.createNewWidgetRepresentation()
        return private(self).widget

    def createNewWidgetRepresentation(self) -> Any:
        widget = qSlicerScriptedLoadableModuleWidget()
        widget._start(private(self).module_name, private(self).module_path)
        return widget


@cxx_class("Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h")
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The panel of a scripted module: the `parent` of its ...Widget class.

    As in Slicer, an exception in `setup`, `enter` or `exit` is printed and the application goes on; the pytest
    plugin fails the test.
    """

    def _start(self, module_name: str, path: str) -> None:
        import slicer

        private(self, module_name=module_name, path=path, instance=None, entered=False)
        QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)
        self._make_instance()

    def _make_instance(self) -> None:
        import slicer

        state = private(self)
        try:
            cls = getattr(sys.modules[state.module_name], f"{state.module_name}Widget")
            state.instance = cls(self)
            setattr(slicer.modules, f"{state.module_name}Widget", state.instance)
            state.instance.setup()
        except Exception as error:
            record_slot_error(f"{state.module_name}Widget.setup", error)

    def self(self) -> Any:
        return private(self).instance

    def reload(self) -> None:
        """Make the Python object anew, from the module as it is now."""
        entered = private(self).entered
        self._make_instance()
        if entered:
            self._call("enter")

    def enter(self) -> None:
        private(self).entered = True
        self._call("enter")

    def exit(self) -> None:
        private(self).entered = False
        self._call("exit")

    def _call(self, name: str) -> None:
        method = getattr(private(self).instance, name, None)
        try:
            if method is not None:
                method()
        except Exception as error:
            record_slot_error(f"{private(self).module_name}Widget.{name}", error)

    isEntered = Property(bool, lambda self: private(self).entered)
    moduleName = Property(str, lambda self: private(self).module_name)


def _register(name: str, module: Any) -> None:
    import slicer

    setattr(slicer.modules, name.lower(), module)
    setattr(slicer.moduleNames, name, name)


def register_core_modules(scene: Any, application_logic: Any, terminologies: Path | None = None) -> None:
    """Make the core modules' logics and put the modules into `slicer.modules`."""
    import slicer

    for name in ("modules", "moduleNames"):
        module = ModuleType(f"slicer.{name}")
        setattr(slicer, name, module)
        sys.modules[module.__name__] = module
        for given in ("__name__", "__doc__", "__package__", "__loader__", "__spec__"):
            vars(module).pop(given, None)
    logics = {name: getattr(slicer, cls)() for name, cls in CORE_MODULES.items()}
    logics["Colors"] = application_logic.GetColorLogic()
    for name, logic in logics.items():
        with _terminologies(logic, terminologies) if name == "Terminologies" else contextlib.nullcontext():
            logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application_logic)
        application_logic.SetModuleLogic(name, logic)
        _register(name, qSlicerLoadableModule(name, f"<slicer-core>/{name}", logic))


@contextlib.contextmanager
def _terminologies(logic: Any, folder: Path | None) -> Iterator[None]:
    """Slicer's terminologies from a checkout; without one none, and no complaints of VTK about that.

    The coded entries of segments are strings and need none.
    """
    import vtk

    verbosity = vtk.vtkLogger.GetCurrentVerbosityCutoff()
    if folder is None:
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    else:
        share = Path(tempfile.mkdtemp(prefix="fedsim-host-terminologies-"))
        for source in folder.glob("*.json"):  # Slicer's build renames them
            (share / f"{source.stem}.term.json").write_bytes(source.read_bytes())
        logic.SetModuleShareDirectory(str(share))
    try:
        yield
    finally:
        vtk.vtkLogger.SetStderrVerbosity(verbosity)


def load_module(path: Path | str) -> Any:
    """Load a scripted module as Slicer does at start, and give its entry in `slicer.modules`.

    Raises:
        FileNotFoundError: there is no such file.
        AttributeError: the file has no class of its own name.
    """
    import slicer

    path = Path(path).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; give the module's .py file")
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    module = qSlicerScriptedLoadableModule(name, str(path), logic)
    _register(name, module)
    instance = getattr(source, name)(module)
    setattr(slicer.modules, f"{name}Instance", instance)
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return module


def unload_module(name: str) -> None:
    """Let a scripted module go: its `cleanup` is called and its panel deleted."""
    import slicer

    module = getattr(slicer.modules, name.lower())
    widget = private(module).widget
    if widget is not None and widget.isEntered:
        widget.exit()
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
    if widget is not None:
        widget.deleteLater()
    for attribute in (name.lower(), f"{name}Widget", f"{name}Instance"):
        if hasattr(slicer.modules, attribute):
            delattr(slicer.modules, attribute)
    delattr(slicer.moduleNames, name)
    sys.modules.pop(name, None)
