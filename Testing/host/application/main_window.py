"""The main window: module panel on the left, views on the right."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from Testing.host.application.module_panel import ModulePanel
from Testing.host.pythonqt import cxx_class, private

PANEL_WIDTH = 400  # pixels; what Slicer's own panels are laid out for


@cxx_class("Base/QTGUI/qSlicerModuleSelectorToolBar.h")
class qSlicerModuleSelectorToolBar(QWidget):
    """The choice of the module; here without a tool bar."""

    moduleSelected = Signal(str)

    def selectModule(self, name: str) -> None:
        """Show a module's panel: the one before is left, this one entered."""
        import slicer

        state = private(self)
        if name == getattr(state, "selected", ""):
            return
        if getattr(state, "selected", "") and (module := slicer.app.moduleManager().module(state.selected)):
            module.widgetRepresentation().exit()
        state.selected = name
        module = slicer.app.moduleManager().module(name) if name else None
        private(slicer.util.mainWindow()).panel._show_module(module)
        if module is not None:
            module.widgetRepresentation().enter()
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: getattr(private(self), "selected", ""))


class MainWindow(QMainWindow):
    """The window that `slicer.util.mainWindow()` gives. Left out: menus and tool bars of Slicer."""

    def __init__(self, viewport: QWidget) -> None:
        super().__init__()
        panel, dock, selector = ModulePanel(), QDockWidget("Module"), qSlicerModuleSelectorToolBar()
        dock.objectName = "PanelDockWidget"
        dock.setFeatures(QDockWidget.DockWidgetMovable)
        dock.setWidget(panel)
        self.addDockWidget(Qt.LeftDockWidgetArea, dock)
        self.setCentralWidget(viewport)
        self.statusBar().showMessage("")
        private(self, panel=panel, dock=dock, selector=selector)
        self.resize(1280, 860)
        self.resizeDocks([dock], [PANEL_WIDTH], Qt.Horizontal)

    def moduleSelector(self) -> Any:
        return private(self).selector
