"""How Slicer's Qt 5.15 differs from PySide6, read from facts/qt515.json (made by tools/qt515_facts.py)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FACTS = Path(__file__).parents[1] / "facts" / "qt515.json"

# PythonQt itself answers these (PythonQtStdDecorators.h, PythonQtInstanceWrapper.cpp), so no generated wrapper has
# them; Python's keywords get an underscore.
ANSWERED_BY_PYTHONQT = frozenset(
    "connect disconnect emit findChild findChildren inherits metaObject parent property setParent setProperty tr "
    "exec_ raise_ print_".split()
)

# Virtual methods that Qt 6 added. Shiboken looks them up as attributes whenever C++ calls them, and takes an
# AttributeError for a crash, so they stay.
VIRTUAL_IN_QT6 = frozenset(
    "connectNotify disconnectNotify receivers initViewItemOption initStyleOption initStyleOptionForIndex "
    "itemDelegateForIndex clearItemData multiData skipData supportedDragActions supportedDropActions "
    "updateSection create".split()
)


@cache
def _facts() -> dict[str, dict[str, list[str]]]:
    return json.loads(FACTS.read_text())


def is_absent_class(name: str) -> bool:
    """Whether PythonQt offers no class of that name."""
    return name in _facts()["absent_classes"]


def absent_members(class_name: str) -> set[str]:
    """Names of a class's own methods, properties and signals that PySide6 has and PythonQt on Qt 5.15 has not."""
    return {n for n in _facts()["absent"].get(class_name, []) if "(" not in n} - ANSWERED_BY_PYTHONQT - VIRTUAL_IN_QT6


def absent_signals(class_name: str) -> set[str]:
    """Signatures of signals that a class has in Qt 6 only."""
    return {n for n in _facts()["absent"].get(class_name, []) if "(" in n}


def dropped_signals(class_name: str) -> set[str]:
    """Signatures of signals that a class had in Qt 5.15 and has no longer."""
    return set(_facts()["dropped_signals"].get(class_name, []))
