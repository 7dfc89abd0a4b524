"""What the Slicer module asks for: tasks, and the lines that carry them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes.grid_spec import GridSpec, Row
from FedSimCore.worker.protocol.generated import (
    EnhanceTask,
    OpenModelTask,
    SampleHeartTask,
    TrainingHeartTask,
    WalkTask,
)
from FedSimCore.worker.protocol.label_maps import CompareLabelsTask, MeasureLabelsTask, SurfacesTask
from FedSimCore.worker.protocol.messages import ArrayFile, Message
from FedSimCore.worker.protocol.segmenting import OpenSegmenterTask, SegmentTask


class Material(Message):
    """What a label is made of: a base tissue, with another density or iodine where given.

    Attributes:
        base: key of a shipped tissue, e.g. ``"blood_left"``.
        density_g_cm3: None for the base tissue's.
        iodine_mg_ml: None for what the contrast phase gives the base tissue.
    """

    base: str
    density_g_cm3: float | None = None
    iodine_mg_ml: float | None = None


class ScannerChoice(Message):
    """A shipped scanner, or a JSON file's, with some settings changed.

    Attributes:
        key: ``"adult"`` etc., or the path of a scanner file.
        changes: fields of :class:`FedSimCore.ct.scanners.Scanner`, e.g. ``{"kvp": 100, "views": 180}``.
    """

    key: str = "adult"
    changes: dict[str, Any] = Field(default={})


class ScanSettings(Message):
    """What previews and full renderings have in common.

    Attributes:
        parameters: the heart; as everywhere, the number of its weights is the number of modes of the model.
        materials: by label; labels that are not named have their default tissue.
        phase: contrast phase; None for the scanner's own.
        surroundings: what the heart lies in, see :func:`FedSimCore.ct.surroundings.surround`.
        body_seed: of the person around the heart.
        noise_seed: None for a noiseless image.
    """

    parameters: HeartParameters
    materials: dict[Annotated[int, Field(ge=1, le=255)], Material] = Field(default={})
    phase: str | None = None
    surroundings: Literal["thorax", "fat", "none"]
    body_seed: int = Field(default=0, ge=0)
    noise_seed: int | None = Field(default=0, ge=0)


class LabelsTask(Message):
    """Voxelize a heart. Arrays of the answer: ``labels`` uint8 (i, j, k)."""

    kind: Literal["labels"] = "labels"
    parameters: HeartParameters
    grid: GridSpec = GridSpec.centered()


class MeasureTask(Message):
    """Measure a heart and compare it with the norms of a sex (either one's if None) and body surface area."""

    kind: Literal["measure"] = "measure"
    parameters: HeartParameters
    sex: Literal["male", "female"] | None = None
    bsa_m2: float | None = Field(default=None, gt=0.1, lt=4)


class PreviewTask(ScanSettings):
    """Scan a heart quickly. Arrays of the answer: ``hu`` float32 and ``labels`` uint8, both (i, j, k) on ``grid``.

    Attributes:
        scanner: its own number of views is not used.
        grid: coarse.
        views: few. Better odd: then no two views are opposite and see the same lines; with 60 instead of 63 the axis is
            20 HU too dark.
        surroundings: a cylinder of fat takes less time than a person.
    """

    kind: Literal["preview"] = "preview"
    scanner: ScannerChoice = ScannerChoice()
    grid: GridSpec = GridSpec.centered(64, 2.5)
    views: int = Field(default=63, ge=8, le=720)
    surroundings: Literal["thorax", "fat", "none"] = "fat"


class RenderTask(ScanSettings):
    """Scan a heart in full quality with one or several scanners.

    Arrays of the answer: ``labels`` uint8 and ``hu_0``, ``hu_1``, ... float32 in the order of the scanners, (i, j, k).

    Attributes:
        scanners: each with its own number of views.
    """

    kind: Literal["render"] = "render"
    scanners: tuple[ScannerChoice, ...] = Field(default=(ScannerChoice(),), min_length=1, max_length=16)
    grid: GridSpec = GridSpec.centered()
    surroundings: Literal["thorax", "fat", "none"] = "thorax"


class FitTask(Message):
    """Fit the model to a label map, sent as array ``labels`` uint8 (i, j, k) in FedSim's label values.

    Arrays of the answer: ``residual_mm`` float32 (V,), the signed distance of each vertex of the fitted heart to the
    surface of its region in the label map (positive outside it, NaN where the map lacks the region).

    Attributes:
        name: what messages call the label map.
        affine: voxel index to RAS mm.
        limit_sigma: limit of the weights; None for the model's.
        modes: of the model; None for its usual 14, or fewer where it has fewer.
        start: where the weights begin; None for 0. Its pose is found anew.
        pose_only: find rotation, translation and scale of ``start``, which must be given, and keep its weights.
    """

    kind: Literal["fit"] = "fit"
    name: str = "the label map"
    affine: tuple[Row, Row, Row, Row]
    limit_sigma: float | None = Field(default=None, gt=0, le=6)
    modes: int | None = Field(default=None, ge=1)
    start: HeartParameters | None = None
    pose_only: bool = False


class ModeTableTask(Message):
    """Describe the first modes in words, by the measurements at minus and plus ``sigma``.

    Attributes:
        sigma: how far from the mean shape.
        modes: how many; None for the usual 14, or fewer where the model has fewer.
    """

    kind: Literal["mode_table"] = "mode_table"
    sigma: float = Field(default=1.5, gt=0, le=6)
    modes: int | None = Field(default=None, ge=1)


class RegionHistogramTask(Message):
    """Count the HU of each region: arrays ``hu`` (i, j, k), a scan, and ``labels`` uint8 (i, j, k), a label map.

    The two may lie on any two grids; the label map is taken to the scan's by its nearest voxel.

    Attributes:
        name: what messages call the scan.
        scan_affine: voxel index of ``hu`` to RAS mm.
        labels_affine: voxel index of ``labels`` to RAS mm.
        edges_hu: rising edges of the bins.
    """

    kind: Literal["region_histogram"] = "region_histogram"
    name: str = "the scan"
    scan_affine: tuple[Row, Row, Row, Row]
    labels_affine: tuple[Row, Row, Row, Row]
    edges_hu: tuple[float, ...] = Field(default=tuple(map(float, range(-200, 801, 5))), min_length=2, max_length=10001)

    @field_validator("edges_hu")
    @classmethod
    def _rise(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(left >= right for left, right in pairwise(edges)):
            raise ValueError("the edges of the bins do not rise")
        return edges


class DescribeTask(Message):
    """Tell versions, device, memory and the model's card."""

    kind: Literal["describe"] = "describe"


Task = Annotated[
    LabelsTask
    | MeasureTask
    | PreviewTask
    | RenderTask
    | FitTask
    | ModeTableTask
    | RegionHistogramTask
    | DescribeTask
    | OpenModelTask
    | SampleHeartTask
    | WalkTask
    | TrainingHeartTask
    | EnhanceTask
    | OpenSegmenterTask
    | SegmentTask
    | SurfacesTask
    | MeasureLabelsTask
    | CompareLabelsTask,
    Field(discriminator="kind"),
]


class Request(Message):
    """Ask for a task.

    Attributes:
        id: rises with every request of a client.
        channel: of the requests of one channel the newest wins.
        follow: let an older request of the channel that has already begun come to its end.
        task: what to do.
        arrays: its arrays by name.
    """

    type: Literal["request"] = "request"
    id: int = Field(ge=0)
    channel: str = Field(min_length=1, max_length=100)
    follow: bool = False
    task: Task
    arrays: dict[str, ArrayFile] = Field(default={})


class Cancel(Message):
    """End the channel's requests up to ``id``."""

    type: Literal["cancel"] = "cancel"
    channel: str
    id: int


Command = Annotated[Request | Cancel, Field(discriminator="type")]
