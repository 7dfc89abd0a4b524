"""Artifacts that are synthetic hearts: drawn from a trained model, or rendered from patients' labels and CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from FedSimCore.cohorts import Case, Cohort, read_table, write_cohort
from FedSimCore.experiments.artifact import Artifact, Bench
from FedSimCore.experiments.cases import CaseTable, Crops, cases_of
from FedSimCore.experiments.definition import Blend, Shape, Truth

if TYPE_CHECKING:
    import torch

    from FedSimCore.generation.sampling import HeartSampler
    from FedSimCore.volumes import Volume


@dataclass(frozen=True, eq=False)
class DrawnHearts(Artifact):
    """Hearts drawn from a model, as ``fedsim generate`` does.

    Attributes:
        model: run of the recipe enhancer or semi-supervised, or what a study of the latter leaves at a site.
        table: the model's training cases, for the nearest of each heart.
        site: whose look.
        count: hearts.
        seed: of the hearts.
        shape: where shapes come from.
        blend: how the simulator's heart is put in.
    """

    model: Artifact
    table: CaseTable
    site: str
    count: int
    seed: int
    shape: Shape = "learnt"
    blend: Blend | None = None
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"hearts-of-{self.model.title}"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Model and table."""
        return (self.model, self.table)

    @property
    def content(self) -> Mapping[str, Any]:
        """Number, seed and variant."""
        return {"site": self.site, "count": self.count, "seed": self.seed, "shape": self.shape, "blend": self.blend}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Draw and render; hearts that are there already stay."""
        from FedSimCore.generation.cohort import CohortGenerator
        from FedSimCore.generation.model_folder import GenerativeModel
        from FedSimCore.generation.sampling import HeartSampler
        from FedSimCore.generation.trust_measures import TrustMeter, training_images

        opened = GenerativeModel.load(bench.result(self.model))
        sampler = HeartSampler(opened, self.site, self.blend, bench.device)
        images = training_images(bench.result(self.table), sampler.generator, sampler.enhancer.header.cases)
        meter = TrustMeter(sampler.generator, images)
        maker = CohortGenerator(opened, sampler, meter, folder / self.result, self.seed, self.shape)
        records = maker.generate(self.count, bench.progress)
        nearest = [one.trust.nearest_image.ratio for one in records if one.trust.nearest_image]
        return {"hearts": len(records), "nearest_image_ratio_median": sorted(nearest)[len(nearest) // 2]}


@dataclass(frozen=True, eq=False)
class RenderedCases(Artifact):
    """Patients as a model would make them, with some stages exchanged for the truth.

    Attributes:
        model: run of the recipe enhancer or semi-supervised.
        site: whose look.
        crops: of the patients.
        cases: their ids.
        truth: stages whose result is the patient's own, see :class:`~FedSimCore.experiments.definition.Exchanged`.
    """

    model: Artifact
    site: str
    crops: Crops
    cases: tuple[str, ...]
    truth: tuple[Truth, ...]
    result = "cohort"

    @property
    def title(self) -> str:
        """Name for people."""
        return f"rendered-by-{self.model.title}"

    @property
    def needs(self) -> tuple[Artifact, ...]:
        """Model and patients."""
        return (self.model, self.crops)

    @property
    def content(self) -> Mapping[str, Any]:
        """Who, and what is true."""
        return {"site": self.site, "cases": self.cases, "truth": sorted(self.truth)}

    def make(self, bench: Bench, folder: Path) -> Mapping[str, Any]:
        """Render every patient."""
        import torch

        from FedSimCore.generation.model_folder import GenerativeModel
        from FedSimCore.generation.sampling import HeartSampler
        from FedSimCore.volumes import Volume
        from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map, write_volume

        sampler = HeartSampler(GenerativeModel.load(bench.result(self.model)), self.site, None, bench.device)
        made, overlaps = [], []
        for number, case in enumerate(cases_of(bench, self.crops, self.cases)):
            bench.progress(number, len(self.cases), self.title)
            assert case.image is not None
            assert case.label is not None
            image, label = read_volume(case.image), read_label_map(case.label)
            with torch.no_grad():
                hounsfield, regions, iou = self._render(sampler, case.id, image, label)
            files = {role: folder / self.result / f"{case.id}_{role}.nii.gz" for role in ("image", "label")}
            write_volume(Volume(hounsfield, image.grid), files["image"], "int16")
            write_label_map(Volume(regions, image.grid), files["label"])
            made.append(Case(id=case.id, image=files["image"], label=files["label"], site=self.site))
            overlaps.append(iou)
        write_cohort(Cohort(name=self.title, cases=tuple(made)), folder / self.result)
        return {"hearts": len(made), "iou_of_shapes": sum(overlaps) / max(len(overlaps), 1)}

    def _render(self, sampler: HeartSampler, case: str, image: Volume, label: Volume) -> tuple[Any, Any, float]:
        """Return HU and labels (X, Y, Z), and how well the labels meet the patient's."""
        import numpy as np
        import torch

        from FedSimCore.networks.coarse_ct import downsample

        generator, device = sampler.generator, sampler.device
        true = torch.from_numpy(label.array.astype(np.uint8))[None].to(device)
        unit = generator.intensity.clip(torch.from_numpy(image.array.astype(np.float32)).to(device))[None, None]
        needs_latent = "shapes" not in self.truth or "materials" not in self.truth
        latent = _latent(sampler, case, true) if needs_latent else None
        regions = true
        if "shapes" not in self.truth:
            assert latent is not None
            regions = generator.labels(latent)
        both, either = (regions > 0) & (true > 0), (regions > 0) | (true > 0)
        iou = float(both.sum() / either.sum().clamp_min(1))
        if "images" in self.truth:
            return image.array, label.array, iou
        if "materials" in self.truth:
            coarse = downsample(unit)
        else:
            assert latent is not None
            coarse = sampler.coarse(latent, regions)
        hounsfield = sampler.enhancer.enhance(coarse, regions)[0, 0].float().cpu().numpy()
        return hounsfield, regions[0].cpu().numpy(), iou


def _latent(sampler: HeartSampler, case: str, label: torch.Tensor) -> torch.Tensor:
    """Return the latent (1, L) that the generator has learnt for a case, or else the one that meets its labels best."""
    import torch

    from FedSimCore.generation.latent_fit import fit_latents

    generator = sampler.generator
    if any(known.id == case for known in generator.header.cases):
        return generator.latent_of(case)
    with torch.enable_grad():
        return fit_latents(generator, label).latents


def hearts_in(bench: Bench, made: Artifact) -> tuple[Case, ...]:
    """Return the hearts of a finished artifact."""
    return read_table(bench.result(made) / "cohort.csv").cases
