"""Stand-ins for the widgets that Slicer puts into the module `slicer`: qMRML and qSlicer."""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Put the classes into `slicer`, and give them to the .ui loader."""
    import slicer

    from Testing.host.pythonqt.ui_loader import custom_widgets
    from Testing.host.qmrml import base, node_combo_box, numbers, segments, subject_hierarchy, utils
    from Testing.host.views import layout_manager, plot_view, slice_view, table_view, threed_view

    parts: tuple[Any, ...] = (
        base, node_combo_box, numbers, segments, subject_hierarchy, utils,
        layout_manager, plot_view, slice_view, table_view, threed_view,
    )  # fmt: skip
    for part in parts:
        for name, value in vars(part).items():
            if name.startswith(("qMRML", "qSlicer")):
                setattr(slicer, name, value)
                if hasattr(value, "_header"):
                    custom_widgets[name] = value
