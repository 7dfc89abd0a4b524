"""Fields that refuse a wrong value with the reason, and combo boxes that a passing mouse wheel leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ctk
import qt

from FedSimCore.errors import FedSimError

REFUSED_STYLE = "QLineEdit { border: 2px solid #c62828; }"
REASON_STYLE = "QLabel { color: #c62828; }"


class CheckedEdit:
    """A line edit whose text is handed on while it is typed, unless it is refused.

    Qt's own validators and spin boxes swallow or clamp what is wrong without a word. Here the text may be anything.
    When it is refused, the value from before the typing counts again (900 is no 90 with something wrong behind it), the
    field gets a red frame, and the reason is told below and as tooltip. When the user leaves the field or presses
    Enter, the value that counts is back in it, with the reason still to be read.

    Attributes:
        edit: the qt.QLineEdit.
        reason: the qt.QLabel below, hidden while there is nothing to tell.

    Args:
        accept: takes a text and raises :class:`FedSimError` to refuse it. It is expected to end in a call of
            :meth:`show` with the value as it is now.
        tip: tooltip while nothing is refused.
        may_be_empty: an empty text is a value like others; else it is judged only when the field is left, as it is the
            way from one value to the next.
    """

    def __init__(self, accept: Callable[[str], None], tip: str = "", may_be_empty: bool = False) -> None:
        self._accept, self._tip, self._may_be_empty = accept, tip, may_be_empty
        self._shown = self._before = ""
        self._typing = self._accepting = self._refused = False
        self.edit = qt.QLineEdit()
        self.edit.toolTip = tip
        self.reason = qt.QLabel()
        self.reason.wordWrap = True
        self.reason.styleSheet = REASON_STYLE
        self.reason.hide()
        self.edit.connect("textEdited(QString)", self._on_edited)
        self.edit.connect("editingFinished()", self._on_finished)

    def show(self, text: str, changed: bool = False) -> None:
        """Show a value, in italics if it is not the default; what is being typed stays while the value is the same."""
        self._mark(changed)
        same, self._shown = text == self._shown, text
        if self._accepting or (same and (self._typing or self._refused)):
            return
        self.revert()

    def revert(self) -> None:
        """Show the value that counts; forget what was typed and why it was refused."""
        self._typing = False
        self.edit.text = self._shown
        self._tell("")

    def set_tip(self, tip: str) -> None:
        """Set the tooltip that is there while nothing is refused."""
        self._tip = tip
        if not self._refused:
            self.edit.toolTip = tip

    def _on_edited(self, text: str) -> None:
        if not self._typing:
            self._typing, self._before = True, self._shown
        if text.strip() or self._may_be_empty:
            self._try(text)

    def _on_finished(self) -> None:
        if not self._typing:
            return
        if not self.edit.text.strip() and not self._may_be_empty:
            self._try(self.edit.text)
        self._typing = False
        self.edit.text = self._shown
        self.edit.styleSheet = ""

    def _try(self, text: str) -> None:
        self._accepting = True
        try:
            self._accept(text)
        except FedSimError as error:
            self._tell(str(error))
            if self._shown != self._before:
                self._accept(self._before)
        else:
            self._tell("")
        finally:
            self._accepting = False

    def _tell(self, reason: str) -> None:
        self._refused = bool(reason)
        self.edit.styleSheet = REFUSED_STYLE if reason else ""
        self.edit.toolTip = reason or self._tip
        self.reason.text = reason
        self.reason.setVisible(bool(reason))

    def _mark(self, changed: bool) -> None:
        mark(self.edit, changed)


def mark(widget: Any, changed: bool) -> None:
    """Write in bold italics what differs from the default."""
    font = widget.font
    if font.italic() != changed:
        font.setItalic(changed)
        font.setBold(changed)
        widget.font = font


def quiet_combo_box(items: list[tuple[str, Any]]) -> Any:
    """Return a new combo box with these items, made quiet."""
    box = ctk.ctkComboBox()
    make_quiet(box)
    fill_combo_box(box, items)
    return box


def make_quiet(box: Any) -> None:
    """Let a ctkComboBox be narrower than its texts, and not turn under the wheel of a scrolling panel."""
    box.scrollWheelEffect = ctk.ctkComboBox.NeverScroll
    box.elideMode = qt.Qt.ElideRight
    box.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
    box.minimumContentsLength = 6


def fill_combo_box(box: Any, items: list[tuple[str, Any]]) -> None:
    """Replace the items, texts with their data, without a signal; each text is its own tooltip in the list."""
    blocked = box.blockSignals(True)
    box.clear()
    for row, (text, data) in enumerate(items):
        box.addItem(text, data)
        box.setItemData(row, text, qt.Qt.ToolTipRole)
    box.blockSignals(blocked)


def choose(box: Any, data: Any, changed: bool = False) -> None:
    """Show the item with this data, without a signal; in italics if it is not the default."""
    blocked = box.blockSignals(True)
    box.currentIndex = box.findData(data)
    box.blockSignals(blocked)
    box.toolTip = box.currentText
    mark(box, changed)
