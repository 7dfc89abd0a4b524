"""The main window: module panel on the left, views on the right."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import QDockWidget, QMainWindow, QScrollArea, QWidget

from Testing.host.pythonqt import cxx_class, private

PANEL_WIDTH = 400


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
        widget = slicer.app.moduleManager().module(name).widgetRepresentation() if name else None
        private(slicer.util.mainWindow()).panel._show(widget)
        if widget is not None:
            widget.enter()
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: getattr(private(self), "selected", ""))


class ModulePanel(QScrollArea):
    """Where the chosen module's panel stands, 400 pixels wide; it scrolls up and down and never sideways."""

    def __init__(self) -> None:
        super().__init__()
        self.widgetResizable = True
        self.setFrameShape(QScrollArea.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAsNeeded)
        self.setMinimumWidth(PANEL_WIDTH)

    def _show(self, widget: QWidget | None) -> None:
        if self.widget() is not None:
            self.takeWidget()
        if widget is not None:
            self.setWidget(widget)


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
