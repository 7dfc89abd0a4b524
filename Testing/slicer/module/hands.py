"""Mouse and keyboard on widgets that CTK builds of Qt's own."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QStyle, QStyleOptionSlider, QToolTip


def inner(widget: Any, kind: str) -> Any:
    """The first widget of a Qt class that a widget is made of."""
    for child in widget.children():
        if child.isWidgetType():
            found = child if child.metaObject().className() == kind else inner(child, kind)
            if found is not None:
                return found
    return None


def drag_to_end(slider_widget: Any) -> None:
    """Take a slider's handle with the mouse and pull it as far right as it goes."""
    slider = inner(slider_widget, "QSlider")
    option = QStyleOptionSlider()
    slider.initStyleOption(option)
    handle = slider.style().subControlRect(QStyle.CC_Slider, option, QStyle.SC_SliderHandle, slider).center()
    end = QPoint(slider.width + 50, handle.y())
    QTest.mousePress(slider, Qt.LeftButton, Qt.NoModifier, handle)
    QTest.mouseMove(slider, QPoint((handle.x() + end.x()) // 2, handle.y()))
    QTest.mouseMove(slider, end)
    QTest.mouseRelease(slider, Qt.LeftButton, Qt.NoModifier, end)
    QToolTip.hideText()


def press(widget: Any, key: Any, modifiers: Any = Qt.NoModifier) -> None:
    """Press a key in a widget."""
    QTest.keyClick(widget, key, modifiers)


def type_number(slider_widget: Any, text: str) -> None:
    """Type a number into the spin box of a slider, as over the old one, and press Enter."""
    box = inner(slider_widget, "QDoubleSpinBox")
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key_Return)


def turn_wheel(widget: Any, notches: int = 1) -> None:
    """Turn the mouse wheel over a widget."""
    middle = QPointF(widget.rect.center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(widget.rect.center())),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.NoButton,
        Qt.NoModifier,
        Qt.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
