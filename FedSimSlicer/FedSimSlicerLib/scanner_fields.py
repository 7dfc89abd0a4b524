"""The settings of a scanner as a clinician reads them: names, units, choices, and what each does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from slicer.i18n import tr as _

from FedSimCore.ct.scanners import Scanner
from FedSimCore.ct.spectra import tube_voltages_kvp
from FedSimCore.errors import InputError


@dataclass(frozen=True)
class ScannerField:
    """One field of :class:`FedSimCore.ct.scanners.Scanner` in the panel.

    Attributes:
        name: of the field.
        label: what people call it.
        unit: shown behind the value.
        tip: what it does.
        items: texts and values to choose from; none for a number to type.
        optional: an empty text is a value, None.
    """

    name: str
    label: str
    unit: str
    tip: str
    items: tuple[tuple[str, Any], ...] = ()
    optional: bool = False

    def parse(self, text: str) -> float | None:
        """Return the number that was typed; a decimal comma is one too.

        Raises:
            InputError: it is no number.
        """
        if self.optional and not text.strip():
            return None
        try:
            return float(text.strip().replace(",", "."))
        except ValueError:
            raise InputError(f"{self.label} cannot be {text!r}, which is no number.") from None

    def format(self, value: float | None) -> str:
        """Return a value as it is typed."""
        return "" if value is None else f"{value:.15g}"


def protocol_fields() -> tuple[ScannerField, ...]:
    """Return what a technician chooses for every scan."""
    kernels = {"ramp": _("Ramp (sharpest)"), "sharp": _("Sharp"), "hann": _("Standard (Hann)"), "soft": _("Soft")}
    return (
        ScannerField(
            "kvp",
            _("Tube voltage"),
            _("kVp"),
            _("Lower voltage: iodine and bone brighter, more noise."),
            tuple((f"{kvp}", kvp) for kvp in tube_voltages_kvp()),
        ),
        ScannerField("mas", _("Dose"), _("mAs"), _("Tube current-time product of one rotation; less is noisier.")),
        ScannerField("views", _("Views"), "", _("Projections of a scan; few make streaks. The preview has 63.")),
        ScannerField(
            "kernel",
            _("Kernel"),
            "",
            _("Reconstruction kernel: sharp shows edges and noise, soft hides both."),
            tuple((kernels[key], key) for key in get_args(Scanner.model_fields["kernel"].annotation)),
        ),
        ScannerField(
            "slice_thickness_mm", _("Slice thickness"), _("mm"), _("Thickness of the slices; 0 for that of the voxels.")
        ),
        ScannerField(
            "scan_field_mm",
            _("Field of view"),
            _("mm"),
            _("Diameter of the scan field; the patient and the image have to fit in it."),
        ),
    )


def machine_fields() -> tuple[ScannerField, ...]:
    """Return what a scanner is built like."""
    return (
        ScannerField(
            "monochromatic_kev",
            _("Single energy"),
            _("keV"),
            _("An ideal beam of one photon energy in place of the tube's; empty for the tube."),
            optional=True,
        ),
        ScannerField("source_isocenter_mm", _("Tube to axis"), _("mm"), _("Focal spot to rotation axis.")),
        ScannerField("source_detector_mm", _("Tube to detector"), _("mm"), _("Focal spot to detector.")),
        ScannerField(
            "detector_element_mm",
            _("Detector element"),
            _("mm"),
            _("Pitch of the elements, at the detector."),
        ),
        ScannerField(
            "angular_range_deg",
            _("Rotation"),
            "",
            _("A full turn, or 180 degrees and the fan's angle."),
            ((_("Full turn"), 360.0), (_("Short scan"), "short")),
        ),
        ScannerField(
            "detective_efficiency",
            _("Efficiency"),
            "",
            _("Share of the tube's photons that is counted, up to 1."),
        ),
        ScannerField(
            "electronic_noise_kev", _("Electronic noise"), _("keV"), _("Of the read-out of one detector element.")
        ),
    )


def changed_scanner(preset: Scanner, changes: dict[str, Any], fields: tuple[ScannerField, ...]) -> Scanner:
    """Return a scanner with changes; refusals are told in the fields' own words.

    Raises:
        InputError: no scanner is like that.
    """
    try:
        return preset.with_changes(**changes)
    except InputError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        raise InputError(_in_plain_words(error.__cause__, fields)) from error


def _in_plain_words(error: ValidationError, fields: tuple[ScannerField, ...]) -> str:
    first = error.errors()[0]
    reason = str(first["msg"]).removeprefix("Value error, ")
    for field in fields:
        reason = reason.replace(field.name, field.label.lower())
    labels: dict[Any, str] = {field.name: field.label for field in fields}
    label = labels.get(next(iter(first["loc"]), None))
    if label is None:  # several fields do not go together
        return f"{reason[0].upper()}{reason[1:]}."
    value = first["input"]
    shown = f"{value:g}" if isinstance(value, int | float) else repr(value)
    return f"{label} cannot be {shown}: {reason[0].lower()}{reason[1:]}."


Accept = Callable[[str, Any], None]
"""Takes a field's name and value; raises :class:`FedSimError` to refuse it."""
