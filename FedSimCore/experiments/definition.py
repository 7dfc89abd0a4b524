"""An experiment as data: which methods, on which sites, with how many labels (``Resources/experiments``). No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.resources import resource_path

SCHEMA = "fedsim/experiment/1"
NAME = r"^[a-z0-9][a-z0-9-]*$"
Variant = Literal["fix-mat", "pre", "full"]
"""The paper's names of trained models: fixed materials, pre-trained, semi-supervised."""
Shape = Literal["learnt", "random"]
Blend = Literal["alpha", "poisson"]
Truth = Literal["shapes", "materials", "images"]
Mean = Annotated[tuple[float, ...], Field(min_length=1, max_length=2)]
"""A mean in percent, and its standard deviation where the paper has one."""
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Generated(BaseModel):
    """Hearts drawn from a trained model.

    Attributes:
        variant: which model.
        shape: from the latent, or random shapes of the shape model (table 2).
        blend: the simulator's heart in the enhancer's image (table 2).
    """

    model_config = _STRICT
    source: Literal["generated"]
    variant: Variant
    shape: Shape = "learnt"
    blend: Blend | None = None


class Exchanged(BaseModel):
    """The fold's training cases as a model would make them, with some stages exchanged for the truth.

    Every heart has the latent that the generator learnt for it or, if its labels were not shown, the one fitted to it.

    Attributes:
        variant: which model.
        truth: ``"shapes"``: the case's label map; ``"materials"``: its trilinearly downsampled CT as coarse CT;
            ``"images"``: its CT instead of the enhancer's, which needs true shapes.
    """

    model_config = _STRICT
    source: Literal["exchanged"]
    variant: Variant
    truth: tuple[Truth, ...] = ()

    @model_validator(mode="after")
    def _images_need_their_shapes(self) -> Exchanged:
        if "images" in self.truth and "shapes" not in self.truth:
            raise ValueError("true images with other shapes would be labelled wrongly")
        if "materials" in self.truth and self.variant == "fix-mat":
            raise ValueError("fixed materials come from a table, so true ones cannot take their place")
        return self


class RandomIntensities(BaseModel):
    """Shapes and surroundings of random intensity, in the manner of SynthSeg (Billot et al. 2023)."""

    model_config = _STRICT
    source: Literal["random-intensities"]


Synthesis = Annotated[Generated | Exchanged | RandomIntensities, Field(discriminator="source")]


class Method(BaseModel):
    """A row of a table: how a segmenter is trained.

    Attributes:
        key: identifier, for ``--only`` and files.
        title: as the table has it.
        group: heading over its rows.
        kind: how it is planned; ``"site"``: with the data of one site.
        pretrain: synthetic hearts that it learns from first.
        finetune: real cases that it learns from then: those whose labels are shown, or all training cases; None: none.
        augmentation: ``"plain"``: rotated, scaled, shifted, deformed, brightened and noisy copies in every step.
        paper: the paper's numbers in percent, by column (``"CT20/4"``; ``"CT20"`` where label sizes don't matter).
    """

    model_config = _STRICT
    key: str = Field(pattern=NAME)
    title: str
    group: str = ""
    kind: Literal["site"] = "site"
    pretrain: Synthesis | None = None
    finetune: Literal["labelled", "all"] | None = None
    augmentation: Literal["none", "plain"] = "none"
    paper: dict[str, Mean] = {}

    @model_validator(mode="after")
    def _learns_from_something(self) -> Method:
        if self.pretrain is None and self.finetune is None:
            raise ValueError("a method needs hearts to learn from, pretrain or finetune")
        return self


class Site(BaseModel):
    """A data set of the paper.

    Attributes:
        key: the paper's name, also of the option ``--cohort KEY=FOLDER``.
        phantoms: site of the phantoms that stand in for it.
        cases: how many of them are made.
        labelled: label sizes.
        sizes: the paper's training, validation and test sizes (table 1).
    """

    model_config = _STRICT
    key: str = Field(min_length=1, max_length=60)
    phantoms: str
    cases: int = Field(ge=2)
    labelled: tuple[int, ...] = Field(min_length=1)
    sizes: tuple[int, int, int]


