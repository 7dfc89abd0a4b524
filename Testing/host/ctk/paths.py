"""Widgets for paths."""

from __future__ import annotations

from PySide6.QtCore import Property, QDir, QSettings, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QToolButton, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import forwarded, stored

HISTORY_LENGTH = 5


@cxx_class("Libs/Widgets/ctkPathLineEdit.h")
class ctkPathLineEdit(QWidget):
    """A path to type, choose or take from a history. Left out: completion, validity shown in red."""

    currentPathChanged = Signal(str)
    Dirs, Files, Drives, NoSymLinks, AllEntries = 1, 2, 4, 8, 7
    Readable, Writable, Executable, Hidden = 16, 32, 64, 256

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        box, button = QComboBox(), QToolButton()
        box.editable = True
        box.setMinimumContentsLength(8)
        box.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        button.text = "..."
        private(self, box=box, button=button)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(box, 1)
        layout.addWidget(button)
        box.editTextChanged.connect(lambda text: self.currentPathChanged.emit(text))
        button.clicked.connect(lambda: self.browse())

    def setCurrentPath(self, path: str) -> None:
        private(self).box.setEditText(path)

    def browse(self) -> None:
        if self.filters & self.Dirs and not self.filters & self.Files:
            path = QFileDialog.getExistingDirectory(self, "", self.currentPath)
        elif self.filters & self.Writable:
            path = QFileDialog.getSaveFileName(self, "", self.currentPath, ";;".join(self.nameFilters))[0]
        else:
            path = QFileDialog.getOpenFileName(self, "", self.currentPath, ";;".join(self.nameFilters))[0]
        if path:
            self.setCurrentPath(path)

    def comboBox(self) -> QComboBox:
        return private(self).box

    def _setting(self) -> str:
        return f"ctkPathLineEdit/{self.settingKey}"

    def addCurrentPathToHistory(self) -> None:
        box = private(self).box
        if not self.currentPath or (box.count and box.itemText(0) == self.currentPath):
            return
        paths = [self.currentPath, *(box.itemText(i) for i in range(box.count) if box.itemText(i) != self.currentPath)]
        self._show_history(paths[:HISTORY_LENGTH])
        if self.settingKey:
            QSettings().setValue(self._setting(), paths[:HISTORY_LENGTH])

    def retrieveHistory(self) -> None:
        stored_paths = QSettings().value(self._setting()) or []
        self._show_history([stored_paths] if isinstance(stored_paths, str) else list(stored_paths))

    def _show_history(self, paths: list[str]) -> None:
        box, current = private(self).box, self.currentPath
        blocked = box.blockSignals(True)
        box.clear()
        box.addItems(paths)
        box.setEditText(current)
        box.blockSignals(blocked)

    currentPath = Property(str, lambda self: private(self).box.currentText, lambda self, p: self.setCurrentPath(p))
    filters = stored(int, "filters", 0)
    options = stored(int, "options", 0)
    label = stored(str, "label", "")
    settingKey = stored(str, "settingKey", "", lambda self: self.retrieveHistory())
    nameFilters = stored("QStringList", "nameFilters", [])
    showBrowseButton = Property(
        bool, lambda self: not private(self).button.isHidden(), lambda self, v: private(self).button.setVisible(v)
    )
    showHistoryButton = stored(bool, "showHistoryButton", True)
    minimumContentsLength = forwarded(int, "box", "minimumContentsLength")
    sizeAdjustPolicy = forwarded(int, "box", "sizeAdjustPolicy")


@cxx_class("Libs/Widgets/ctkDirectoryButton.h")
class ctkDirectoryButton(QWidget):
    """A button with a folder's name that asks for another. Left out: the icon, options of the dialog."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        private(self, button=QPushButton(), directory=".")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(private(self).button)
        private(self).button.clicked.connect(lambda: self.browse())
        self._show()

    def _show(self) -> None:
        private(self).button.text = self.text or QDir(self.directory).absolutePath()

    def _set_directory(self, directory: str) -> None:
        if QDir(directory) != QDir(private(self).directory):
            private(self).directory = QDir(directory).absolutePath()
            self._show()
            self.directoryChanged.emit(self.directory)
        self.directorySelected.emit(self.directory)

    def browse(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, self.caption, self.directory):
            self._set_directory(chosen)

    directory = Property(str, lambda self: private(self).directory, _set_directory)
    caption = stored(str, "caption", "")
    text = stored(str, "text", "", _show)
    options = stored(int, "options", 0)
