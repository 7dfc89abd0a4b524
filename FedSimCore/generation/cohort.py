"""Generated hearts as a cohort on disk that every other verb reads."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from FedSimCore import __version__
from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.table import write_cohort
from FedSimCore.errors import InputError
from FedSimCore.files import read_json, write_json
from FedSimCore.generation.blending import Blend
from FedSimCore.generation.generator_file import EVERYBODY
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import GeneratedHeart, HeartSampler, ShapeSource, draw
from FedSimCore.generation.trust import SegmenterAgreement, Trust
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.machine import commit
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.parameters import write_parameters
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map, write_volume

SCHEMA = "fedsim/generated-heart/1"
Agreement = Callable[[Volume, Volume], SegmenterAgreement]
"""Takes a heart's CT and labels; :class:`FedSimCore.segmentation.agreement.AgreementMeter` is one."""
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HeartRecipe(BaseModel):
    """All that decides a generated heart's voxels.

    Attributes:
        generator_sha256: checksum of the generator.
        enhancer_sha256: checksum of the enhancer.
        shape_model_sha256: checksum of the shape model.
        variant: the paper's name for how the model was trained: ``"fix-mat"``, ``"pre"`` or ``"full"``.
        site: of the enhancer.
        shape: where shapes come from.
        blend: how the simulator's heart was put into the image, if it was.
        population: whose latents' distribution it was drawn from: a site's, or all.
        seed: of the cohort.
        number: of the heart.
    """

    model_config = _STRICT
    generator_sha256: str
    enhancer_sha256: str
    shape_model_sha256: str
    variant: Literal["fix-mat", "pre", "full"]
    site: str
    shape: ShapeSource = "learnt"
    blend: Blend | None = None
    population: str = EVERYBODY
    seed: int = Field(ge=0)
    number: int = Field(ge=0)

    @property
    def case_id(self) -> str:
        """Name of the case, and of its files."""
        return f"{self.site.replace(' ', '-')}-s{self.seed}-{self.number:04d}"


class GeneratedRecord(BaseModel):
    """What a generated heart's JSON holds.

    Attributes:
        recipe: what decides it.
        latent: its latent.
        trust: its figures.
        seconds: by stage; of this machine.
        made_with: version, commit, libraries, device, threads and model folder, for people.
    """

    model_config = _STRICT
    recipe: HeartRecipe
    latent: tuple[float, ...]
    trust: Trust
    seconds: dict[str, float]
    made_with: dict[str, str | int]