class Comparison(BaseModel):
    """Two methods whose difference is tested."""

    model_config = _STRICT
    method: str
    against: str


class Experiment(BaseModel):
    """An experiment of the paper.

    Attributes:
        name: of the file.
        title: heading of the report.
        source: where the paper has it, and what it does not tell.
        seed: of splits, trainings and generated hearts.
        folds: of the cross-validation.
        batch_size: of all segmenters.
        synthetic: hearts that a method generates.
        regions: ``"heart"``: binary, as in the paper; ``"seven"``: all regions.
        patients: whose CTs are segmented: the site's own, or those of other sites as this site's scanner shows them.
        sites: columns.
        methods: rows.
        comparisons: differences that are tested.
    """

    model_config = _STRICT
    name: str = Field(pattern=NAME)
    title: str
    source: str
    seed: int = Field(default=0, ge=0)
    folds: int = Field(default=5, ge=2)
    batch_size: int = Field(default=3, ge=1)
    synthetic: int = Field(default=20, ge=1)
    regions: Literal["heart", "seven"] = "heart"
    patients: Literal["own", "other-sites"] = "own"
    sites: tuple[Site, ...] = Field(min_length=1)
    methods: tuple[Method, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    @field_validator("methods", "sites")
    @classmethod
    def _keys_are_unique(cls, rows: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [row.key for row in rows]
        if len(set(keys)) < len(keys):
            raise ValueError(f"{max(keys, key=keys.count)} occurs more than once")
        return rows

    @model_validator(mode="after")
    def _compared_methods_exist(self) -> Experiment:
        known = {method.key for method in self.methods}
        for one in self.comparisons:
            missing = {one.method, one.against} - known
            if missing:
                raise ValueError(f"a comparison names {missing.pop()!r}, which is no method")
        return self

    def method(self, key: str) -> Method:
        """Return a method.

        Raises:
            InputError: there is none of this name.
        """
        return _named(self.methods, key, "method", self.name)

    def site(self, key: str) -> Site:
        """Return a site.

        Raises:
            InputError: there is none of this name.
        """
        return _named(self.sites, key, "site", self.name)


Row = TypeVar("Row", Method, Site)


def _named(rows: tuple[Row, ...], key: str, what: str, name: str) -> Row:
    for row in rows:
        if row.key == key:
            return row
    raise InputError(f"The experiment {name} has no {what} {key!r}; it has {', '.join(row.key for row in rows)}.")


def shipped_experiments() -> dict[str, Path]:
    """Return the experiments that ship with FedSim, by name."""
    return {path.stem: path for path in sorted(resource_path("experiments").glob("*.json"))}


def read_experiment(name_or_file: str) -> Experiment:
    """Read an experiment.

    Args:
        name_or_file: name of one that ships, or path of a JSON file.

    Raises:
        InputError: there is no such experiment, or the file can't be used; the sentence names the field.
    """
    path = shipped_experiments().get(name_or_file, Path(name_or_file))
    if not path.exists() and path.suffix != ".json":
        raise InputError(
            f"There is no experiment {name_or_file!r}; those that ship are {', '.join(shipped_experiments())}, or give "
            "a JSON file."
        )
    return checked_file(Experiment, path, SCHEMA)


Model = TypeVar("Model", bound=BaseModel)


def checked_file(kind: type[Model], path: Path, schema: str) -> Model:
    """Read a JSON file of a kind.

    Raises:
        InputError: it is missing, of another kind, or a field can't be used.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise InputError(f"{path} is not {schema} of FedSim; copy a file of Resources/experiments and change it.")
    fields = {key: value for key, value in content.items() if key not in ("schema", "comment")}
    try:
        return kind.model_validate({"name": path.stem, **fields})
    except ValidationError as error:
        told = [
            f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
        raise InputError(f"{path} cannot be used: {'; '.join(told[:4])}.") from error
