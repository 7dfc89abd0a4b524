"""Sections that fold."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QEvent, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractButton,
    QGroupBox,
    QSizePolicy,
    QStyle,
    QStyleOption,
    QStyleOptionButton,
    QStylePainter,
    QWidget,
)

from Testing.host.pythonqt import cxx_class, private
from Testing.host.stored import stored

UNLIMITED = 16777215  # QWIDGETSIZE_MAX


def _direct_children(widget: QWidget) -> list[QWidget]:
    return [child for child in widget.children() if child.isWidgetType()]


def _fold(widget: QWidget, folded: bool) -> None:
    """Hide a section's children, or show those again that folding hid."""
    state = private(widget)
    if folded:
        newly = [child for child in _direct_children(widget) if not child.isHidden()]
        state.hidden_by_folding = [*getattr(state, "hidden_by_folding", []), *newly]
        for child in newly:
            child.setVisible(False)
    else:
        for child in getattr(state, "hidden_by_folding", []):
            if child:  # a deleted one is falsy
                child.setVisible(True)
        state.hidden_by_folding = []


@cxx_class("Libs/Widgets/ctkCollapsibleButton.h")
class ctkCollapsibleButton(QAbstractButton):
    """A section with a button for a heading.

    Left out: the frame round the contents, alignments are kept and not drawn.
    """

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        private(self, collapsed=False)
        self.checkable = True
        self.checked = True
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Preferred)
        self.setContentsMargins(0, self._header_height(), 0, 0)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, checked: bool) -> None:
        self._set_collapsed(not checked)

    def _header_height(self) -> int:
        return self.fontMetrics().height() + 8

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == private(self).collapsed:
            return
        private(self, collapsed=collapsed)
        self.checked = not collapsed
        _fold(self, collapsed)
        self.setMaximumHeight(self._header_height() + self.collapsedHeight if collapsed else UNLIMITED)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, lambda self: private(self).collapsed, _set_collapsed)
    collapsedHeight = stored(int, "collapsedHeight", 0)
    flat = stored(bool, "flat", False, QWidget.update)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)
    contentsFrameShadow = stored(int, "contentsFrameShadow", 0)
    contentsLineWidth = stored(int, "contentsLineWidth", 1)
    contentsMidLineWidth = stored(int, "contentsMidLineWidth", 0)
    buttonTextAlignment = stored(int, "buttonTextAlignment", int(Qt.AlignLeft | Qt.AlignVCenter))
    indicatorAlignment = stored(int, "indicatorAlignment", int(Qt.AlignLeft | Qt.AlignVCenter))

    def event(self, event: Any) -> bool:
        """Children added while the section is folded stay hidden."""
        if event.type() == QEvent.ChildAdded and getattr(private(self), "collapsed", False):
            QTimer.singleShot(0, lambda: private(self).collapsed and _fold(self, True))
        if event.type() == QEvent.FontChange:
            self.setContentsMargins(0, self._header_height(), 0, 0)
        return bool(super().event(event))

    def sizeHint(self) -> QSize:
        header = QSize(self.fontMetrics().horizontalAdvance(self.text) + 40, self._header_height())
        layout = self.layout()
        if private(self).collapsed or layout is None:
            return header
        contents = self._with_margins(layout.sizeHint())
        return QSize(max(header.width(), contents.width()), contents.height())

    def _with_margins(self, contents: QSize) -> QSize:
        """A layout's size with this widget's margins, of which the heading is one."""
        margins = self.contentsMargins()
        return QSize(
            contents.width() + margins.left() + margins.right(), contents.height() + margins.top() + margins.bottom()
        )

    def minimumSizeHint(self) -> QSize:
        layout = self.layout()
        if private(self).collapsed or layout is None:
            return QSize(60, self._header_height())
        return self._with_margins(layout.minimumSize())

    def hitButton(self, position: Any) -> bool:
        return bool(position.y() < self._header_height())

    def paintEvent(self, _event: Any) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = QRect(0, 0, self.width, self._header_height() - 2)
        if not self.flat:
            painter.drawControl(QStyle.CE_PushButtonBevel, option)
        arrow = QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(6, (option.rect.height() - 10) // 2, 10, 10)
        painter.drawPrimitive(QStyle.PE_IndicatorArrowRight if self.collapsed else QStyle.PE_IndicatorArrowDown, arrow)
        text = self.fontMetrics().elidedText(self.text.replace("&&", "&"), Qt.ElideRight, self.width - 30)
        painter.drawText(option.rect.adjusted(22, 0, -4, 0), int(Qt.AlignVCenter | Qt.AlignLeft), text)


@cxx_class("Libs/Widgets/ctkCollapsibleGroupBox.h")
class ctkCollapsibleGroupBox(QGroupBox):
    """A group box that its check box folds. Left out: the arrow in place of the check box."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.checkable = True
        self.checked = True
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, checked: bool) -> None:
        _fold(self, not checked)
        self.setMaximumHeight(UNLIMITED if checked else self.fontMetrics().height() + 6 + self.collapsedHeight)

    def _set_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    collapsed = Property(bool, lambda self: not self.checked, _set_collapsed)
    collapsedHeight = stored(int, "collapsedHeight", 0)
