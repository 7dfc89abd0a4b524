"""Signals and slots as PythonQt has them, with errors where PythonQt only prints a line.

`sender.connect('valueChanged(double)', slot)` and `sender.valueChanged.connect(slot)` both work; a slot gets as many
arguments as it can take. An unknown signal or signature raises `ValueError`. An exception in a slot is printed,
recorded in `slot_errors`, and execution goes on, as in Slicer; the pytest plugin fails the test.
"""

from __future__ import annotations

import gc
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, SignalInstance

from Testing.host.pythonqt import facts

SPECIFICATION = re.compile(r"^\s*[12]?(\w+)\s*\((.*)\)\s*$")


@dataclass(frozen=True)
class SlotError:
    """An exception that left a slot, a virtual method or an observer."""

    source: str
    exception: BaseException
    traceback: str

    def __str__(self) -> str:
        return f"in {self.source}:\n{self.traceback}"


slot_errors: list[SlotError] = []


def record_slot_error(source: str, exception: BaseException) -> None:
    """Print and remember an exception that C++ would swallow."""
    text = "".join(traceback.format_exception(exception))
    slot_errors.append(SlotError(source, exception, text))
    sys.stderr.write(text)


# Signals that Qt 6 dropped and Slicer's Qt 5.15 has: the signal of Qt 6 that tells of it, and its arguments in Qt 5's
# terms.
_STAND_INS: dict[tuple[str, str], tuple[str, Callable[..., tuple[Any, ...]]]] = {
    ("QComboBox", "currentIndexChanged(QString)"): ("currentIndexChanged", lambda box, i: (box.itemText(i),)),
    ("QComboBox", "activated(QString)"): ("textActivated", lambda _box, text: (text,)),
    ("QComboBox", "highlighted(QString)"): ("textHighlighted", lambda _box, text: (text,)),
    ("QSpinBox", "valueChanged(QString)"): ("textChanged", lambda _box, text: (text,)),
    ("QDoubleSpinBox", "valueChanged(QString)"): ("textChanged", lambda _box, text: (text,)),
    ("QButtonGroup", "buttonClicked(int)"): ("idClicked", lambda _group, i: (i,)),
    ("QButtonGroup", "buttonPressed(int)"): ("idPressed", lambda _group, i: (i,)),
    ("QButtonGroup", "buttonReleased(int)"): ("idReleased", lambda _group, i: (i,)),
    ("QButtonGroup", "buttonToggled(int,bool)"): ("idToggled", lambda _group, i, on: (i, on)),
    ("QProcess", "error(QProcess::ProcessError)"): ("errorOccurred", lambda _process, error: (error,)),
}


def _normalised(arguments: str) -> str:
    """Argument types as moc writes them: no const references, no spaces, vtkObject* for any VTK class of ours."""
    types = [re.sub(r"^const\s+(.*?)\s*&$", r"\1", a.strip()) for a in arguments.split(",") if a.strip()]
    return ",".join(re.sub(r"\s+(?=[*&])|&$", "", t) for t in types)


def _signatures(sender: QObject, name: str) -> list[str]:
    """Signatures of an object's signals of that name, in Slicer's Qt: most arguments first, then as declared."""
    refused = set().union(*(facts.absent_signals(c.__name__) for c in type(sender).__mro__))
    found = _declared(sender, name)
    for cls in type(sender).__mro__:
        found += vars(cls).get("_vtk_signatures", {}).get(name, ())
        found += [s for s in vars(cls).get("_adapted_signals", {}) if s.startswith(f"{name}(")]
        found += sorted(s for s in facts.dropped_signals(cls.__name__) if s.startswith(f"{name}("))
    # moc sees our VTK arguments as PyObject; only the VTK signature is the real one.
    found = [s for s in dict.fromkeys(found) if s not in refused and "PyObject" not in s]
    return sorted(found, key=lambda s: -s.count(",") - (not s.endswith("()")))


