"""What the worker finds: the result of each task."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes.grid_spec import GridSpec
from FedSimCore.worker.protocol.generated import EnhanceResult, GeneratedHeartResult, OpenModelResult
from FedSimCore.worker.protocol.label_maps import CompareLabelsResult, SurfacesResult
from FedSimCore.worker.protocol.messages import Message
from FedSimCore.worker.protocol.segmenting import OpenSegmenterResult, SegmentResult


class DeviceReport(Message):
    """Where tensors live, and why.

    Attributes:
        device: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
        name: of the processor or card.
        reason: one sentence for the status line.
        free_mb: memory that is free there; None if the system does not tell.
        needed_mb: what a full rendering (128 voxels cubed, 180 views) takes.
    """

    device: str
    name: str
    reason: str
    free_mb: int | None
    needed_mb: int


class MeasurementRow(Message):
    """One measurement beside its norm, see :class:`FedSimCore.shape.norms.Comparison`."""

    key: str
    name: str
    value: float
    unit: str
    low: float | None
    high: float | None
    verdict: Literal["low", "normal", "high", ""]
    citation: str


class ScanRow(Message):
    """One scan of a rendering.

    Attributes:
        scanner: key of its scanner.
        name: of its scanner.
        array: name of its array.
        seconds: that it took.
        recipe: all that decides its voxels, as ``fedsim simulate --from`` reads it from a JSON file
            (:class:`FedSimCore.ct.recipe.Recipe`).
    """

    scanner: str
    name: str
    array: str
    seconds: float
    recipe: dict[str, Any]


class ModeRow(Message):
    """One mode of the shape model.

    Attributes:
        mode: number, from 1.
        explained: share of the cohort's variance.
        cumulative: of this and all modes before.
        description: what a positive weight does, in words.
        changes: measurement key to its relative change, in percent, from minus to plus sigma.
    """

    mode: int
    explained: float
    cumulative: float
    description: str
    changes: dict[str, float]


class RegionHistogramRow(Message):
    """One region's HU, see :class:`FedSimCore.ct.region_histogram.RegionHistogram`; ``region`` is its key."""

    region: str
    name: str
    label: int
    voxels: int
    outside_scan: float
    mean_hu: float | None
    sd_hu: float | None
    median_hu: float | None
    p05_hu: float | None
    p95_hu: float | None
    counts: tuple[int, ...]
    below: int
    above: int


class LabelsResult(Message):
    """Answer to :class:`LabelsTask`."""

    kind: Literal["labels"] = "labels"
    grid: GridSpec


class MeasureResult(Message):
    """Answer to :class:`MeasureTask`."""

    kind: Literal["measure"] = "measure"
    rows: tuple[MeasurementRow, ...]


class PreviewResult(Message):
    """Answer to :class:`PreviewTask`; ``reused`` tells how much of earlier work served again."""

    kind: Literal["preview"] = "preview"
    grid: GridSpec
    scanner: str
    reused: Literal["nothing", "body", "scene"]


class RenderPart(Message):
    """One image of a :class:`RenderTask`, told as soon as it is done.

    Attributes:
        grid: of its arrays: ``scan.array``, and with the first part ``labels``.
        scan: the image.
        number: of the scanner in the task, from 0.
        count: of the task's scanners.
    """

    kind: Literal["render"] = "render"
    grid: GridSpec
    scan: ScanRow
    number: int
    count: int


class RenderResult(Message):
    """Answer to :class:`RenderTask`; its arrays came with the parts before."""

    kind: Literal["render"] = "render"
    grid: GridSpec
    scans: tuple[ScanRow, ...]


class FitResult(Message):
    """Answer to :class:`FitTask`, see :class:`FedSimCore.shape.fit.FitResult`."""

    kind: Literal["fit"] = "fit"
    parameters: HeartParameters
    dice: dict[str, float]
    distance_mm: dict[str, float]
    mean_dice: float
    initial_dice: float
    missing_regions: tuple[str, ...]


class ModeTableResult(Message):
    """Answer to :class:`ModeTableTask`."""

    kind: Literal["mode_table"] = "mode_table"
    sigma: float
    modes: tuple[ModeRow, ...]


class RegionHistogramResult(Message):
    """Answer to :class:`RegionHistogramTask`: one row for each region the label map has."""

    kind: Literal["region_histogram"] = "region_histogram"
    edges_hu: tuple[float, ...]
    regions: tuple[RegionHistogramRow, ...]


class DescribeResult(Message):
    """Answer to :class:`DescribeTask`; ``model`` is the model file's header with its counts and checksum."""

    kind: Literal["describe"] = "describe"
    versions: dict[str, str]
    device: DeviceReport
    model: dict[str, Any]


Result = Annotated[
    LabelsResult
    | MeasureResult
    | PreviewResult
    | RenderResult
    | FitResult
    | ModeTableResult
    | RegionHistogramResult
    | DescribeResult
    | OpenModelResult
    | GeneratedHeartResult
    | EnhanceResult
    | OpenSegmenterResult
    | SegmentResult
    | SurfacesResult
    | CompareLabelsResult,
    Field(discriminator="kind"),
]
