"""What the module shows while packages are missing: which, and three ways to get them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.dependencies import RESOURCES, Missing

UI_FILE = RESOURCES / "UI" / "SetupPanel.ui"


class Installer(Protocol):
    """Installs packages, see :class:`FedSimSlicerLib.installer.PackageInstaller`."""

    def missing(self) -> list[Missing]:
        """Return what is missing now."""

    def install(self) -> str:
        """Install it from the internet; return what the user has to know."""

    def install_from(self, folder: Path) -> str:
        """Install it from a folder of wheels; return what the user has to know."""

    def needs_extension(self) -> bool:
        """Tell whether the PyTorch extension is needed and not there."""

    def get_extension(self) -> str:
        """Install that extension; return what the user has to know."""

    def download_command(self, cuda: bool) -> str:
        """Return the command that fills a folder of wheels."""


class SetupPanel:
    """Seen while something is missing.

    Attributes:
        widget: the panel's qt.QWidget; hidden when all is there.

    Args:
        installer: installs.
        on_ready: called once when nothing is missing any more after an installation; not if nothing ever was.
    """

    def __init__(self, installer: Installer, on_ready: Callable[[], None]) -> None:
        self._installer, self._on_ready = installer, on_ready
        self.widget = slicer.util.loadUI(str(UI_FILE))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.needsSection.hide()
        self._say("")
        self.ui.installButton.connect("clicked()", self._install)
        self.ui.folderButton.connect("clicked()", self._install_from_folder)
        self.ui.extensionButton.connect("clicked()", self._get_extension)
        self.ui.needsButton.connect("toggled(bool)", self._show_needs)
        self.ui.cardBox.connect("currentIndexChanged(int)", self._show_command)
        self.ui.copyButton.connect("clicked()", self._copy)
        self._complete = self.refresh()

    def refresh(self) -> bool:
        """Look anew at what is missing, and show it; returns whether nothing is."""
        lacking = self._installer.missing()
        self.ui.missingLabel.text = "\n".join(f"•  {missing}" for missing in lacking)
        self.ui.extensionButton.visible = bool(lacking) and self._installer.needs_extension()
        self.widget.visible = bool(lacking)
        return not lacking

    def _install(self) -> None:
        self._run(self._installer.install)

    def _install_from_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder of wheels (.whl files)"))
        if folder:
            self._run(lambda: self._installer.install_from(Path(folder)))

    def _get_extension(self) -> None:
        self._run(self._installer.get_extension)

    def _run(self, action: Callable[[], str]) -> None:
        """Do something that lets the application go on meanwhile, so nothing may be pressed a second time."""
        self._say("")
        self.ui.buttons.enabled = False
        try:
            self._say(action())
        finally:
            self.ui.buttons.enabled = True
            complete = self.refresh()
            self._show_command()
        if complete and not self._complete:
            self._complete = True
            self._on_ready()

    def _say(self, sentence: str) -> None:
        self.ui.outcomeLabel.text = sentence
        self.ui.outcomeLabel.visible = bool(sentence)

    def _show_needs(self, shown: bool) -> None:
        self.ui.needsSection.visible = shown
        self._show_command()

    def _show_command(self, _index: int = 0) -> None:
        if self.ui.needsSection.isVisibleTo(self.widget):
            self.ui.commandEdit.plainText = self._installer.download_command(self.ui.cardBox.currentIndex == 1)

    def _copy(self) -> None:
        clipboard: Any = qt.QApplication.clipboard()
        clipboard.setText(self.ui.commandEdit.plainText)
