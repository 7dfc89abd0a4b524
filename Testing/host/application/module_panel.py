"""Where the chosen module's panel stands."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QFrame,
    QScrollArea,
    QSizePolicy,
    QSpacerItem,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from Testing.host.ctk.collapsible import ctkCollapsibleButton
from Testing.host.pythonqt import private


class ModulePanel(QScrollArea):
    """A module's panel under its help, as qSlicerModulePanel shows it.

    It scrolls up and down and never sideways: a panel that needs more width makes the whole dock wider. The panel's
    own margins are taken away. Left out: the modules that a panel belongs to, reload and test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.widgetResizable = True
        self.setFrameShape(QFrame.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Minimum, QSizePolicy.Expanding)
        contents, help_section = QWidget(), _HelpSection()
        contents.setSizePolicy(QSizePolicy.Minimum, QSizePolicy.Preferred)
        layout = QVBoxLayout(contents)
        layout.setSizeConstraint(QVBoxLayout.SetMinAndMaxSize)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(help_section)
        layout.addItem(QSpacerItem(0, 0, QSizePolicy.Minimum, QSizePolicy.MinimumExpanding))
        self.setWidget(contents)
        contents.installEventFilter(self)
        private(self, help=help_section, shown=None)

    def _show_module(self, module: Any) -> None:
        """Put a module's panel here in place of the one before; None for none."""
        state = private(self)
        if state.shown:  # falsy once deleted
            self.widget().layout().removeWidget(state.shown)
            state.shown.setParent(None)
        state.shown = module.widgetRepresentation() if module is not None else None
        state.help._show_module(module)
        if state.shown is not None:
            if state.shown.layout() is not None:
                state.shown.layout().setContentsMargins(0, 0, 0, 0)
            self.widget().layout().insertWidget(1, state.shown, 1)
            state.shown.setSizePolicy(QSizePolicy.Minimum, state.shown.sizePolicy.verticalPolicy())
            state.shown.setVisible(True)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Be as wide as the contents must be, with a scroll bar beside them."""
        if event.type() in (QEvent.Resize, QEvent.LayoutRequest):
            needed = self.widget().minimumSizeHint.width() + self.verticalScrollBar().sizeHint.width()
            self.setMinimumWidth(needed)
        return False


class _HelpSection(ctkCollapsibleButton):
    """What a module says of itself, folded; Slicer's fits its height to the text, here it is fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.text = "Help && Acknowledgement"
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        tabs, about, thanks = QTabWidget(), QTextBrowser(), QTextBrowser()
        for title, browser in (("Help", about), ("Acknowledgement", thanks)):
            browser.openExternalLinks = True
            browser.setFrameShape(QFrame.NoFrame)
            tabs.addTab(browser, title)
        QVBoxLayout(self).addWidget(tabs)
        self.collapsed = True
        private(self, about=about, thanks=thanks)

    def _show_module(self, module: Any) -> None:
        help_text = module.helpText if module is not None else ""
        self.setVisible(bool(help_text))
        if help_text:
            private(self).about.setHtml(help_text.replace("\\n", "<br>"))
            people = ", ".join(module.contributors)
            private(self).thanks.setHtml(f"{module.acknowledgementText}<br/><u>Contributors:</u> <i>{people}</i>")
