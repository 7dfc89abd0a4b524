"""Visibility and opacity of the seven regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctk
import qt
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FedSimCore.anatomy import Region
    from FedSimSlicerLib.heart_display import HeartDisplay


class RegionTable:
    """A row for each region: shown or not, colour, opacity.

    The display nodes of the scene are what counts; :meth:`refresh` reads them.

    Args:
        grid: qt.QGridLayout to fill.
        regions: of the heart.
        display: the heart in the scene.
    """

    def __init__(self, grid: Any, regions: tuple[Region, ...], display: HeartDisplay) -> None:
        self._display = display
        self.boxes: dict[str, Any] = {}
        self.opacities: dict[str, Any] = {}
        for row, region in enumerate(regions):
            self._add(grid, row, region)
        grid.setColumnStretch(1, 1)

    def refresh(self) -> None:
        """Show what the display nodes say."""
        for key, display in self._display_nodes():
            for widget, value, name in (
                (self.boxes[key], bool(display.GetVisibility()), "checked"),
                (self.opacities[key], display.GetOpacity(), "value"),
            ):
                blocked = widget.blockSignals(True)
                setattr(widget, name, value)
                widget.blockSignals(blocked)

    def _display_nodes(self) -> list[tuple[str, Any]]:
        return [(part.region.key, node.GetDisplayNode()) for part, node in self._display.nodes()]

    def _add(self, grid: Any, row: int, region: Region) -> None:
        box = qt.QCheckBox(region.name)
        box.checked = True
        icon = qt.QPixmap(14, 14)
        icon.fill(qt.QColor(*region.color))
        box.icon = qt.QIcon(icon)
        box.toolTip = _("Show {name} in all views").format(name=region.name)
        opacity = ctk.ctkSliderWidget()
        opacity.minimum, opacity.maximum = 0.0, 1.0
        opacity.singleStep, opacity.decimals = 0.05, 2
        opacity.toolTip = _("Opacity in the 3D view")
        grid.addWidget(box, row, 0)
        grid.addWidget(opacity, row, 1)
        self.boxes[region.key], self.opacities[region.key] = box, opacity
        box.connect("toggled(bool)", lambda on, key=region.key: self._each(key, lambda d: d.SetVisibility(on)))
        opacity.connect(
            "valueChanged(double)", lambda value, key=region.key: self._each(key, lambda d: d.SetOpacity(value))
        )

    def _each(self, key: str, change: Any) -> None:
        for found, display in self._display_nodes():
            if found == key:
                change(display)
