"""Showing numbers in widgets without being told of it as if the user had moved them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import qt


@contextmanager
def silenced(widget: Any) -> Iterator[Any]:
    """A widget that tells nobody of its changes within the block."""
    blocked = widget.blockSignals(True)
    try:
        yield widget
    finally:
        widget.blockSignals(blocked)


def show_value(slider: Any, value: float, low: float, high: float) -> None:
    """Show a number in a slider or spin box whose range is ``low`` to ``high``, wider if the number lies beyond.

    Without that the widget would show the end of its range, and the next move would start from there.
    """
    with silenced(slider):
        slider.minimum = min(low, value)
        slider.maximum = max(high, value)
        slider.value = value


class WheelGuard(qt.QObject):
    """Lets the mouse wheel scroll the panel instead of moving the slider that happens to lie under the mouse.

    A slider that was clicked (has the focus) still follows the wheel.
    """

    def protect(self, widget: Any) -> None:
        """Guard a widget and all that it is made of."""
        widget.installEventFilter(self)
        if widget.focusPolicy == qt.Qt.WheelFocus:
            widget.focusPolicy = qt.Qt.StrongFocus
        for child in widget.children():
            if child.isWidgetType():
                self.protect(child)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        """Hand wheel events of widgets without focus to their parents."""
        if event.type() == qt.QEvent.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False