def _declared(sender: QObject, name: str) -> list[str]:
    """Signatures of an object's methods of that name.

    PySide's wrapper of a meta object dies with the first object that gave it, which the garbage collector may end in
    the midst of this.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        meta = sender.metaObject()
        methods = [meta.method(i) for i in range(meta.methodCount())]
        return [bytes(m.methodSignature().data()).decode() for m in methods if bytes(m.name().data()).decode() == name]
    finally:
        if collects:
            gc.enable()


class BoundSignal:
    """One signal of one object: `connect`, `disconnect`, `emit`, or a call, which emits."""

    def __init__(self, sender: QObject, name: str, signal: SignalInstance, signature: str | None = None) -> None:
        known = _signatures(sender, name)
        if not known:
            raise ValueError(f"No such signal {type(sender).__name__}::{name}")
        if signature is None:
            signature = known[0]
        elif signature not in known:
            raise ValueError(f"No such signal {type(sender).__name__}::{signature}; there is {', '.join(known)}")
        self.signature = signature
        self._sender, self._name, self._signal = sender, name, signal
        self._adapt: Callable[..., tuple[Any, ...]] | None = None
        for cls in type(sender).__mro__:
            adapted = vars(cls).get("_adapted_signals", {}).get(signature)
            if stand_in := adapted or _STAND_INS.get((cls.__name__, signature)):
                self._signal, self._adapt = _raw_signal(sender, stand_in[0]), stand_in[1]

    def connect(self, slot: Callable[..., Any], *_types: Any) -> bool:
        """Call `slot` whenever the signal is emitted."""
        if not callable(slot):
            raise TypeError(f"connect: {slot!r} can't be called")
        relay = self._relay(slot)
        self._signal.connect(relay)
        _connections(self._sender).append((self.signature, slot, self._signal, relay))
        return True

    def disconnect(self, slot: Callable[..., Any] | None = None) -> bool:
        """Undo `connect`; without a slot, all connections made from Python."""
        connections = _connections(self._sender)
        hits = [c for c in connections if c[0] == self.signature and (slot is None or c[1] == slot)]
        for connection in hits[: None if slot is None else 1]:
            connection[2].disconnect(connection[3])
            connections.remove(connection)
        return bool(hits)

    def emit(self, *arguments: Any) -> None:
        """Emit the signal."""
        self._signal.emit(*arguments)

    __call__ = emit

    def __getitem__(self, arguments: Any) -> BoundSignal:
        types = ",".join(a if isinstance(a, str) else a.__name__ for a in _as_tuple(arguments))
        return BoundSignal(self._sender, self._name, self._signal, f"{self._name}({types})")

    def _relay(self, slot: Callable[..., Any]) -> Callable[..., None]:
        accepted = _positional_arguments(slot)
        source, adapt, sender = f"a slot of {type(self._sender).__name__}::{self.signature}", self._adapt, self._sender

        def call(*arguments: Any) -> None:
            try:
                if adapt:
                    arguments = adapt(sender, *arguments)
                slot(*arguments[:accepted])
            except Exception as error:
                record_slot_error(source, error)

        # PySide6 counts a slot's arguments, and gives none to one that takes any number.
        count = 0 if self.signature.endswith("()") else self.signature.count(",") + 1
        relays: list[Callable[..., None]] = [
            lambda: call(),
            lambda a: call(a),
            lambda a, b: call(a, b),
            lambda a, b, c: call(a, b, c),
            lambda a, b, c, d: call(a, b, c, d),
        ]
        return relays[count]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _positional_arguments(slot: Callable[..., Any]) -> int | None:
    """How many arguments a slot takes, as PythonQtSignalTarget counts them; None: all that there are."""
    function = getattr(slot, "__func__", slot)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or code.co_flags & 0x04:  # CO_VARARGS
        return None
    return int(code.co_argcount) - (function is not slot)


def _connections(sender: QObject) -> list[tuple[str, Callable[..., Any], SignalInstance, Callable[..., None]]]:
    return sender.__dict__.setdefault("_connections", [])


class SignalAttribute:
    """Descriptor that gives an object's `BoundSignal`."""

    def __init__(self, name: str, signal: Signal) -> None:
        self.name, self.signal = name, signal

    def __get__(self, sender: QObject | None, cls: type | None = None) -> Any:
        if sender is None:
            return self
        return BoundSignal(sender, self.name, self.signal.__get__(sender, type(sender)))

    def __set__(self, sender: QObject, _value: Any) -> None:
        raise AttributeError(f"Signal '{self.name}' can not be overwritten on {type(sender).__name__} object")


def _raw_signal(sender: QObject, name: str) -> SignalInstance:
    for cls in type(sender).__mro__:
        if isinstance(found := vars(cls).get(name), SignalAttribute):
            return found.signal.__get__(sender, type(sender))
    raise ValueError(f"No such signal {type(sender).__name__}::{name}")


def bound_signal(sender: QObject, specification: str) -> BoundSignal:
    """The signal that a specification like 'valueChanged(double)' names.

    Raises:
        ValueError: the object has no signal of that name and signature.
    """
    match = SPECIFICATION.match(specification)
    if not match:
        raise ValueError(f"Not a signal's signature: {specification!r}")
    name, signature = match[1], f"{match[1]}({_normalised(match[2])})"
    return BoundSignal(sender, name, _raw_signal(sender, name), signature)


def connect(self: QObject, specification: str, receiver: Any, slot: Any = None, *_types: Any) -> bool:
    """PythonQt's `connect(signal, callable)` and `connect(signal, receiver, 'slot(type)')`."""
    if isinstance(specification, QObject):  # QObject.connect(sender, signal, callable), the static form
        return connect(specification, receiver, slot, *_types)
    return bound_signal(self, specification).connect(_callable(receiver, slot))


def disconnect(self: QObject, specification: str, receiver: Any = None, slot: Any = None) -> bool:
    """PythonQt's `disconnect(signal, callable)`."""
    return bound_signal(self, specification).disconnect(_callable(receiver, slot) if receiver is not None else None)


def _callable(receiver: Any, slot: Any) -> Any:
    return receiver if slot is None else getattr(receiver, slot.lstrip("1").split("(")[0])


def install_signals(cls: type) -> None:
    """Replace a class's own PySide6 signals by ours."""
    for name, value in list(vars(cls).items()):
        if isinstance(value, Signal):
            setattr(cls, name, SignalAttribute(name, value))
