"""How well a fitted heart fits, region by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.table_height import TableHeight

if TYPE_CHECKING:
    from FedSimCore.anatomy import Region
    from FedSimSlicerLib.patient_fit import Fitted

_NAME, _DICE, _DISTANCE = range(3)


class FitTable:
    """Fills a qt.QTableWidget with Dice and distance of each region.

    Args:
        table: the widget.
        regions: of the heart.
    """

    def __init__(self, table: Any, regions: tuple[Region, ...]) -> None:
        self._table, self._regions = table, regions
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Region"), _("Dice"), _("Distance")])
        table.horizontalHeaderItem(_DICE).setToolTip(_("Overlap with the patient's region: 0 none, 1 the same"))
        table.horizontalHeaderItem(_DISTANCE).setToolTip(_("Mean distance between the two surfaces, both ways"))
        table.setRowCount(len(regions))
        for row, region in enumerate(regions):
            for column in range(3):
                item = qt.QTableWidgetItem(region.name if column == _NAME else "")
                if column != _NAME:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, column, item)
        self._height = TableHeight(table)

    def show(self, fitted: Fitted) -> None:
        """Show a result; regions that the patient lacks have dashes."""
        for row, region in enumerate(self._regions):
            missing = region.key in fitted.missing or region.key not in fitted.dice
            texts = (
                region.name,
                "–" if missing else f"{fitted.dice[region.key]:.3f}",
                "–" if missing else f"{fitted.distance_mm[region.key]:.2f} mm",
            )
            name = fitted.names.get(region.key)
            tip = _("Not in {patient}").format(patient=fitted.patient)
            if not missing:
                tip = _("{name} in {patient}").format(name=name or region.name, patient=fitted.patient)
            for column, text in enumerate(texts):
                self._table.item(row, column).setText(text)
                self._table.item(row, column).setToolTip(tip)
        self._height.update()