class CohortGenerator:
    """Generates hearts of one model and site into a folder.

    A heart's JSON is written last, so that where it stands everything else does; called again, the hearts that are
    there already are left as they are.

    Args:
        model: an opened model folder.
        sampler: for a site of it.
        meter: of trust.
        folder: of the cohort.
        seed: of the cohort.
        shape: where shapes come from.
        population: site whose hearts are drawn, or all; None: the site's own if the generator has learnt two of them.
        agreement: measures how a segmenter sees each heart, also those that are there already; None: not measured.

    Raises:
        InputError: the folder holds hearts of another model, site, seed or setting, or the population is unknown.
    """

    def __init__(
        self,
        model: GenerativeModel,
        sampler: HeartSampler,
        meter: TrustMeter,
        folder: Path,
        seed: int,
        shape: ShapeSource = "learnt",
        population: str | None = None,
        agreement: Agreement | None = None,
    ) -> None:
        self._agreement = agreement
        self._model, self._sampler, self._meter = model, sampler, meter
        self.folder = Path(folder)
        stage, site = sampler.enhancer.header.stage, sampler.enhancer.header.site
        population = population or sampler.generator.population_at(site)
        sampler.generator.normal_of(population)
        self._common: dict[str, Any] = {
            "generator_sha256": sampler.generator.checksum,
            "enhancer_sha256": sampler.enhancer.checksum,
            "shape_model_sha256": sampler.generator.model.checksum,
            "variant": "fix-mat" if sampler.condition == "fixed-materials" else _VARIANTS[stage],
            "site": site,
            "shape": shape,
            "blend": sampler.blend,
            "population": population,
            "seed": seed,
        }
        self._checked: set[Path] = set()
        self._check_folder()

    def recipe(self, number: int) -> HeartRecipe:
        """Return what decides a heart."""
        return HeartRecipe(**self._common, number=number)

    def generate(self, count: int, progress: Progress = silent) -> list[GeneratedRecord]:
        """Make hearts 0 to ``count`` - 1, those that are not there yet, and the cohort's table.

        Args:
            count: number of hearts.
            progress: told of every heart.

        Raises:
            DiskError: the folder can't be written.
        """
        records = []
        for number in range(count):
            progress(number, count, "hearts")
            recipe = self.recipe(number)
            record = self._done(recipe)
            records.append(self._make(recipe) if record is None else self._with_agreement(record))
            if record is None:
                self._write_table()
        progress(count, count, "hearts")
        self._write_table()
        return records

    def _make(self, recipe: HeartRecipe) -> GeneratedRecord:
        self._check_folder()  # Another process may have begun other hearts in it; equal ones are the same bits.
        drawn = draw(self._sampler.generator, recipe.seed, recipe.number, recipe.shape, recipe.population)
        heart = self._sampler.make(drawn)
        began = time.perf_counter()
        trust = self._meter.measure(drawn, heart.image.array)
        if self._agreement is not None:
            trust = trust.model_copy(update={"segmenter": self._agreement(heart.image, heart.label)})
        measured = time.perf_counter()
        self._write_volumes(recipe, heart)
        written = time.perf_counter()
        record = GeneratedRecord(
            recipe=recipe,
            latent=tuple(drawn.latent[0].tolist()),
            trust=trust,
            seconds={**heart.seconds, "trust": measured - began, "writing": written - measured},
            made_with=self._made_with(),
        )
        write_json(self._json(recipe), {"schema": SCHEMA, **record.model_dump(mode="json")})
        return record

    def _with_agreement(self, record: GeneratedRecord) -> GeneratedRecord:
        """Return a heart that is there, with what the segmenter finds in it, if that is wanted and not known yet."""
        if self._agreement is None or record.trust.segmenter is not None:
            return record
        files = self._files(record.recipe)
        found = self._agreement(read_volume(files["image"]), read_label_map(files["label"]))
        trust = record.trust.model_copy(update={"segmenter": found})
        more = record.model_copy(update={"trust": trust})
        write_json(self._json(record.recipe), {"schema": SCHEMA, **more.model_dump(mode="json")})
        return more

    def _write_volumes(self, recipe: HeartRecipe, heart: GeneratedHeart) -> None:
        files = self._files(recipe)
        write_volume(heart.image, files["image"], "int16")
        write_label_map(heart.label, files["label"])
        provenance = {"generated by": recipe.model_dump(mode="json")}
        write_parameters(files["parameters"], heart.drawn.heart, recipe.shape_model_sha256, provenance)

    def _made_with(self) -> dict[str, str | int]:
        return {
            "model": str(self._model.folder.resolve()),
            "fedsim": __version__,
            "commit": commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": str(self._sampler.device),
            "threads": torch.get_num_threads(),
        }

    def _files(self, recipe: HeartRecipe) -> dict[str, Path]:
        stem = self.folder / recipe.case_id
        return {
            "image": stem.with_name(f"{recipe.case_id}_image.nii.gz"),
            "label": stem.with_name(f"{recipe.case_id}_label.nii.gz"),
            "parameters": stem.with_name(f"{recipe.case_id}_parameters.json"),
        }

    def _json(self, recipe: HeartRecipe) -> Path:
        return self.folder / f"{recipe.case_id}.json"

    def _done(self, recipe: HeartRecipe) -> GeneratedRecord | None:
        path = self._json(recipe)
        if not path.exists() or not all(file.is_file() for file in self._files(recipe).values()):
            return None
        return read_record(path)

    def _check_folder(self) -> None:
        for path in _record_files(self.folder):
            if path in self._checked:
                continue
            record = read_record(path)
            wanted = self.recipe(record.recipe.number)
            other = [key for key, value in wanted if value != getattr(record.recipe, key)]
            if other:
                raise InputError(
                    f"{self.folder} holds hearts with another {other[0].removesuffix('_sha256').replace('_', ' ')} "
                    f"(case {record.recipe.case_id}); generate into another folder."
                )
            self._checked.add(path)

    def _write_table(self) -> None:
        cases = []
        records = map(read_record, _record_files(self.folder))
        for record in sorted(records, key=lambda one: one.recipe.number):
            files = self._files(record.recipe)
            if all(file.is_file() for file in files.values()):
                cases.append(_case(record, files))
        if cases:
            write_cohort(Cohort(name=self.folder.resolve().name or "generated", cases=tuple(cases)), self.folder)


_VARIANTS = {"pre-trained": "pre", "semi-supervised": "full"}


def read_record(path: Path) -> GeneratedRecord:
    """Read a generated heart's JSON.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{path} does not describe a generated heart ({SCHEMA}); remove it or choose another folder.")
    try:
        return GeneratedRecord.model_validate({key: value for key, value in content.items() if key != "schema"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is damaged at {where}: {first['msg']}; remove it to make the heart anew.") from error


def _record_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    return [path for path in files if not path.name.endswith("_parameters.json") and not path.name.startswith(".")]


def _case(record: GeneratedRecord, files: dict[str, Path]) -> Case:
    trust = record.trust
    extra = {
        "variant": record.recipe.variant,
        "nearest_shape": trust.nearest_shape.case,
        "nearest_shape_ratio": f"{trust.nearest_shape.ratio:.3f}",
    }
    if trust.nearest_image is not None:
        extra |= {"nearest_image": trust.nearest_image.case, "nearest_image_ratio": f"{trust.nearest_image.ratio:.3f}"}
    if trust.segmenter is not None:
        extra["segmenter_dice"] = f"{trust.segmenter.dice.get('heart', 0.0):.3f}"
    return Case(
        id=record.recipe.case_id, image=files["image"], label=files["label"], site=record.recipe.site, extra=extra
    )
