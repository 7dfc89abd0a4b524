"""The tasks about trained models: open one, sample a heart, walk between two, show one as a site's scanner would."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.generation.enhancer_file import SiteEnhancer
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.model_folder import CARD_FILE
from FedSimCore.generation.sampling import Drawn, draw, of_latent
from FedSimCore.generation.walk import between
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume
from FedSimCore.worker.engine import Answer, Engine, check_proportions
from FedSimCore.worker.protocol import (
    EnhanceResult,
    EnhanceTask,
    GeneratedHeartResult,
    GridSpec,
    Latent,
    OpenModelResult,
    OpenModelTask,
    SampleHeartTask,
    TrainingCaseRow,
    TrainingHeartTask,
    WalkTask,
)
from FedSimCore.worker.reporting import Reporter

# Odd, see PreviewTask.
_SCAN_VIEWS = 63
_SLICES_AT_ONCE = 4
"""Few, so that cancelling and progress don't wait long."""


def open_model(engine: Engine, task: OpenModelTask, report: Reporter) -> Answer:
    """Tell what is in a model folder."""
    report(0, 1, "opening the model")
    model = engine.generative(task.folder)
    header, card = model.generator.header, model.folder / CARD_FILE
    result = OpenModelResult(
        folder=str(model.folder),
        generator_sha256=model.generator.checksum,
        shape_model_sha256=header.shape_model_sha256,
        modes=header.modes,
        latent_size=header.latent_size,
        stage=header.stage,
        coarse=header.coarse,
        sites=model.sites,
        populations=tuple(model.generator.normals),
        cases=tuple(TrainingCaseRow(id=case.id, site=case.site, labelled=case.labelled) for case in header.cases),
        size=header.size,
        spacing_mm=header.spacing_mm,
        metrics=header.metrics,
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else "",
    )
    return Answer(result, {})


def sample_heart(engine: Engine, task: SampleHeartTask, report: Reporter) -> Answer:
    """Draw a heart."""
    report(0, 2, "sampling")
    drawn = draw(engine.generative(task.folder).generator, task.seed, task.number, task.shape, task.population)
    return _answer(engine, task.folder, drawn, task.trust, report)


def walk(engine: Engine, task: WalkTask, report: Reporter) -> Answer:
    """Go some of the way between two latents."""
    report(0, 2, "walking")
    generator = engine.generative(task.folder).generator
    latent = between(generator.normal, _latent(generator, task.first), _latent(generator, task.second), task.share)
    return _answer(engine, task.folder, of_latent(generator, latent), task.trust, report)


def training_heart(engine: Engine, task: TrainingHeartTask, report: Reporter) -> Answer:
    """Return what the generator makes of a training case."""
    report(0, 2, "generating")
    generator = engine.generative(task.folder).generator
    drawn = of_latent(generator, generator.latent_of(task.case))
    return _answer(engine, task.folder, drawn, False, report)


def enhance(engine: Engine, task: EnhanceTask, report: Reporter) -> Answer:
    """Show a heart as a site's scanner would."""
    check_proportions(task.parameters)
    report(0, 1, "opening the model")
    generator = engine.generative(task.folder).generator
    enhancer = engine.enhancer(task.folder, task.site)
    size, spacing = enhancer.header.size, enhancer.header.spacing_mm
    if size % task.step:
        raise InputError(f"A grid of {size} voxels cannot be made {task.step} times as coarse; choose another step.")
    coarse_grid = Grid.centered(size // task.step, spacing * task.step, task.center_mm)
    # Whole slices, but only one of ``step``.
    slices = Grid.centered((size, size, size // task.step), (spacing, spacing, spacing * task.step), task.center_mm)
    with torch.no_grad():
        model = engine.model(len(task.parameters.weights))
        vector = torch.tensor(task.parameters.vector(), dtype=torch.float32, device=engine.device)
        regions = label_map(model.vertices(vector[None]), model.topology, slices)
        labels = engine.labels(task.parameters, GridSpec.of(coarse_grid))
        with report.part(0.0, 0.2):
            condition = _condition(engine, generator, enhancer, task, labels, report)
        with report.part(0.2, 1.0) as progress:
            hounsfield = enhancer.enhance(condition, regions, _SLICES_AT_ONCE, progress)
        hounsfield = functional.avg_pool3d(hounsfield, (task.step, task.step, 1))
    arrays = {"hu": hounsfield[0, 0].float().cpu().numpy(), "labels": labels.array}
    return Answer(EnhanceResult(grid=GridSpec.of(coarse_grid), site=task.site), arrays)


def _condition(
    engine: Engine,
    generator: HeartGenerator,
    enhancer: SiteEnhancer,
    task: EnhanceTask,
    labels: Volume,
    report: Reporter,
) -> Tensor:
    """Return the coarse CT (1, 1, x, y, z) on the unit scale: the latent's, or a quick scan with fixed materials."""
    fixed = enhancer.header.fixed_materials
    if enhancer.header.condition == "fixed-materials":
        assert fixed is not None
        quick = fixed.model_copy(update={"scanner": fixed.scanner.with_changes(views=_SCAN_VIEWS)})
        hounsfield = torch.from_numpy(quick.scan(labels, engine.device, report).array).to(engine.device)
        return enhancer.intensity.scale(hounsfield)[None, None]
    latent = generator.normal.mean[None] if task.latent is None else _latent(generator, task.latent)
    return generator.coarse(latent.to(generator.latents))


def _latent(generator: HeartGenerator, numbers: Latent) -> Tensor:
    size = generator.header.latent_size
    if len(numbers) != size:
        raise InputError(f"A latent of {len(numbers)} numbers is not of this model, whose latents have {size}.")
    return torch.tensor(numbers, dtype=torch.float32)[None]


def _answer(engine: Engine, folder: str, drawn: Drawn, trust: bool, report: Reporter) -> Answer:
    generator = engine.generative(folder).generator
    coarse_grid, arrays = None, {}
    if generator.material is not None:
        with torch.no_grad():
            unit = generator.coarse(drawn.latent.to(generator.latents))[0, 0]
        arrays["coarse_hu"] = generator.intensity.hounsfield(unit).float().cpu().numpy()
        field_of_view = generator.header.size * generator.header.spacing_mm
        coarse_grid = GridSpec.centered(len(unit), field_of_view / len(unit))
    report(1, 2, "measuring trust")
    measured = engine.trust_meter(folder).measure(drawn) if trust else None
    result = GeneratedHeartResult(
        latent=tuple(drawn.latent[0].tolist()),
        parameters=drawn.heart,
        coarse_grid=coarse_grid,
        trust=measured,
        concerns=measured.concerns() if measured is not None else (),
    )
    return Answer(result, arrays)
