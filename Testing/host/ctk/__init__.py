"""Stand-ins for CTK's widgets, with their names, signals, properties and slots.

What each leaves out stands in its docstring.

As through PythonQt, a setter that is no slot in the header (`ctkCollapsibleButton::setCollapsed`) can't be called:
set the property instead.
"""

from __future__ import annotations

import sys
from types import ModuleType


def install() -> ModuleType:
    """Make the module `ctk`, and give the .ui loader its classes."""
    from Testing.host.ctk import (
        buttons,
        collapsible,
        combo_boxes,
        messages,
        paths,
        range_widgets,
        slider_widgets,
        spin_box,
    )
    from Testing.host.pythonqt.ui_loader import custom_widgets

    ctk = ModuleType("ctk", "CTK's widgets, played by the host")
    for part in (buttons, collapsible, combo_boxes, messages, paths, range_widgets, slider_widgets, spin_box):
        for name, value in vars(part).items():
            if name.startswith("ctk"):
                setattr(ctk, name, value)
                if hasattr(value, "_header"):
                    custom_widgets[name] = value
    sys.modules["ctk"] = ctk
    return ctk
