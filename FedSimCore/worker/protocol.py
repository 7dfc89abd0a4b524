"""What is said between the Slicer module and its worker: JSON, one message a line.

Lines on the worker's standard input are :data:`Command`, those on its standard output :data:`Reply`. Arrays lie beside
them in files of the exchange folder (:class:`ArrayFile`), which the reader removes. Importing this module imports no
torch; scanners and tissues are named here and looked up by the worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from FedSimCore.errors import InputError
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.volumes import Grid

MOST_VOXELS = 512**3
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
Row = tuple[float, float, float, float]


class Message(BaseModel):
    """Base of everything here: unchangeable, no unknown fields, no NaN."""

    model_config = _STRICT


class ArrayFile(Message):
    """An array in C order, in a file of the exchange folder.

    Attributes:
        file: bare file name.
        dtype: NumPy's name of the element type, little-endian.
        shape: of the array.
    """

    file: str = Field(pattern=r"^[a-z0-9_-]+\.raw$")
    dtype: Literal["uint8", "int16", "float32", "float64"]
    shape: tuple[Annotated[int, Field(ge=0)], ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * {"uint8": 1, "int16": 2, "float32": 4, "float64": 8}[self.dtype]


class GridSpec(Message):
    """A :class:`Grid` as numbers.

    Attributes:
        shape: voxels along i, j, k.
        affine: voxel index to RAS mm, 4 rows.
    """

    shape: tuple[int, int, int]
    affine: tuple[Row, Row, Row, Row]

    @field_validator("shape")
    @classmethod
    def _fits(cls, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
            raise ValueError(f"{shape} is not three positive sizes with at most {MOST_VOXELS:,} voxels together")
        return shape

    @classmethod
    def of(cls, grid: Grid) -> GridSpec:
        """Return the numbers of a grid."""
        return cls.model_validate({"shape": grid.shape, "affine": grid.affine.tolist()})

    @classmethod
    def centered(cls, size: int = 128, spacing_mm: float = 1.25, center_mm: Sequence[float] = (0, 0, 0)) -> GridSpec:
        """Return a cubic grid along R, A, S whose middle is at ``center_mm``."""
        return cls.of(Grid.centered(size, spacing_mm, center_mm))

    def grid(self) -> Grid:
        """Return the grid.

        Raises:
            InputError: the affine cannot be inverted.
        """
        return Grid(self.shape, [list(row) for row in self.affine])  # type: ignore[arg-type]  # Grid makes an array


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
    changes: dict[str, Any] = {}


class ScanSettings(Message):
    """What previews and full renderings have in common.

    Attributes:
        parameters: the heart.
        materials: by label; labels that are not named have their default tissue.
        phase: contrast phase; None for the scanner's own.
        surroundings: what the heart lies in, see :func:`FedSimCore.ct.surroundings.surround`.
        body_seed: of the person around the heart.
        noise_seed: None for a noiseless image.
    """

    parameters: HeartParameters
    materials: dict[int, Material] = {}
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
    """Scan a heart quickly. Arrays of the answer: ``hu`` float32 and ``labels`` uint8, both (i, j, k) on ``grid``."""

    kind: Literal["preview"] = "preview"
    scanner: ScannerChoice = ScannerChoice()
    grid: GridSpec = GridSpec.centered(64, 2.5)
    views: int = Field(default=60, ge=8, le=720)
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
    """

    kind: Literal["fit"] = "fit"
    name: str = "the label map"
    affine: tuple[Row, Row, Row, Row]
    limit_sigma: float | None = Field(default=None, gt=0, le=6)


class ModeTableTask(Message):
    """Describe every mode in words, by the measurements at minus and plus ``sigma``."""

    kind: Literal["mode_table"] = "mode_table"
    sigma: float = Field(default=1.5, gt=0, le=6)


class DescribeTask(Message):
    """Tell versions, device, memory and the model's card."""

    kind: Literal["describe"] = "describe"


