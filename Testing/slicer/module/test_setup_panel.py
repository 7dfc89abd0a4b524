"""The set-up panel tells what is missing, offers the ways to get it, and goes when all is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from FedSimSlicerLib.dependencies import Missing

PICTURES = os.environ.get("FEDSIM_PICTURES")  # a folder, to look at what is tested


class FakeInstaller:
    """Installs nothing; notes what it is asked for."""

    def __init__(self, *missing):
        self.lacking = list(missing)
        self.done = []
        self.extension_missing = False
        self.sentence = ""
        self.provides = []
        self.during = lambda: None

    def missing(self):
        return self.lacking

    def install(self):
        return self._do("install")

    def install_from(self, folder):
        return self._do(folder)

    def needs_extension(self):
        return self.extension_missing

    def get_extension(self):
        return self._do("extension")

    def download_command(self, cuda):
        names = " ".join(f'"{m.requirement}"' for m in self.lacking)
        kind = "cu130" if cuda else "cpu"
        platforms = "--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64"
        return (
            f"python -m pip download {names} --only-binary=:all: {platforms} --implementation cp --python-version 3.12 "
            f"--extra-index-url https://download.pytorch.org/whl/{kind} -d fedsim-wheels"
        )

    def _do(self, what):
        self.done.append(what)
        self.during()
        self.lacking = [m for m in self.lacking if m.name not in self.provides]
        return self.sentence


PYDANTIC = Missing("pydantic>=2.7", "pydantic", "2.5.3")
SAFETENSORS = Missing("safetensors>=0.4.5", "safetensors")
TORCH = Missing("torch>=2.8", "torch")


@pytest.fixture
def ready():
    return []


@pytest.fixture
def panel_of(application, dialogs, ready):
    from FedSimSlicerLib.setup_panel import SetupPanel

    panels = []

    def make(installer):
        import qt

        panel = SetupPanel(installer, lambda: ready.append(True))
        frame = qt.QScrollArea()  # as Slicer shows a module
        frame.setWidgetResizable(True)
        inside = qt.QWidget()
        layout = qt.QVBoxLayout(inside)
        layout.addWidget(panel.widget)
        layout.addStretch(1)
        frame.setWidget(inside)
        frame.resize(400, 1000)
        frame.show()
        panels.append((panel, frame))
        application.process_events()
        return panel

    yield make
    for _panel, frame in panels:
        frame.close()


def press(button):
    from PySide6 import QtTest
    from PySide6.QtCore import Qt

    QtTest.QTest.mouseClick(button, Qt.LeftButton, Qt.NoModifier, button.rect.center())


def test_where_nothing_is_missing_nothing_is_shown(panel_of, ready):
    panel = panel_of(FakeInstaller())
    assert not panel.widget.isVisible()
    assert ready == []


def test_what_is_missing_is_listed_with_versions(panel_of):
    panel = panel_of(FakeInstaller(PYDANTIC, SAFETENSORS))
    assert panel.widget.isVisible()
    assert panel.ui.missingLabel.text == (
        "•  pydantic 2.7 or later (version 2.5.3 is installed)\n•  safetensors 0.4.5 or later"
    )
    assert not panel.ui.extensionButton.isVisible()
    assert not panel.ui.outcomeLabel.isVisible()


def test_install_makes_the_panel_go_and_tells_that_all_is_ready_once(panel_of, ready):
    installer = FakeInstaller(PYDANTIC)
    installer.provides = ["pydantic"]
    panel = panel_of(installer)
    press(panel.ui.installButton)
    assert installer.done == ["install"]
    assert not panel.widget.isVisible()
    assert ready == [True]
    assert panel.refresh()
    assert ready == [True]


def test_what_went_wrong_is_told_and_what_is_still_missing_shown(panel_of, ready):
    installer = FakeInstaller(PYDANTIC, TORCH)
    installer.provides, installer.sentence = ["pydantic"], "The internet could not be reached."
    panel = panel_of(installer)
    press(panel.ui.installButton)
    assert panel.ui.outcomeLabel.text == "The internet could not be reached."
    assert panel.ui.outcomeLabel.isVisible()
    assert panel.ui.missingLabel.text == "•  torch 2.8 or later"
    assert panel.ui.installButton.isEnabled()
    assert ready == []


def test_nothing_can_be_pressed_while_something_is_installed(panel_of):
    installer = FakeInstaller(PYDANTIC)
    panel = panel_of(installer)
    installer.during = lambda: press(panel.ui.folderButton)
    press(panel.ui.installButton)
    assert installer.done == ["install"]


def test_an_installer_that_breaks_leaves_the_buttons_usable(panel_of, expected_slot_errors):
    installer = FakeInstaller(PYDANTIC)
    installer.during = lambda: 1 / 0
    panel = panel_of(installer)
    press(panel.ui.installButton)
    assert panel.ui.installButton.isEnabled()
    expected_slot_errors.clear()


def test_a_folder_of_wheels_is_chosen_and_used(panel_of, dialogs, tmp_path):
    installer = FakeInstaller(PYDANTIC)
    panel = panel_of(installer)
    dialogs.answer(str(tmp_path))
    press(panel.ui.folderButton)
    assert installer.done == [Path(tmp_path)]


def test_no_folder_chosen_does_nothing(panel_of, dialogs):
    installer = FakeInstaller(PYDANTIC)
    panel = panel_of(installer)
    dialogs.answer("")
    press(panel.ui.folderButton)
    assert installer.done == []


def test_the_extension_is_offered_when_it_is_needed(panel_of):
    installer = FakeInstaller(TORCH)
    installer.extension_missing, installer.sentence = True, "The extension PyTorch is installed; restart Slicer."
    panel = panel_of(installer)
    assert panel.ui.extensionButton.isVisible()
    press(panel.ui.extensionButton)
    assert installer.done == ["extension"]
    assert "restart Slicer" in panel.ui.outcomeLabel.text


def test_the_command_for_another_computer_is_shown_for_either_device_and_copied(panel_of):
    import qt

    panel = panel_of(FakeInstaller(TORCH))
    assert not panel.ui.needsSection.isVisible()
    press(panel.ui.needsButton)
    assert "whl/cpu -d fedsim-wheels" in panel.ui.commandEdit.plainText
    panel.ui.cardBox.currentIndex = 1
    press(panel.ui.copyButton)
    assert "whl/cu130 -d fedsim-wheels" in qt.QApplication.clipboard().text()
    press(panel.ui.needsButton)
    assert not panel.ui.needsSection.isVisible()


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_panel_fits_400_pixels_at_any_font(panel_of, application, factor):
    import qt

    small = qt.QApplication.font()
    font = qt.QFont(small)
    font.setPointSizeF(small.pointSizeF() * factor)
    qt.QApplication.setFont(font)
    try:
        installer = FakeInstaller(PYDANTIC, SAFETENSORS, TORCH)
        installer.extension_missing = True
        installer.sentence = (
            "Nothing was installed, because these wheels are missing in /media/usb/fedsim-wheels:\n• nibabel>=5.2\n"
            "• sympy>=1.13.3, needed by torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
        )
        panel = panel_of(installer)
        press(panel.ui.installButton)
        press(panel.ui.needsButton)
        frame = panel.widget.window()
        application.process_events()
        assert not frame.horizontalScrollBar().isVisible()
        for label in (panel.ui.missingLabel, panel.ui.outcomeLabel, panel.ui.stepsLabel):
            assert label.height >= label.heightForWidth(label.width)
        if PICTURES:
            frame.grab().save(f"{PICTURES}/setup_{factor}.png")
    finally:
        qt.QApplication.setFont(small)
        application.process_events()
