"""Tasks about trained models, and what comes of them. Hearts are those of ``fedsim generate``; docs/generative.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from FedSimCore.generation.trust import Trust
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes.grid_spec import GridSpec
from FedSimCore.worker.protocol.messages import Message

Latent = Annotated[tuple[float, ...], Field(min_length=1, max_length=4096)]
"""Numbers of a latent vector, as results give them."""


class OpenModelTask(Message):
    """Open a model folder, or a finished run's, and tell what is in it.

    All tasks here name the folder and open it if need be; it is read again when its files have changed.

    Attributes:
        folder: of the model.
    """

    kind: Literal["open_model"] = "open_model"
    folder: str


class SampleHeartTask(Message):
    """Draw a heart. Arrays of the answer: ``coarse_hu`` float32, the coarse CT, unless the materials are fixed.

    Attributes:
        folder: of the model.
        seed: of a cohort.
        number: of the heart in it; seed, number and population decide the heart, as in ``fedsim generate``.
        population: whose heart: a site of :class:`OpenModelResult`'s ``populations``, or ``"all"``.
        shape: where its shape comes from.
        trust: measure it, too, which takes a second.
    """

    kind: Literal["sample_heart"] = "sample_heart"
    folder: str
    seed: int = Field(ge=0)
    number: int = Field(default=0, ge=0)
    population: str = "all"
    shape: Literal["learnt", "random"] = "learnt"
    trust: bool = True


class WalkTask(Message):
    """Go from one latent towards another, ``share`` of the way. Arrays of the answer: as :class:`SampleHeartTask`'s.

    Attributes:
        folder: of the model.
        first: where the way begins, share 0.
        second: where it ends, share 1.
        share: of the way.
        trust: measure the heart, too; better not while a slider moves.
    """

    kind: Literal["walk"] = "walk"
    folder: str
    first: Latent
    second: Latent
    share: float = Field(ge=0, le=1)
    trust: bool = False


class TrainingHeartTask(Message):
    """Return what the generator makes of a training case. Arrays of the answer: as :class:`SampleHeartTask`'s."""

    kind: Literal["training_heart"] = "training_heart"
    folder: str
    case: str


class EnhanceTask(Message):
    """Show a heart as a site's scanner would, coarsely. Arrays of the answer: ``hu`` float32, ``labels`` uint8.

    The enhancer sees every slice in its full size, but only one of ``step`` slices is made; then each is averaged to
    voxels as wide as the slices are apart.

    Attributes:
        folder: of the model.
        site: one of the model's.
        parameters: the heart; it need not be the latent's.
        latent: whose materials it has; None for those of the mean latent. With fixed materials it does not count.
        center_mm: middle of the image, RAS mm. Enhancers know hearts in the middle of their grid: best the heart's.
        step: working voxels to one of the image's, along each axis; 1 is the full size.
    """

    kind: Literal["enhance"] = "enhance"
    folder: str
    site: str
    parameters: HeartParameters
    latent: Latent | None = None
    center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step: Literal[1, 2, 4] = 2


class TrainingCaseRow(Message):
    """A case that a model has learnt from."""

    id: str
    site: str
    labelled: bool


class OpenModelResult(Message):
    """Answer to :class:`OpenModelTask`.

    Attributes:
        folder: the model folder itself.
        generator_sha256: checksum of the generator.
        shape_model_sha256: of its shape model, which is the worker's own.
        modes: of the shape model that it uses: number of its hearts' weights.
        latent_size: numbers of a latent.
        stage: ``"pre-trained"`` or ``"semi-supervised"``.
        coarse: ``"rendered"``, ``"read"`` or ``"fixed-materials"``.
        sites: with an enhancer.
        populations: sites whose hearts it can draw, beside ``"all"``.
        cases: it has learnt from.
        size: voxels along each side of its working grid.
        spacing_mm: of its working grid.
        metrics: of its training.
        card: Markdown for people; empty if there is none.
    """

    kind: Literal["open_model"] = "open_model"
    folder: str
    generator_sha256: str
    shape_model_sha256: str
    modes: int
    latent_size: int
    stage: str
    coarse: str
    sites: tuple[str, ...]
    populations: tuple[str, ...]
    cases: tuple[TrainingCaseRow, ...]
    size: int
    spacing_mm: float
    metrics: dict[str, float]
    card: str


class GeneratedHeartResult(Message):
    """Answer to :class:`SampleHeartTask`, :class:`WalkTask` and :class:`TrainingHeartTask`.

    Attributes:
        latent: of the heart.
        parameters: of the shape model.
        coarse_grid: of the array ``coarse_hu``, round the origin; None with fixed materials.
        trust: its figures, where they were asked for.
        concerns: what gives reason for doubt, a sentence each.
    """

    kind: Literal["generated_heart"] = "generated_heart"
    latent: Latent
    parameters: HeartParameters
    coarse_grid: GridSpec | None
    trust: Trust | None
    concerns: tuple[str, ...]


class EnhanceResult(Message):
    """Answer to :class:`EnhanceTask`; both arrays are on ``grid``."""

    kind: Literal["enhance"] = "enhance"
    grid: GridSpec
    site: str
