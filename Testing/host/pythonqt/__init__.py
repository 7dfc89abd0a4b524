"""PySide6 made to behave as PythonQt, the binding through which Slicer's Python code sees Qt 5.15.

`install()` changes the classes of PySide6 in place, once per process, and returns the flat module `qt`:

- `properties`: Q_PROPERTYs are attributes (`slider.value = 3`), and their setters stay callable;
- `signals`: `widget.connect('clicked(bool)', slot)`, signatures checked, exceptions in slots recorded;
- `attributes`: no new attributes on C++ objects, no keyword arguments, children and dynamic properties as attributes;
- `facts`: what Qt 6 has and Slicer's Qt 5.15 lacks raises `AttributeError`;
- `classes`: the decorator that makes our stand-ins for ctk and qMRML widgets look like C++ classes;
- `ui_loader`: .ui files make widgets of their true classes.

What the code here accepts, PythonQt accepts. The reverse does not hold: where PythonQt prints a line and goes on, the
host raises. Left out: `qt.QRegExp` and other classes that only Qt 5 has, conversions of integers to enums in method
calls, operators on `QVariant`.
"""

from Testing.host.pythonqt.classes import cxx_class, private
from Testing.host.pythonqt.module import install
from Testing.host.pythonqt.signals import SlotError, slot_errors

__all__ = ["SlotError", "cxx_class", "install", "private", "slot_errors"]
