"""Every name, signal, property and signature that the host's stand-ins offer exists in Slicer and CTK."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest

from Testing.host.tools import widget_facts

FACTS = json.loads(widget_facts.TARGET.read_text())
SLICER, CTK = (os.environ.get(name) for name in ("SLICER_SOURCE", "CTK_SOURCE"))
TYPES = {
    "bool": "bool", "int": "int", "float": "double", "double": "double", "str": "QString", "QString": "QString",
    "QStringList": "QStringList", "QColor": "QColor", "QIcon": "QIcon", "QSize": "QSize",
}  # fmt: skip


@pytest.fixture(scope="module")
def classes(application):
    import ctk
    import slicer

    from Testing.host.application import app, io_manager, main_window, modules

    places = (ctk, slicer, app, io_manager, main_window, modules)
    return {name: next(vars(p)[name] for p in places if name in vars(p)) for name in FACTS}


def own_members(cls: type) -> dict[str, object]:
    """Public members that the host itself defines for a class, its mixins and common bases."""
    members: dict[str, object] = {}
    for base in reversed([c for c in cls.__mro__ if c.__module__.startswith("Testing.host.")]):
        members |= {n: v for n, v in vars(base).items() if not n.startswith("_")}
    return members


def lengths(signatures: list[str], name: str) -> set[int]:
    """How many arguments the overloads of a method take."""
    found = [s.removeprefix(f"{name}(").removesuffix(")") for s in signatures if s.startswith(f"{name}(")]
    return {len(a.split(",")) if a else 0 for a in found}


def test_the_facts_are_of_all_classes_that_the_host_plays(application):
    assert set(widget_facts.host_classes()) == set(FACTS)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_property_exists_with_its_type(classes, name):
    from PySide6.QtCore import Property

    known = FACTS[name]["properties"]
    for member, value in own_members(classes[name]).items():
        if isinstance(value, Property):
            assert member in known, f"{name} has no property {member}"
            assert value.fset is None or known[member]["writable"], f"{name}.{member} is not writable"
            ours, real = classes[name]._property_types[member], known[member]["type"]
            is_enum = ours == "int" and real not in TYPES.values()
            assert TYPES.get(ours) == real or is_enum, f"{name}.{member} is {real}, not {ours}"


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_signal_exists_with_its_signature(classes, name):
    from Testing.host.pythonqt.signals import SignalAttribute

    cls = classes[name]
    known = {s.replace("vtkIdType", "int") for s in FACTS[name]["signals"]} | set(FACTS[name]["signals"])
    for member, value in own_members(cls).items():
        if not isinstance(value, SignalAttribute):
            continue
        offered = {s for s in cls._signal_signatures if s.startswith(f"{member}(") and "PyObject" not in s}
        for base in cls.__mro__:
            offered |= set(vars(base).get("_vtk_signatures", {}).get(member, ()))
            offered |= {s for s in vars(base).get("_adapted_signals", {}) if s.startswith(f"{member}(")}
        assert offered, f"{name}.{member}"
        unknown = {s for s in offered if s.replace("QVariantMap", "qSlicerIO::IOProperties") not in known}
        assert not unknown, f"{name} has {FACTS[name]['signals']}"


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_method_exists_and_takes_as_many_arguments(classes, name):
    from PySide6.QtCore import Property

    from Testing.host.pythonqt.classes import is_virtual
    from Testing.host.pythonqt.properties import PropertyAttribute
    from Testing.host.pythonqt.signals import SignalAttribute

    cls, known = classes[name], FACTS[name]
    for member, value in own_members(cls).items():
        if isinstance(value, (Property, PropertyAttribute, SignalAttribute)) or is_virtual(cls, member):
            continue
        if isinstance(value, int):
            assert member in known["enums"], f"{name} has no enum value {member}"
            continue
        if not inspect.isfunction(value):
            assert member == "staticMetaObject", member
            continue
        real = lengths(known["methods"], member)
        assert real, f"Python can't reach {name}.{member} in Slicer"
        taken = list(inspect.signature(value).parameters.values())[1:]
        least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in taken)
        assert least in real, f"{name}.{member} takes {real} arguments"
        assert len(taken) <= max(real), f"{name}.{member} takes {real} arguments"


def test_a_method_that_is_not_a_slot_in_slicer_is_out_of_reach(classes):
    assert not hasattr(classes["ctkCollapsibleButton"], "setCollapsed")
    assert "collapsed" in FACTS["ctkCollapsibleButton"]["properties"]


@pytest.mark.skipif(
    not (SLICER and CTK), reason="set SLICER_SOURCE and CTK_SOURCE to checkouts to read the headers anew"
)
def test_the_facts_are_what_the_headers_say():
    assert widget_facts.extract(Path(SLICER), Path(CTK), widget_facts.host_classes()) == FACTS
