"""Forms of a study: its own fields, those of the recipe that it learns, and the noise that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from FedSimCore.federated.policy import Privacy
from FedSimCore.federated.study import STUDY_SCHEMA, Study, checked_study
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.recipes import ConfigError
from FedSimSlicerLib.training_fields import TrainingField, schema_field, training_fields
from FedSimSlicerLib.training_form import FieldForm

MAIN = ("rounds", "method", "local_steps", "min_sites")
ELSEWHERE_FIELDS = ("name", "recipe", "sites", "privacy")
"""Of a study; they have places of their own in the panel."""
NOT_OF_A_SITE = frozenset(
    {
        "cohort",
        "site",
        "sites",
        "model",
        "init",
        "held_cases",
        "splits",
        "fold",
        "steps",
        "seed",
        "report_every",
        "evaluate_every",
        "checkpoint_every",
        "checkpoint_minutes",
        "checkpoints_kept",
    }
)
"""Fields of a recipe that a study says itself, or that each site knows alone."""


class StudyForm(FieldForm):
    """Rounds, method, who has to be there, and how often is saved and told.

    Args:
        main: qt.QVBoxLayout for what everybody looks at.
        more: the same for the rest.
        sites: gives the names of the sites.
        privacy: gives the noise; None without.
    """

    def __init__(
        self, main: Any, more: Any, sites: Callable[[], Sequence[str]], privacy: Callable[[], Privacy | None]
    ) -> None:
        super().__init__(main, more)
        self._sites, self._privacy = sites, privacy

    def given(self) -> dict[str, Any]:
        """Return the fields as a study's file has them."""
        return {name: value for name, value in self._values.items() if value is not None}

    def _fields(self, kind: str) -> Sequence[TrainingField]:  # noqa: ARG002 (there is but one)
        schema = Study.model_json_schema()
        fields = [
            schema_field(name, _resolved(content, schema), False, name in MAIN)
            for name, content in schema["properties"].items()
            if name not in ELSEWHERE_FIELDS
        ]
        fields = [replace(field, default=2000) if field.name == "rounds" else field for field in fields]
        return sorted(fields, key=lambda field: MAIN.index(field.name) if field.main else len(MAIN))

    def _check(self, values: Mapping[str, Any]) -> Study:
        sites = [{"name": name} for name in self._sites()] or [{"name": "a"}]
        privacy = self._privacy()
        fields = {name: value for name, value in values.items() if value is not None}
        noise = {} if privacy is None else {"privacy": privacy.model_dump()}
        recipe = {"recipe": "generator"}  # What is wrong with the study's own is told at its own fields.
        try:
            return checked_study({"name": "study", "recipe": recipe, "sites": sites, **noise, **fields}, self._origin)
        except ConfigError as error:
            # What two fields have against each other is nobody's alone.
            wrong = {"" if name == "study" else name: reason for name, reason in error.fields.items()}
            raise ConfigError(self._origin, wrong) from None


class RecipeForm(FieldForm):
    """The recipe that a study learns, without what the study says itself and what only a site knows."""

    def given(self) -> dict[str, Any]:
        """Return the fields as a study's file has them."""
        return {"recipe": self.kind, **self.stated, **self.changes}

    def show(self, recipe: Mapping[str, Any], origin: str) -> None:
        """Show a recipe; see :meth:`FieldForm.show`."""
        self.stated = {name: value for name, value in recipe.items() if name not in NOT_OF_A_SITE and name != "recipe"}
        super().show(recipe, origin)

    def _fields(self, kind: str) -> Sequence[TrainingField]:
        return [field for field in training_fields(kind) if field.name not in NOT_OF_A_SITE]

    def _check(self, values: Mapping[str, Any]) -> TrainingConfig:
        recipe = {"recipe": self.kind, **{name: value for name, value in values.items() if value is not None}}
        fields = {"name": "study", "recipe": recipe, "sites": [{"name": "a"}], "rounds": 1}
        return checked_study(fields, self._origin).config(None)


class NoiseForm(FieldForm):
    """Clip, noise and delta of differential privacy."""

    def __init__(self, layout: Any, more: Any) -> None:
        super().__init__(layout, more)
        self.show({"recipe": "noise", "clip": 1.0, "noise": 1.0}, "The noise")

    def privacy(self) -> Privacy:
        """Return what the fields say."""
        return Privacy.model_validate(self._values)

    def _fields(self, kind: str) -> Sequence[TrainingField]:  # noqa: ARG002 (there is but one)
        properties = Privacy.model_json_schema()["properties"]
        return [schema_field(name, content, False, name != "delta") for name, content in properties.items()]

    def _check(self, values: Mapping[str, Any]) -> Privacy:
        try:
            return Privacy.model_validate(dict(values))
        except ValueError as error:
            raise ConfigError(self._origin, {str(e["loc"][0]): _reason(e) for e in _errors(error)}) from None


def whole_study(
    name: str,
    study: StudyForm,
    recipe: RecipeForm,
    sites: Sequence[Mapping[str, Any]],
    privacy: Privacy | None,
) -> Study:
    """Return the study that the forms make.

    Raises:
        ConfigError: something is missing or impossible; its ``fields`` say what.
    """
    noise = {} if privacy is None else {"privacy": privacy.model_dump(mode="json")}
    fields = {"name": name, "recipe": recipe.given(), "sites": list(sites), **noise, **study.given()}
    return checked_study(fields, "The study")


def study_content(study: Study) -> dict[str, Any]:
    """Return the content of a study's file."""
    return {"schema": STUDY_SCHEMA, **study.model_dump(mode="json")}


def _resolved(content: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a property with what it refers to in the schema's definitions put in."""
    reference = content.get("$ref")
    return content if reference is None else {**schema["$defs"][str(reference).rpartition("/")[2]], **content}


def _errors(error: ValueError) -> Sequence[Mapping[str, Any]]:
    errors = getattr(error, "errors", None)
    return errors() if errors is not None else ()


def _reason(error: Mapping[str, Any]) -> str:
    reason = str(error["msg"]).rstrip(".")
    return f"cannot be used ({reason[:1].lower()}{reason[1:]})"
