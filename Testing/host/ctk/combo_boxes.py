"""Combo boxes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QModelIndex, Qt, Signal
from PySide6.QtWidgets import QComboBox, QWidget

from Testing.host.pythonqt import cxx_class
from Testing.host.stored import stored


@cxx_class("Libs/Widgets/ctkComboBox.h")
class ctkComboBox(QComboBox):
    """A combo box. Left out: default text and icon are kept and not drawn."""

    AlwaysScroll, NeverScroll, ScrollWithFocus, ScrollWithNoVScrollBar = 1, 0, 2, 4

    def wheelEvent(self, event: Any) -> None:
        if self.scrollWheelEffect == self.NeverScroll:
            event.ignore()
        else:
            super().wheelEvent(event)

    def setCurrentUserDataAsString(self, text: str) -> None:
        self.setCurrentIndex(self.findData(text))

    defaultText = stored(str, "defaultText", "")
    forceDefault = stored(bool, "forceDefault", False)
    elideMode = stored(int, "elideMode", int(Qt.ElideNone))
    scrollWheelEffect = stored(int, "scrollWheelEffect", AlwaysScroll)
    currentUserDataAsString = Property(
        str, lambda self: str(self.currentData or ""), lambda self, t: self.setCurrentUserDataAsString(t)
    )


@cxx_class("Libs/Widgets/ctkCheckableComboBox.h")
class ctkCheckableComboBox(QComboBox):
    """A combo box whose rows have check boxes. Left out: the popup stays open after a click only in CTK."""

    checkedIndexesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model().dataChanged.connect(lambda: self.checkedIndexesChanged.emit())

    def setCheckState(self, index: QModelIndex, state: Qt.CheckState) -> None:
        item = self.model().itemFromIndex(index)
        item.setCheckable(True)
        item.setCheckState(Qt.CheckState(state))

    def checkState(self, index: QModelIndex) -> Qt.CheckState:
        return self.model().itemFromIndex(index).checkState()

    def checkedIndexes(self) -> tuple[QModelIndex, ...]:
        indexes = (self.model().index(row, 0) for row in range(self.count))
        return tuple(i for i in indexes if self.checkState(i) == Qt.Checked)

    def allChecked(self) -> bool:
        return len(self.checkedIndexes()) == self.count

    def noneChecked(self) -> bool:
        return not self.checkedIndexes()
