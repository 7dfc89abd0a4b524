"""Recipes: which there are, their files, and how a config is checked. No torch.

A recipe file is JSON with ``schema``, ``recipe`` (the kind) and any fields of that kind's config; a field that is left
out has its default. Those that ship lie in ``Resources/recipes`` and are named without ``.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.training.config import MAY_CHANGE, TrainingConfig
from FedSimCore.training.enhancer_config import EnhancerConfig
from FedSimCore.training.generator_config import GeneratorConfig
from FedSimCore.training.segmenter_config import SegmenterConfig
from FedSimCore.training.semi_supervised_config import SemiSupervisedConfig
from FedSimCore.training.shape_generator_config import ShapeGeneratorConfig

SCHEMA = "fedsim/recipe/1"

KINDS: dict[str, type[TrainingConfig]] = {
    "shape-generator": ShapeGeneratorConfig,
    "generator": GeneratorConfig,
    "enhancer": EnhancerConfig,
    "semi-supervised": SemiSupervisedConfig,
    "segmenter": SegmenterConfig,
}
"""Every kind of recipe by its name. To add one: a config class and a builder (docs/runs.md)."""


class ConfigError(InputError):
    """A config can't be used.

    Attributes:
        fields: dotted name of a field to what is wrong with it, for forms.
    """

    def __init__(self, origin: str | Path, fields: Mapping[str, str]) -> None:
        """Say in one sentence what is wrong with which fields of the config from ``origin``."""
        super().__init__(f"{origin}: " + "; ".join(f"{name} {reason}" for name, reason in fields.items()) + ".")
        self.fields = dict(fields)


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that ship with FedSim, by name."""
    return {path.stem: path for path in sorted(resource_path("recipes").glob("*.json"))}


def read_recipe(name_or_file: str) -> tuple[dict[str, Any], str]:
    """Read a recipe, without checking its fields.

    Args:
        name_or_file: name of one that ships, or path of a JSON file; a file's relative paths start at its folder.

    Returns:
        Its fields, and where they are from.

    Raises:
        InputError: there is no such recipe, or the file is of another kind.
    """
    shipped = shipped_recipes()
    path = shipped.get(name_or_file, Path(name_or_file))
    if not path.exists() and path.suffix != ".json":
        raise InputError(
            f"There is no recipe {name_or_file!r}; those that ship are {', '.join(shipped)}, or give a JSON file."
        )
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path} is no recipe of FedSim ({SCHEMA}); copy one of Resources/recipes and change it.")
    fields = {key: value for key, value in content.items() if key not in ("schema", "comment")}
    kind = KINDS.get(str(fields.get("recipe")))
    for name in kind.paths if kind is not None else ():
        if isinstance(fields.get(name), str):
            fields[name] = str(path.parent / fields[name])
    return fields, name_or_file


def with_settings(fields: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return the fields with ``KEY=VALUE`` settings in their place; dots reach into nested fields.

    A value is read as JSON (``1e-3``, ``true``, ``[1, 2]``, ``null``), or else as text.

    Raises:
        InputError: a setting has no ``=``, or reaches into what has no fields.
    """
    result: dict[str, Any] = json.loads(json.dumps(fields))
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator or not name:
            raise InputError(f"--set {setting!r} is not KEY=VALUE, e.g. --set steps=500.")
        *outer, last = name.strip().split(".")
        place = result
        for part in outer:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {setting!r}: {part} has no fields.")
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return result


def checked_config(fields: Mapping[str, Any], origin: str | Path) -> TrainingConfig:
    """Check a config.

    Args:
        fields: as in a recipe file, with ``recipe``.
        origin: where they are from, for the message.

    Raises:
        ConfigError: a field is missing, unknown or impossible; the sentence tells every one.
    """
    kind = KINDS.get(str(fields.get("recipe")))
    if kind is None:
        raise ConfigError(origin, {"recipe": f"{fields.get('recipe')!r} is none of {', '.join(KINDS)}"})
    # A run is resumed from anywhere, so its paths are whole.
    whole = {name: str(Path(fields[name]).expanduser().absolute()) for name in kind.paths if fields.get(name)}
    try:
        return kind.model_validate({**fields, **whole})
    except ValidationError as error:
        raise ConfigError(origin, {".".join(map(str, e["loc"])): _reason(e) for e in error.errors()}) from error


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is no field of this recipe"
    reason = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"= {error['input']!r} cannot be used ({reason[:1].lower()}{reason[1:]})"


def changed_fields(before: TrainingConfig, after: TrainingConfig) -> dict[str, str]:
    """Return the fields in which a resumed session's config differs from the one before, with the new values.

    Paths may change: that the data is the same is seen from its checksums.

    Raises:
        ConfigError: a field has changed that a run can't change on its way.
    """
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    changed = {name: json.dumps(new.get(name)) for name in new if new.get(name) != old.get(name)}
    fixed = sorted(set(changed) - MAY_CHANGE - after.may_change - {*after.paths})
    if fixed:
        raise ConfigError("This run", dict.fromkeys(fixed, "cannot change in a run that has begun; begin a new run"))
    return changed


@cache
def form(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a kind's config: fields with types, bounds, defaults and help, for a form.

    Raises:
        InputError: there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"There is no recipe {kind!r}; choose one of {', '.join(KINDS)}.")
    return KINDS[kind].model_json_schema()