Task = Annotated[
    LabelsTask | MeasureTask | PreviewTask | RenderTask | FitTask | ModeTableTask | DescribeTask,
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
    arrays: dict[str, ArrayFile] = {}


class Cancel(Message):
    """End the channel's requests up to ``id``."""

    type: Literal["cancel"] = "cancel"
    channel: str
    id: int


Command = Annotated[Request | Cancel, Field(discriminator="type")]


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
    """One scan of a rendering: its scanner's key and name, and the name of its array."""

    scanner: str
    name: str
    array: str
    seconds: float


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


class RenderResult(Message):
    """Answer to :class:`RenderTask`."""

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


class DescribeResult(Message):
    """Answer to :class:`DescribeTask`; ``model`` is the model file's header with its counts and checksum."""

    kind: Literal["describe"] = "describe"
    versions: dict[str, str]
    device: DeviceReport
    model: dict[str, Any]


Result = Annotated[
    LabelsResult | MeasureResult | PreviewResult | RenderResult | FitResult | ModeTableResult | DescribeResult,
    Field(discriminator="kind"),
]


class Hello(BaseModel):
    """First line of a worker. Unknown fields are allowed, so that an older client reads the version at least."""

    type: Literal["hello"] = "hello"
    protocol: int
    fedsim: str
    python: str
    pid: int


class Ready(Message):
    """The heavy libraries are loaded; requests are served from now on."""

    type: Literal["ready"] = "ready"
    device: DeviceReport


class Unusable(Message):
    """The worker cannot serve and ends; ``sentence`` tells why and the way out."""

    type: Literal["unusable"] = "unusable"
    sentence: str


class Progress(Message):
    """A running request goes on.

    Attributes:
        id: the request's.
        stage: what is being done.
        step: steps of the stage that are done.
        total: steps of the stage.
        fraction: share of the whole request that is done, 0 to 1.
        remaining_s: estimate for the whole request; None while nothing can be said.
    """

    type: Literal["progress"] = "progress"
    id: int
    stage: str
    step: int
    total: int
    fraction: float
    remaining_s: float | None


class Done(Message):
    """A request is answered."""

    type: Literal["done"] = "done"
    id: int
    seconds: float
    result: Result
    arrays: dict[str, ArrayFile]


class Failure(Message):
    """A request cannot be answered; the worker goes on.

    Attributes:
        id: the request's; None if the line could not be read at all.
        cause: ``"input"`` what was asked for is impossible, ``"memory"`` there is too little, ``"bug"`` ours.
        sentence: for people.
        details: traceback of a bug.
    """

    type: Literal["failure"] = "failure"
    id: int | None
    cause: Literal["input", "memory", "bug"]
    sentence: str
    details: str = ""


class Cancelled(Message):
    """A request was ended before its time: cancelled, or superseded by a newer one of its channel."""

    type: Literal["cancelled"] = "cancelled"
    id: int


Reply = Annotated[Hello | Ready | Unusable | Progress | Done | Failure | Cancelled, Field(discriminator="type")]

_COMMANDS: TypeAdapter[Any] = TypeAdapter(Command)
_REPLIES: TypeAdapter[Any] = TypeAdapter(Reply)
_Message = TypeVar("_Message")


def read_command(line: bytes) -> Request | Cancel:
    """Read one line of the worker's input.

    Raises:
        InputError: it is no such message; the sentence names the field and its value.
    """
    return _read(_COMMANDS, line, "request")


def read_reply(line: bytes) -> Hello | Ready | Unusable | Progress | Done | Failure | Cancelled:
    """Read one line of the worker's output.

    Raises:
        InputError: it is no such message.
    """
    return _read(_REPLIES, line, "reply")


def _read(adapter: TypeAdapter[_Message], line: bytes, what: str) -> _Message:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        # Tags of unions stand between the fields' names; people know neither.
        field = ".".join(str(part) for part in first["loc"]) or what
        given = repr(first["input"])
        shown = given if len(given) < 80 else given[:77] + "..."
        raise InputError(f"The {what} cannot be used: {field} = {shown}: {first['msg']}.") from error
