"""Between a parameter's value and a widget that shows it."""

from __future__ import annotations

import dataclasses
import enum
import logging
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import ctk
import qt
import slicer

from .validators import Choice, Maximum, Minimum, WithinRange


@dataclasses.dataclass
class Decimals:
    """How many decimals a spin box shows."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """The step of a spin box or slider."""

    value: float


@dataclasses.dataclass
class Connector:
    """A widget's value: its signal of change, how to read it and how to write it."""

    widget: Any
    signal: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    _callback: Callable[[], None] | None = None

    def connect(self, callback: Callable[[], None]) -> None:
        """Call back whenever the user changes the value."""
        self._callback = callback
        if self.signal:
            getattr(self.widget, self.signal).connect(self._changed)

    def disconnect(self) -> None:
        """Undo `connect`."""
        self._callback = None
        if self.signal:
            getattr(self.widget, self.signal).disconnect(self._changed)

    def _changed(self) -> None:
        if self._callback:
            self._callback()


def split(annotation: Any) -> tuple[Any, list[Any]]:
    """A type and the annotations on it."""
    base, *extras = typing.get_args(Annotated[annotation, None])[:-1]
    return base, extras


def _first(extras: list[Any], kind: type) -> Any:
    return next((e for e in extras if isinstance(e, kind)), None)


def _property(widget: Any, name: str, signal: str) -> Connector:
    return Connector(widget, signal, lambda: getattr(widget, name), lambda value: setattr(widget, name, value))


def connector_for(widget: Any, annotation: Any) -> Connector:
    """The connector of a widget to a parameter's type.

    Raises:
        RuntimeError: there is none for the two, or the type lacks what the widget needs (bounds, choices).
    """
    base, extras = split(annotation)
    for make in (_boolean, _number, _choice, _text, _path, _node):
        if (connector := make(widget, base, extras)) is not None:
            return connector
    raise RuntimeError(f"Unable to create GUI connector from datatype {annotation} to widget {type(widget).__name__}")


def _boolean(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    if base is not bool:
        return None
    if type(widget) in (qt.QCheckBox, ctk.ctkCheckBox):
        return _property(widget, "checked", "stateChanged")
    if type(widget) in (qt.QPushButton, ctk.ctkCheckablePushButton):
        if not widget.checkable:
            logging.warning(f"Making push button checkable for conversion to bool: button {widget}")
            widget.checkable = True
        return _property(widget, "checked", "toggled")
    return None


FLOATING = (
    qt.QDoubleSpinBox, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget, ctk.ctkDoubleSlider, ctk.ctkDoubleSpinBox,
    slicer.qMRMLSpinBox,
)  # fmt: skip


def _number(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    whole = base is int and type(widget) in (qt.QSlider, qt.QSpinBox)
    if not whole and not (base in (int, float) and type(widget) in FLOATING):
        return None
    within, minimum, maximum = (_first(extras, k) for k in (WithinRange, Minimum, Maximum))
    low = within.minimum if within else minimum.minimum if minimum else None
    high = within.maximum if within else maximum.maximum if maximum else None
    unbounded = low is None or high is None
    if unbounded and type(widget) in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget):
        raise RuntimeError(f"{type(widget).__name__} needs a parameter with bounds (WithinRange)")
    if not isinstance(widget, ctk.ctkDoubleSlider) and not whole:
        decimals = 0 if base is int else getattr(_first(extras, Decimals), "value", None)
        if decimals is not None:
            widget.decimals = decimals
    if (step := _first(extras, SingleStep)) is not None:
        widget.singleStep = step.value
    widest = (-(2**31), 2**31 - 1) if whole else (float("-inf"), float("inf"))
    widget.minimum = widest[0] if low is None else low
    widget.maximum = widest[1] if high is None else high
    return Connector(
        widget, "valueChanged", lambda: base(widget.value), lambda value: setattr(widget, "value", base(value))
    )


def _choice(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    if type(widget) not in (qt.QComboBox, ctk.ctkComboBox):
        return None
    if isinstance(base, type) and issubclass(base, enum.Enum):
        label = getattr(base, "label", lambda member: member.name)
        values, labels = list(base), [label(member) for member in base]
    elif base in (int, float, str, bool):
        choice = _first(extras, Choice)
        if choice is None:
            raise RuntimeError("a combo box needs a parameter with a Choice annotation")
        values, labels = list(choice.choices), [str(c) for c in choice.choices]
    else:
        return None
    blocked = widget.blockSignals(True)
    widget.clear()
    widget.addItems(labels)
    widget.blockSignals(blocked)

    def write(value: Any) -> None:
        widget.currentIndex = values.index(value)

    return Connector(widget, "currentIndexChanged", lambda: values[widget.currentIndex], write)


def _text(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    if base is not str:
        return None
    if type(widget) is qt.QLabel:
        return _property(widget, "text", "")
    if type(widget) is qt.QLineEdit:

        def write(value: str) -> None:
            if value != widget.text:  # writing moves the cursor
                widget.text = value

        return Connector(widget, "textChanged", lambda: widget.text, write)
    if type(widget) is qt.QTextEdit:
        return Connector(widget, "textChanged", widget.toPlainText, widget.setPlainText)
    return None


def _path(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    if not (isinstance(base, type) and issubclass(base, pathlib.PurePath)):
        return None
    for cls, name, signal in (
        (ctk.ctkPathLineEdit, "currentPath", "currentPathChanged"),
        (ctk.ctkDirectoryButton, "directory", "directoryChanged"),
    ):
        if type(widget) is cls:
            return Connector(
                widget,
                signal,
                lambda name=name: base(getattr(widget, name)),
                lambda value, name=name: setattr(widget, name, str(value)),
            )
    return None


def _node(widget: Any, base: Any, extras: list[Any]) -> Connector | None:
    sides = typing.get_args(base) if typing.get_origin(base) in (typing.Union, types.UnionType) else (base,)
    kinds = [s for s in sides if isinstance(s, type) and issubclass(s, slicer.vtkMRMLNode)]
    if type(widget) is not slicer.qMRMLNodeComboBox or not kinds:
        return None
    widget.nodeTypes = [kind().GetClassName() for kind in kinds]
    return Connector(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)
