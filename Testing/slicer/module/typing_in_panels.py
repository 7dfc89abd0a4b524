"""The panel "Materials" over a scene without a worker, and a keyboard."""

from __future__ import annotations

from typing import Any

from Testing.slicer.module.conftest import ROOT


class SceneOnly:
    """What the panel takes of a session: the scene's state and its signals.

    Attributes:
        messages: sentences told to the user.
    """

    def __init__(self) -> None:
        import slicer
        import vtk

        from FedSimSlicerLib.signal import Signal
        from FedSimSlicerLib.state import ModuleState

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "State of the panel")
        self.state: Any = ModuleState(node)
        self.state_changed: Signal[[Any]] = Signal()
        self.message: Signal[[str]] = Signal()
        self.messages: list[str] = []
        self.message.connect(self.messages.append)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.state_changed.emit(self.state))


def open_panel() -> Any:
    """Return the panel and what is behind it."""
    from FedSimSlicerLib.materials_panel import MaterialsPanel

    session = SceneOnly()
    panel = MaterialsPanel(session, lambda name: str(ROOT / "FedSimSlicer" / "Resources" / name))  # type: ignore[arg-type]
    session.state_changed.emit(session.state)
    panel.widget.show()
    return panel, session


def type_into(edit: Any, text: str, leave: bool = True) -> None:
    """Select what is in a field and type something else; then press Enter, unless the user stays."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    assert edit.enabled
    assert edit.visible
    edit.selectAll()
    QTest.keyClicks(edit, text) if text else QTest.keyClick(edit, Qt.Key_Delete)
    if leave:
        QTest.keyClick(edit, Qt.Key_Return)


def click(button: Any) -> None:
    """Press a button with the mouse."""
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QCheckBox

    assert button.enabled
    assert button.visible
    # A check box takes clicks on its box and text only, which need not reach its middle.
    at = QPoint(8, button.height // 2) if isinstance(button, QCheckBox) else QPoint()
    QTest.mouseClick(button, Qt.LeftButton, Qt.NoModifier, at)


def choose_in(box: Any, data: Any) -> None:
    """Go to an item of a combo box with the arrow keys."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    assert box.enabled
    assert box.visible
    wanted = box.findData(data)
    assert wanted >= 0, f"no item {data!r} in {[box.itemText(row) for row in range(box.count)]}"
    while box.currentIndex != wanted:
        QTest.keyClick(box, Qt.Key_Down if box.currentIndex < wanted else Qt.Key_Up)
