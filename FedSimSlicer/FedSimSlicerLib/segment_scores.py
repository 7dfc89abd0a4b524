"""How a segmentation agrees with its reference, region by region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.table_height import TableHeight

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import CompareLabelsResult, ScoreRow

_METRICS = ("dice", "hd95_mm", "assd_mm")


class ScoreTable:
    """Fills a qt.QTableWidget with Dice, HD95 and ASSD; the headings' tooltips name what computes them.

    Args:
        table: the widget.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Region"), _("Dice"), _("HD95"), _("ASSD")])
        self._height = TableHeight(table)

    def show(self, result: CompareLabelsResult) -> None:
        """Show a comparison; dashes where a figure cannot be had."""
        self._table.setRowCount(len(result.scores))
        for column, metric in enumerate(_METRICS, start=1):
            self._table.horizontalHeaderItem(column).setToolTip(result.implementations[metric])
        for row, score in enumerate(result.scores):
            dice = "–" if score.dice is None else f"{score.dice:.3f}"
            for column, text in enumerate((score.name, dice, _mm(score.hd95_mm), _mm(score.assd_mm))):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(_tip(score))
                if column:
                    item.setTextAlignment(int(qt.Qt.AlignVCenter) | int(qt.Qt.AlignRight))
                self._table.setItem(row, column, item)
        self._height.update()


def _mm(value: float | None) -> str:
    return "–" if value is None else _("{value:.1f} mm").format(value=value)


def _tip(score: ScoreRow) -> str:
    if not score.found_ml or not score.reference_ml:
        where = _("the segmentation") if not score.found_ml else _("the reference")
        return _("{name} is not in {where}.").format(name=score.name, where=where)
    told = _("{name}: {found:.1f} ml, {reference:.1f} ml in the reference")
    return told.format(name=score.name, found=score.found_ml, reference=score.reference_ml)
