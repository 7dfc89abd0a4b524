"""Write facts/qt515.json: how Slicer's Qt 5.15, as PythonQt wraps it, differs from the PySide6 that the host runs on.

Two steps, since no one environment holds both Qts:

    python qt515_facts.py read-qt5 PYTHONQT_CHECKOUT qt5.json      # where PyQt5 5.15 is installed
    python qt515_facts.py compare qt5.json ../facts/qt515.json     # where PySide6 is installed

The first asks Qt 5.15's own meta objects for properties, signals and slots, and PythonQt's generated wrappers
(`generated_cpp_515`) for the methods that are not slots: together, all that Python code can reach inside Slicer. The
second keeps only the differences, which the host needs to refuse what Slicer lacks.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
from pathlib import Path
from typing import Any

MODULES = ("QtCore", "QtGui", "QtWidgets")
WRAPPER = re.compile(r"^class PythonQtWrapper_(\w+) :.*?^};", re.MULTILINE | re.DOTALL)
METHOD = re.compile(r"\b(?:static_{cls}_)?(?:py_q_)?(\w+)\(".replace("{cls}", r"\w+?"))


def wrapped_methods(checkout: Path) -> dict[str, set[str]]:
    """Names of the methods that PythonQt's generated wrappers add to each class."""
    methods: dict[str, set[str]] = {}
    for header in sorted(checkout.glob("generated_cpp_515/*/*.h")):
        for wrapper in WRAPPER.finditer(header.read_text()):
            names = methods.setdefault(wrapper[1], set())
            prefix = f"static_{wrapper[1]}_"
            for line in wrapper[0].splitlines():
                call = re.match(r"\s+[\w:<>,&* ]*?\b(\w+)\(", line)
                if call:
                    names.add(call[1].removeprefix(prefix).removeprefix("py_q_"))
    return methods


def signature(method: Any) -> str:
    """A QMetaMethod's normalised signature, in either binding."""
    raw = method.methodSignature()
    return bytes(raw.data() if hasattr(raw, "data") else raw).decode()


def meta_facts(cls: Any, method_type: Any) -> dict[str, list[str]]:
    """Properties, signals and public slots that a class itself declares, from its meta object."""
    meta = cls.staticMetaObject
    methods = [meta.method(i) for i in range(meta.methodOffset(), meta.methodCount())]
    return {
        "properties": sorted(meta.property(i).name() for i in range(meta.propertyOffset(), meta.propertyCount())),
        "signals": sorted(signature(m) for m in methods if m.methodType() == method_type.Signal),
        "slots": sorted(
            signature(m).split("(")[0]
            for m in methods
            if m.methodType() != method_type.Signal and m.access().name == "Public"
            if not signature(m).startswith("_q_")
        ),
    }


def read_qt5(checkout: Path, target: Path) -> None:
    """First step: everything that PythonQt offers of Qt 5.15, class by class."""
    methods = wrapped_methods(checkout)
    classes: dict[str, dict[str, list[str]]] = {}
    qt_core = importlib.import_module("PyQt5.QtCore")

    class Access:  # PyQt5 gives plain integers
        def __init__(self, method: Any) -> None:
            self._method = method

        def __getattr__(self, name: str) -> Any:
            return getattr(self._method, name)

        def access(self) -> Any:
            return type("Level", (), {"name": "Public" if self._method.access() == 2 else "Other"})

    for module in map(importlib.import_module, (f"PyQt5.{m}" for m in MODULES)):
        for name, cls in vars(module).items():
            if not isinstance(cls, type) or not name.startswith("Q"):
                continue
            facts: dict[str, list[str]] = {"properties": [], "signals": [], "slots": []}
            if issubclass(cls, qt_core.QObject):
                meta = cls.staticMetaObject
                wrapped = [Access(meta.method(i)) for i in range(meta.methodOffset(), meta.methodCount())]
                shim = type("Shim", (), {"staticMetaObject": _MetaShim(meta, wrapped)})
                facts = meta_facts(shim, qt_core.QMetaMethod)
            if name in methods or any(facts.values()):
                classes[name] = facts | {"methods": sorted(methods.get(name, set()))}
    for name in methods.keys() - classes.keys():
        classes[name] = {"properties": [], "signals": [], "slots": [], "methods": sorted(methods[name])}
    target.write_text(json.dumps(classes, indent=0, sort_keys=True))


class _MetaShim:
    """A PyQt5 meta object whose methods answer `access().name` as PySide6's do."""

    def __init__(self, meta: Any, methods: list[Any]) -> None:
        self._meta, self._methods = meta, methods

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meta, name)

    def methodOffset(self) -> int:
        return 0

    def methodCount(self) -> int:
        return len(self._methods)

    def method(self, index: int) -> Any:
        return self._methods[index]


def compare(qt5_facts: Path, target: Path) -> None:
    """Second step: what PySide6 offers that Slicer's Qt lacks, and the signals that Qt 6 dropped."""
    qt5: dict[str, dict[str, list[str]]] = json.loads(qt5_facts.read_text())
    qt_core = importlib.import_module("PySide6.QtCore")
    absent_classes: list[str] = []
    absent: dict[str, list[str]] = {}
    dropped_signals: dict[str, list[str]] = {}
    for module in map(importlib.import_module, (f"PySide6.{m}" for m in MODULES)):
        for name in dir(module):
            cls = getattr(module, name)
            if not isinstance(cls, type) or not name.startswith("Q") or name == "Qt":
                continue
            if name not in qt5:
                absent_classes.append(name)
                continue
            allowed = reachable(cls, qt5)
            own = {n for n, v in vars(cls).items() if not n.startswith("_") and not isinstance(v, type)}
            own = {n for n in own if callable(vars(cls)[n]) or isinstance(vars(cls)[n], qt_core.Signal)}
            if issubclass(cls, qt_core.QObject):
                mine = meta_facts(cls, qt_core.QMetaMethod.MethodType)
                own |= set(mine["properties"])
                if dropped := sorted(set(qt5[name]["signals"]) - set(mine["signals"])):
                    dropped_signals[name] = dropped
                # A signal of Qt 6 whose name Qt 5 has for something else is refused by its signature.
                if added := sorted(set(mine["signals"]) - set(qt5[name]["signals"])):
                    absent.setdefault(name, []).extend(added)
            if missing := sorted(own - allowed):
                absent.setdefault(name, []).extend(missing)
    facts = {"absent_classes": sorted(absent_classes), "absent": absent, "dropped_signals": dropped_signals}
    target.write_text(json.dumps(facts, indent=0, sort_keys=True) + "\n")


def reachable(cls: Any, qt5: dict[str, dict[str, list[str]]]) -> set[str]:
    """All names that PythonQt offers on a class and its bases."""
    names: set[str] = set()
    for base in cls.__mro__:
        facts = qt5.get(base.__name__, {})
        names.update(*(facts.get(kind, []) for kind in ("properties", "slots", "methods")))
        names.update(s.split("(")[0] for s in facts.get("signals", []))
    return names


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    read = steps.add_parser("read-qt5")
    read.add_argument("checkout", type=Path)
    read.add_argument("target", type=Path)
    differ = steps.add_parser("compare")
    differ.add_argument("qt5_facts", type=Path)
    differ.add_argument("target", type=Path)
    args = parser.parse_args()
    if args.step == "read-qt5":
        read_qt5(args.checkout, args.target)
    else:
        compare(args.qt5_facts, args.target)


if __name__ == "__main__":
    main()
