"""The table of the seven regions: what each is made of, and the HU it will have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimCore.anatomy import regions
from FedSimCore.ct.materials import changed_tissue, contrast_phases, tissue, tissues
from FedSimCore.ct.spectra import REFERENCE_WATER_CM, hounsfield
from FedSimCore.worker.protocol import Material
from FedSimSlicerLib.checked_edit import CheckedEdit, choose, quiet_combo_box
from FedSimSlicerLib.material_set import changes, in_sentence, tissue_of

if TYPE_CHECKING:
    from FedSimCore.anatomy import Region
    from FedSimCore.ct.materials import Tissue
    from FedSimCore.ct.spectra import Spectrum

COLUMNS = 5
LINES_PER_REGION = 5
"""Numbers, base tissue, a reason for each of the two fields, a gap."""

GAP_PIXELS = 8
RESET_PIXELS = 24


class TissueRow:
    """One region: density, iodine, HU and reset; below them the base tissue, and why a value was refused.

    Attributes:
        region: whose row it is.
        base: qt combo box of the shipped tissues.
        density, iodine: the two fields, g/cm3 and mg/ml.
        hounsfield: qt.QLabel.
        reset: qt.QToolButton.

    Args:
        region: of the heart.
        on_changed: called with the region's label and what it is made of; None for the default.
    """

    def __init__(self, region: Region, on_changed: Callable[[int, Material | None], None]) -> None:
        self.region, self._on_changed = region, on_changed
        self._material = Material(base=region.tissue)
        self._phase = "none"
        self.base = quiet_combo_box([(each.name, key) for key, each in tissues().items()])
        self.density = CheckedEdit(self._accept_density)
        self.iodine = CheckedEdit(self._accept_iodine)
        self.hounsfield = qt.QLabel()
        self.reset = qt.QToolButton()
        self.reset.text = "↺"
        self.reset.autoRaise = True
        self.reset.maximumWidth = RESET_PIXELS
        self.reset.toolTip = _("Back to the default of this region")
        self.reset.connect("clicked()", self._on_reset)
        self.base.connect("activated(int)", self._on_base)
        for name, widget in self._named_widgets():
            widget.objectName = f"{region.key}{name}"

    def add_to(self, grid: Any, line: int) -> None:
        """Put the row into a grid of ``COLUMNS`` columns from ``line`` on."""
        _add_name(grid, line, self.region)
        for column, field in ((1, self.density), (2, self.iodine)):
            field.edit.setAlignment(qt.Qt.AlignRight)
            field.edit.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
            grid.addWidget(field.edit, line, column)
            grid.addWidget(field.reason, line + 1 + column, 0, 1, COLUMNS)
        self.hounsfield.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        grid.addWidget(self.hounsfield, line, 3)
        grid.addWidget(self.reset, line, 4)
        grid.addWidget(self.base, line + 1, 0, 1, COLUMNS)
        grid.setRowMinimumHeight(line + LINES_PER_REGION - 1, GAP_PIXELS)

    def show(self, material: Material | None, phase: str, spectrum: Spectrum) -> None:
        """Show what the region is made of in this contrast phase, and its HU in this beam."""
        self._material = material or Material(base=self.region.tissue)
        self._phase = phase
        made, own = tissue_of(self.region, material, phase), tissue(self._material.base, phase)
        choose(self.base, made.key, made.key != self.region.tissue)
        for field, value, default, unit in (
            (self.density, made.density_g_cm3, own.density_g_cm3, "g/cm³"),
            (self.iodine, made.iodine_mg_ml, own.iodine_mg_ml, "mg/ml"),
        ):
            field.show(f"{value:.15g}", value != default)
            field.set_tip(_("{tissue}: {value:g} {unit}").format(tissue=own.name, value=default, unit=unit))
        self.hounsfield.text = f"{hounsfield(made, spectrum):.0f}"
        self.hounsfield.toolTip = _("HU at {beam} behind {water:g} cm of water").format(
            beam=spectrum.name, water=REFERENCE_WATER_CM
        )
        self.reset.enabled = material is not None

    def revert(self) -> None:
        """Forget what was typed and refused."""
        self.density.revert()
        self.iodine.revert()

    def _accept_density(self, text: str) -> None:
        given = self._checked(density_g_cm3=text).density_g_cm3
        self._hand_on(self._material.model_copy(update={"density_g_cm3": given}))

    def _accept_iodine(self, text: str) -> None:
        given = self._checked(iodine_mg_ml=text).iodine_mg_ml
        self._hand_on(self._material.model_copy(update={"iodine_mg_ml": given}))

    def _checked(self, **typed: str) -> Tissue:
        return changed_tissue(self._material.base, self._phase, **typed, what=in_sentence(self.region))

    def _hand_on(self, material: Material) -> None:
        self._on_changed(self.region.label, changes(self.region, material, self._phase))

    def _on_base(self, _index: int) -> None:
        self.revert()
        self._hand_on(Material(base=self.base.currentData))  # with its own density and iodine

    def _on_reset(self) -> None:
        self.revert()
        self._on_changed(self.region.label, None)

    def _named_widgets(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("BaseBox", self.base),
            ("DensityEdit", self.density.edit),
            ("IodineEdit", self.iodine.edit),
            ("HounsfieldLabel", self.hounsfield),
            ("ResetButton", self.reset),
        )


class TissueTable:
    """All rows, under their heads.

    Attributes:
        rows: by the region's key.

    Args:
        grid: qt.QGridLayout to fill.
        on_changed: called with a label and what the region is made of; None for the default.
    """

    def __init__(self, grid: Any, on_changed: Callable[[int, Material | None], None]) -> None:
        self._add_heads(grid)
        self.rows = {region.key: TissueRow(region, on_changed) for region in regions()}
        for number, row in enumerate(self.rows.values()):
            row.add_to(grid, 1 + LINES_PER_REGION * number)
        for column, stretch in enumerate((6, 4, 4, 3, 0)):
            grid.setColumnStretch(column, stretch)

    def show(self, materials: dict[int, Material], phase: str, spectrum: Spectrum) -> None:
        """Show the materials that differ from the default, in this contrast phase and beam."""
        for row in self.rows.values():
            row.show(materials.get(row.region.label), phase, spectrum)

    def revert(self) -> None:
        """Forget what was typed and refused."""
        for row in self.rows.values():
            row.revert()

    def _add_heads(self, grid: Any) -> None:
        heads = (
            (_("Region"), _("Below each region: its base tissue, which gives composition and default density")),
            (_("Density\ng/cm³"), _("Density without contrast agent")),
            (_("Iodine\nmg/ml"), _("Iodine of the contrast agent, milligrams in a millilitre of tissue")),
            (_("HU"), _("What the tissue will have in the chosen beam, behind 20 cm of water")),
        )
        for column, (text, tip) in enumerate(heads):
            head = qt.QLabel(text)
            head.toolTip = tip
            side = qt.Qt.AlignLeft if column == 0 else qt.Qt.AlignRight
            head.setAlignment(side | qt.Qt.AlignBottom)
            grid.addWidget(head, 0, column)


def phase_items(of_scanner: str) -> list[tuple[str, str]]:
    """Return the contrast phases as texts and keys; the first, with an empty key, is the scanner's own."""
    phases = contrast_phases()
    own = _("The scanner's protocol: {phase}").format(phase=phases[of_scanner].name)
    return [(own, ""), *((phase.name, key) for key, phase in phases.items())]


def _add_name(grid: Any, line: int, region: Region) -> None:
    layout = qt.QHBoxLayout()
    grid.addLayout(layout, line, 0)  # first: PythonQt deletes a widget without a parent when Python lets go of it
    layout.setSpacing(5)
    swatch = qt.QLabel()
    pixmap = qt.QPixmap(14, 14)
    pixmap.fill(qt.QColor(*region.color))
    swatch.setPixmap(pixmap)
    name = qt.QLabel(region.name)
    name.wordWrap = True
    layout.addWidget(swatch)
    layout.addWidget(name, 1)
