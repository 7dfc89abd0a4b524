"""Qt's own widgets that panels use beyond the recorded probes, as PythonQt over Qt 5.15 has them."""

from __future__ import annotations


def test_a_table_tells_of_edited_cells_and_keeps_colours_and_data(application):
    import qt

    table, told = qt.QTableWidget(2, 3), []
    table.setHorizontalHeaderLabels(["Region", "HU", "Note"])
    assert (table.rowCount, table.columnCount) == (2, 3)
    item = qt.QTableWidgetItem("LV")
    table.setItem(0, 0, item)
    item.setBackground(qt.QBrush(qt.QColor(255, 0, 0)))
    item.setData(qt.Qt.UserRole, 5)
    table.connect("cellChanged(int,int)", lambda row, column: told.append((row, column)))
    table.connect("itemChanged(QTableWidgetItem*)", lambda changed: told.append(changed.text()))
    item.setText("RV")
    assert sorted(told, key=str) == [(0, 0), "RV"]
    assert table.item(0, 0).background().color().name() == "#ff0000"
    assert item.data(qt.Qt.UserRole) == 5
    assert table.item(1, 1) is None


def test_a_table_holds_widgets_in_its_cells(application):
    import qt

    table = qt.QTableWidget(1, 1)
    box = qt.QDoubleSpinBox()
    box.value = 2.5
    table.setCellWidget(0, 0, box)
    assert table.cellWidget(0, 0).value == 2.5


def test_a_tree_has_items_with_texts(application):
    import qt

    tree = qt.QTreeWidget()
    tree.setHeaderLabels(["Region", "Volume"])
    item = qt.QTreeWidgetItem(tree, ["LV", "120 ml"])
    child = qt.QTreeWidgetItem(item, ["Wall", "9 mm"])
    assert tree.topLevelItemCount == 1
    assert tree.topLevelItem(0).child(0).text(1) == child.text(1) == "9 mm"


def test_a_delegate_written_in_python_makes_the_editor_of_a_cell(application):
    import qt

    class Bounded(qt.QStyledItemDelegate):
        def createEditor(self, parent, _option, _index):
            editor = qt.QDoubleSpinBox(parent)
            editor.setRange(0.0, 5.0)
            return editor

        def setEditorData(self, editor, index):
            editor.value = float(index.data())

        def setModelData(self, editor, model, index):
            model.setData(index, f"{editor.value:g}")

    table = qt.QTableWidget(1, 1)
    table.setItem(0, 0, qt.QTableWidgetItem("1.5"))
    delegate = Bounded(table)
    table.setItemDelegate(delegate)
    table.show()
    table.editItem(table.item(0, 0))
    editor = table.findChild(qt.QDoubleSpinBox)
    assert (editor.value, editor.maximum) == (1.5, 5.0)
    editor.value = 3.0
    delegate.commitData.emit(editor)
    assert table.item(0, 0).text() == "3"
    table.close()


def test_an_undo_stack_runs_commands_written_in_python(application):
    import qt

    done = []

    class Move(qt.QUndoCommand):
        def redo(self):
            done.append("redo")

        def undo(self):
            done.append("undo")

    stack, move = qt.QUndoStack(), Move("Move a slider")
    stack.push(move)
    assert stack.canUndo
    assert stack.undoText == "Move a slider"
    stack.undo()
    stack.redo()
    assert done == ["redo", "undo", "redo"]


def test_a_progress_bar_without_a_range_is_busy_and_shows_its_text_otherwise(application):
    import qt

    bar = qt.QProgressBar()
    bar.setRange(0, 0)
    assert bar.text == ""
    bar.setRange(0, 10)
    bar.value = 3
    bar.format = "%p %"
    assert bar.text == "30 %"


def test_a_timer_fires_once_in_the_event_loop(application):
    import qt

    told, timer = [], qt.QTimer()
    timer.setSingleShot(True)
    timer.interval = 0
    timer.connect("timeout()", lambda: told.append("timer"))
    timer.start()
    assert timer.active
    qt.QTimer.singleShot(0, lambda: told.append("single shot"))
    assert told == []
    application.process_events()
    assert sorted(told) == ["single shot", "timer"]
    assert not timer.active


def test_what_became_a_property_in_qt_6_is_still_a_method(application):
    import qt

    frame, table = qt.QFrame(), qt.QTableWidget(1, 1)
    layout = qt.QVBoxLayout(frame)
    layout.setContentsMargins(1, 2, 3, 4)
    assert layout.contentsMargins().bottom() == 4
    assert table.verticalHeader().sectionsClickable() is True
