"""Messages, text and pictures of widgets."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QRect, QSettings
from PySide6.QtWidgets import QCheckBox, QMessageBox, QTextBrowser, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored


@cxx_class("Libs/Widgets/ctkMessageBox.h")
class ctkMessageBox(QMessageBox):
    """A message box with "Don't show again". Left out: which buttons' answers count for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        private(self, check_box=None)

    def _set_visible(self, visible: bool) -> None:
        box = QCheckBox("Don't show this message again") if visible else None
        private(self, check_box=box)
        self.setCheckBox(box)

    def setDontShowAgain(self, again: bool) -> None:
        if self.dontShowAgainSettingsKey:
            QSettings().setValue(self.dontShowAgainSettingsKey, again)
        if private(self).check_box is not None:
            private(self).check_box.checked = again

    def _dont_show_again(self) -> bool:
        box = private(self).check_box
        saved = QSettings().value(self.dontShowAgainSettingsKey) if self.dontShowAgainSettingsKey else False
        return bool(box.checked) if box is not None else str(saved).lower() in ("true", "1")

    dontShowAgain = Property(bool, _dont_show_again, lambda self, v: self.setDontShowAgain(v))
    dontShowAgainVisible = Property(bool, lambda self: private(self).check_box is not None, _set_visible)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")


@cxx_class("Libs/Widgets/ctkFittedTextBrowser.h")
class ctkFittedTextBrowser(QTextBrowser):
    """A text browser as high as its text. Left out: collapsible text."""

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.document().setTextWidth(self.viewport().width)
        self.setFixedHeight(int(self.document().size.height()) + 2 * self.frameWidth)

    disableMouseScroll = stored(bool, "disableMouseScroll", True)


class ctkWidgetsUtils:
    """Functions on widgets."""

    @staticmethod
    def grabWidget(widget: QWidget, rectangle: QRect | None = None) -> Any:
        """A widget's picture, a QImage."""
        return (widget.grab(rectangle) if rectangle is not None else widget.grab()).toImage()
