"""The fields of a recipe's config as a form shows them: name, unit, bounds, help; and texts to values and back.

Everything is read from the JSON schema of ``FedSimCore.training.recipes.form``, so a new recipe needs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from slicer.i18n import tr as _

from FedSimCore.errors import InputError
from FedSimCore.training.recipes import KINDS, form

Kind = Literal["integer", "number", "text", "path", "switch", "choice", "list"]
_UNITS = {"_mm": "mm", "_hu": "HU", "_minutes": "min", "_s": "s"}
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


@dataclass(frozen=True)
class TrainingField:
    """One field of a config.

    Attributes:
        name: in the config.
        kind: what is typed or chosen.
        tip: what it is for.
        unit: shown behind the value.
        default: what it is if nobody says otherwise; of a required field None.
        required: whether somebody has to say.
        optional: an empty text is a value, None.
        choices: of a ``"choice"``.
        bounds: of a number, as in the schema: ``minimum``, ``exclusiveMinimum``, ``maximum``, ``exclusiveMaximum``.
        items: what a ``"list"`` holds.
        single: whether one item of a list may stand alone.
        main: whether a form shows it at first.
    """

    name: str
    kind: Kind
    tip: str = ""
    unit: str = ""
    default: Any = None
    required: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()
    bounds: tuple[tuple[str, float], ...] = ()
    items: Kind = "text"
    single: bool = False
    main: bool = False

    @property
    def label(self) -> str:
        """What people call it."""
        words = self.name
        for suffix in _UNITS:
            words = words.removesuffix(suffix)
        words = words.replace("_", " ")
        return words[:1].upper() + words[1:]

    def full_tip(self) -> str:
        """Return what it is for, its bounds and its default."""
        lines = [self.tip, _bounds_text(dict(self.bounds))]
        if self.optional:
            lines.append(_("May be left empty."))
        if self.kind == "list":
            lines.append(_("Several are separated by commas."))
        if not self.required:
            shown = _switch_text(self.default) if self.kind == "switch" else self.format(self.default)
            lines.append(_("Default: {value}").format(value=shown or _("none")))
        return "\n".join(filter(None, lines))

    def parse(self, text: str) -> Any:
        """Return the value of a text; a decimal comma is one too.

        Raises:
            InputError: it has no such value.
        """
        text = text.strip()
        if not text and (self.optional or self.required):
            return None
        if self.kind == "list":
            found = [self._single(part.strip(), self.items) for part in text.split(",") if part.strip()]
            return found[0] if self.single and len(found) == 1 else found
        return self._single(text, self.kind)

    def _single(self, text: str, kind: Kind) -> Any:
        try:
            if kind == "integer":
                return int(text)
            if kind == "number":
                return float(text.replace(",", "."))
        except ValueError:
            told = (
                _("{field} cannot be “{text}”; type a whole number.")
                if kind == "integer"
                else _("{field} cannot be “{text}”; type a number.")
            )
            raise InputError(told.format(field=self.label, text=text)) from None
        return text

    def format(self, value: Any) -> str:
        """Return a value as it is typed."""
        if value is None:
            return ""
        if isinstance(value, list | tuple):
            return ", ".join(self.format(part) for part in value)
        return f"{value:.12g}" if isinstance(value, float) else str(value)


def training_fields(kind: str) -> list[TrainingField]:
    """Return the fields of a recipe's config: first those that a form shows at once, then the others.

    Raises:
        InputError: there is no such recipe.
    """
    schema = form(kind)
    main, required = KINDS[kind].main, frozenset(schema.get("required", ()))
    fields = [
        schema_field(name, content, name in required, name in main or name in required)
        for name, content in schema["properties"].items()
        if name != "recipe"
    ]
    order = {name: number for number, name in enumerate(main)}
    # Required first, then in the order that the recipe gives; the others as they are declared.
    return sorted(fields, key=lambda f: (not f.main, not f.required, order.get(f.name, len(order))))


def schema_field(name: str, content: Mapping[str, Any], required: bool, main: bool) -> TrainingField:
    """Return the field that a JSON schema's property describes."""
    variants: Sequence[Mapping[str, Any]] = content.get("anyOf", [content])
    optional = any(variant.get("type") == "null" for variant in variants)
    given = [each for each in variants if each.get("type") != "null"]
    # One number or several: several can say both.
    variant = next((each for each in given if each.get("type") == "array"), given[0])
    return TrainingField(
        name=name,
        kind=_kind(variant),
        tip=str(content.get("description", "")),
        unit=next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), ""),
        default=content.get("default"),
        required=required,
        optional=optional,
        choices=tuple(map(str, variant.get("enum", ()))),
        bounds=tuple((bound, variant[bound]) for bound in _BOUNDS if bound in variant),
        items=_kind(variant.get("items", {})),
        single=len(given) > 1,
        main=main,
    )


def _kind(variant: Mapping[str, Any]) -> Kind:
    if "enum" in variant:
        return "choice"
    if variant.get("format") in ("path", "file-path", "directory-path"):
        return "path"
    kinds: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "switch", "array": "list"}
    return kinds.get(str(variant.get("type")), "text")


def _switch_text(on: Any) -> str:
    return _("on") if on else _("off")


def _bounds_text(bounds: Mapping[str, float]) -> str:
    low = bounds.get("minimum", bounds.get("exclusiveMinimum"))
    high = bounds.get("maximum", bounds.get("exclusiveMaximum"))
    if low is not None and high is not None:
        words = _("More than {low:g}, at most {high:g}.") if "exclusiveMinimum" in bounds else _("{low:g} to {high:g}.")
        return words.format(low=low, high=high)
    if low is not None:
        words = _("More than {low:g}.") if "exclusiveMinimum" in bounds else _("{low:g} or more.")
        return words.format(low=low)
    return "" if high is None else _("At most {high:g}.").format(high=high)
