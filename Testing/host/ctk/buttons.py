"""Buttons."""

from __future__ import annotations

from PySide6.QtCore import Property, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QCheckBox, QColorDialog, QPushButton, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored


@cxx_class("Libs/Widgets/ctkPushButton.h")
class ctkPushButton(QPushButton):
    """A push button. Left out: alignments and elision are kept and not drawn."""

    buttonTextAlignment = stored(int, "buttonTextAlignment", int(Qt.AlignCenter))
    iconAlignment = stored(int, "iconAlignment", int(Qt.AlignLeft))
    elideMode = stored(int, "elideMode", int(Qt.ElideNone))


@cxx_class("Libs/Widgets/ctkCheckablePushButton.h")
class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box. Left out: the check box is not drawn; the properties are kept."""

    checkBoxToggled = Signal(bool)

    def _on_check_state(self) -> None:
        self.checkBoxToggled.emit(self.checkState == Qt.Checked)

    indicatorAlignment = stored(int, "indicatorAlignment", int(Qt.AlignLeft))
    checkState = stored(int, "checkState", 0, _on_check_state)
    checkBoxControlsButton = stored(bool, "checkBoxControlsButton", True)
    checkBoxControlsButtonToggleState = stored(bool, "checkBoxControlsButtonToggleState", True)
    checkBoxUserCheckable = stored(bool, "checkBoxUserCheckable", True)


@cxx_class("Libs/Widgets/ctkMenuButton.h")
class ctkMenuButton(QPushButton):
    """A push button with a menu beside it; the menu opens on any click."""


@cxx_class("Libs/Widgets/ctkCheckBox.h")
class ctkCheckBox(QCheckBox):
    """A check box. Left out: icons for the indicator are kept and not drawn."""

    indicatorIcon = stored(QIcon, "indicatorIcon", QIcon())
    indicatorIconSize = stored(QSize, "indicatorIconSize", QSize())


@cxx_class("Libs/Widgets/ctkColorPickerButton.h")
class ctkColorPickerButton(QPushButton):
    """A button that shows and asks for a colour; with Qt's own dialog."""

    colorChanged = Signal(QColor)
    colorNameChanged = Signal(str)
    UseCTKColorDialog, ShowAlphaChannel, NoButtons, DontUseNativeDialog = 8, 1, 2, 4

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        private(self, color=QColor(0, 0, 0))
        self.clicked.connect(lambda: self.changeColor())
        self._show()

    def _show(self) -> None:
        pixmap = QPixmap(16, 16)
        pixmap.fill(self.color)
        self.icon = QIcon(pixmap)
        self.text = self.colorName or self.color.name() if self.displayColorName else ""

    def setColor(self, color: QColor) -> None:
        color = QColor.fromRgba(color.rgba())  # a plain copy, also of a Python subclass
        if color != private(self).color:
            private(self).color = color
            self._show()
            self.colorChanged.emit(color)

    def changeColor(self) -> None:
        chosen = QColorDialog.getColor(self.color, self)
        if chosen.isValid():
            self.setColor(chosen)

    def setDisplayColorName(self, display: bool) -> None:
        self.displayColorName = display

    color = Property(QColor, lambda self: QColor(private(self).color), lambda self, c: self.setColor(c))
    colorName = stored(str, "colorName", "")
    displayColorName = stored(bool, "displayColorName", True, _show)
    dialogOptions = stored(int, "dialogOptions", 0)
