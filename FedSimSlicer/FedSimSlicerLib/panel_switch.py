"""The buttons that lead to the panels: all names at once, in as many rows as the width needs."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

STYLE = """
QToolButton { border: none; border-bottom: 3px solid transparent; padding: 4px 2px; }
QToolButton:hover { border-bottom-color: palette(mid); }
QToolButton:focus { border-bottom-color: palette(dark); }
QToolButton:checked { border-bottom-color: palette(highlight); }
"""


class PanelSwitch(qt.QWidget):
    """Stands for the tab bar of a qt.QTabWidget, which at 400 pixels holds five names and hides the rest behind arrows.

    Args:
        tabs: whose bar is hidden; pages are added with :meth:`add`.
    """

    def __init__(self, tabs: Any) -> None:
        qt.QWidget.__init__(self)
        self.objectName = "panelSwitch"
        self.setStyleSheet(STYLE)
        # A row too long for the width is broken, not a reason to be wider.
        self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self._tabs = tabs
        self._buttons: list[Any] = []
        self._columns = 0
        self._group = qt.QButtonGroup(self)
        self._group.setExclusive(True)
        self._grid = qt.QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(0)
        self._grid.setVerticalSpacing(0)
        tabs.tabBar().hide()
        tabs.connect("currentChanged(int)", self._follow)

    def add(self, page: Any, title: str) -> None:
        """Add a page to the tabs, and the button that leads to it."""
        index = self._tabs.addTab(page, title)
        button = qt.QToolButton()
        button.text = title
        button.checkable = True
        button.checked = index == self._tabs.currentIndex
        button.toolTip = _("Go to the panel “{title}”.").format(title=title)
        button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        button.connect("clicked()", lambda: self._tabs.setCurrentIndex(index))
        self._group.addButton(button)
        self._buttons.append(button)
        self._arrange()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Take as many rows as the new width needs."""
        qt.QWidget.resizeEvent(self, event)
        self._arrange()

    def changeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Likewise for other letters."""
        qt.QWidget.changeEvent(self, event)
        if event.type() == qt.QEvent.FontChange:
            self._arrange()

    def _follow(self, index: int) -> None:
        if 0 <= index < len(self._buttons):
            self._buttons[index].checked = True

    def _arrange(self) -> None:
        """Put the buttons into rows of equal length, as few rows as can be."""
        if not self._buttons:
            return
        widest = max(button.sizeHint.width() for button in self._buttons)
        count = len(self._buttons)
        rows = -(-count // max(1, min(count, self.width // widest)))
        columns = -(-count // rows)
        if (columns, count) == (self._columns, self._grid.count()):
            return
        self._columns = columns
        for number, button in enumerate(self._buttons):
            self._grid.addWidget(button, number // columns, number % columns)
