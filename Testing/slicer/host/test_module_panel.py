"""The module's panel in its dock, as wide and as framed as Slicer has it."""

from __future__ import annotations

import pytest

MODULE = """
import qt
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
class WidthPanel(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        parent.title, parent.helpText = "Width", "How wide it is."
        parent.contributors, parent.acknowledgementText = ["A. Person"], "Thanks."
class WidthPanelWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        super().setup()
        self.box = qt.QPushButton("x")
        self.layout.addWidget(self.box)
        self.layout.addStretch(1)
"""


@pytest.fixture
def panel(load_panel, tmp_path):
    path = tmp_path / "WidthPanel.py"
    path.write_text(MODULE)
    return load_panel(path)


def test_a_panel_is_400_pixels_wide_and_has_no_margins_of_its_own(application, panel):
    from Testing.host.application.main_window import PANEL_WIDTH

    scroll = application.window.findChild("ModulePanel")
    assert scroll.width == PANEL_WIDTH
    margins = panel.parent.layout().contentsMargins()
    assert (margins.left(), margins.top(), margins.right(), margins.bottom()) == (0, 0, 0, 0)
    assert panel.parent.width == scroll.viewport().width


def test_a_panel_that_needs_more_room_widens_the_dock_instead_of_being_clipped(application, panel):
    panel.box.setMinimumWidth(600)
    application.process_events()
    application.process_events()
    scroll = application.window.findChild("ModulePanel")
    assert scroll.viewport().width >= panel.parent.minimumSizeHint.width() >= 600
    assert not scroll.horizontalScrollBar().isVisible()


def test_help_and_thanks_stand_folded_above_the_panel(application, panel):
    import ctk
    import qt

    section = next(s for s in application.window.findChildren(ctk.ctkCollapsibleButton) if s.text.startswith("Help"))
    assert section.collapsed
    section.collapsed = False
    tabs = section.findChild(qt.QTabWidget)
    about, thanks = tabs.widget(0), tabs.widget(1)
    assert about.plainText == "How wide it is."
    assert "Thanks." in thanks.plainText
    assert "A. Person" in thanks.plainText
