"""The Explore panel in a narrow window."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

SCROLL_BAR = 20


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_every_section_holds_at_400_pixels(application, scene, load_panel, scale):
    """Also at one and a half times the font's size; the panel's own scroll bar takes some of the 400."""
    from Testing.slicer.module.conftest import MODULE

    app = application.slicer.app
    before = app.font()
    larger = app.font()
    larger.setPointSizeF(before.pointSizeF() * scale)
    app.setFont(larger)
    try:
        widget = load_panel(MODULE)
        explore = widget.panel.panels[0]
        for name in ("shape", "pose", "region", "measure", "fit"):
            getattr(explore.ui, f"{name}Section").collapsed = False
        explore.ui.wideRangeBox.click()
        explore.fit.ui.fitResult.show()
        explore.fit.ui.fitProgressBar.show()
        application.process_events()
        assert explore.widget.minimumSizeHint.width() <= 400 - SCROLL_BAR
        # Slicer makes a module's panel as wide as it would like to be, not as narrow as it may be.
        assert widget.panel.widget.sizeHint.width() <= 400 - SCROLL_BAR
        modes = explore.ui.modeScrollArea
        assert modes.widget().minimumSizeHint.width() <= modes.viewport().width
        widget.panel.session.worker.close(wait_s=10)
    finally:
        app.setFont(before)
