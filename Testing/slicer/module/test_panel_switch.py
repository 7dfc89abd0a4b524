"""The buttons above the panels: every name is seen, however narrow the module's panel is."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403

EIGHT = ("Explore", "Materials", "Simulate", "Compare", "Export", "Segment", "Train", "Federate")


def buttons_of(switch):
    import qt

    return sorted(switch.findChildren(qt.QToolButton), key=lambda one: (one.geometry.y(), one.geometry.x()))


@pytest.fixture
def eight(shared_module, application):
    """A switch with eight panels, in a window of its own."""
    import qt

    from FedSimSlicerLib.panel_switch import PanelSwitch

    window, tabs = qt.QWidget(), qt.QTabWidget()
    layout, switch = qt.QVBoxLayout(window), PanelSwitch(tabs)
    layout.addWidget(switch)
    layout.addWidget(tabs)
    for name in EIGHT:
        switch.add(qt.QLabel(name), name)
    window.resize(400, 300)
    window.show()
    application.process_events()
    yield window, tabs, switch
    window.close()


@pytest.mark.parametrize(("width", "scale", "most_rows"), [(400, 1.0, 2), (400, 1.5, 3), (250, 1.0, 4), (900, 1.0, 1)])
def test_eight_names_are_seen_whole_at_any_width(eight, application, width, scale, most_rows):
    import qt

    window, _tabs, switch = eight
    larger = qt.QFont(window.font)
    larger.setPointSizeF(window.font.pointSizeF() * scale)
    window.setFont(larger)
    window.resize(width, 300)
    for _ in range(3):
        application.process_events()
    assert window.width <= width
    shown = buttons_of(switch)
    assert [button.text for button in shown] == list(EIGHT)
    assert all(button.geometry.width() >= button.sizeHint.width() for button in shown)
    assert all(switch.rect.contains(button.geometry) for button in shown)
    assert len({button.geometry.y() for button in shown}) <= most_rows


def test_a_button_leads_to_its_panel_and_follows_where_the_program_goes(eight):
    _window, tabs, switch = eight
    shown = buttons_of(switch)
    assert [button.text for button in shown if button.checked] == ["Explore"]
    shown[6].click()
    assert tabs.currentWidget().text == "Train"
    tabs.setCurrentIndex(2)
    assert [button.text for button in shown if button.checked] == ["Simulate"]


def test_the_modules_panels_are_behind_the_switch(shared_module):
    panel = shared_module.panel
    names = [button.text for button in buttons_of(panel.switch)]
    assert names[:3] == ["Explore", "Materials", "Simulate"]
    assert len(names) == len(panel.panels) == panel.ui.tabs.count
    assert not panel.ui.tabs.tabBar().isVisible()
    panel.show_tab("MaterialsPanel")
    assert next(b.text for b in buttons_of(panel.switch) if b.checked) == "Materials"
    panel.show_tab("ExplorePanel")
