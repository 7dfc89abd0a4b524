"""Tasks about a label map that is there already: its surfaces, its measurements, how it agrees with a reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from FedSimCore.volumes.grid_spec import Row
from FedSimCore.worker.protocol.messages import Message

Labelling = Literal["heart", "seven"]
"""What a label map holds: the heart as 1, or FedSim's seven regions."""


class SurfacesTask(Message):
    """Give each label of a label map a smooth closed surface; the map is sent as array ``labels`` uint8 (i, j, k).

    Arrays of the answer, for each label that has a surface: ``points_1`` float32 (v, 3), RAS mm, and ``faces_1`` int32
    (f, 3), counter-clockwise seen from outside. Each surface is that of the label's own voxels: the myocardium's has a
    cavity.

    Attributes:
        affine: voxel index to RAS mm.
    """

    kind: Literal["surfaces"] = "surfaces"
    affine: tuple[Row, Row, Row, Row]


class MeasureLabelsTask(Message):
    """Measure a label map of the seven regions, sent as ``labels`` uint8 (i, j, k), and compare it with norms.

    The answer is that of :class:`MeasureTask`.

    Attributes:
        name: what messages call the label map.
        affine: voxel index to RAS mm.
        sex: whose norms; either one's if None.
        bsa_m2: body surface area, for norms per square metre.
    """

    kind: Literal["measure_labels"] = "measure_labels"
    name: str = "the label map"
    affine: tuple[Row, Row, Row, Row]
    sex: Literal["male", "female"] | None = None
    bsa_m2: float | None = Field(default=None, gt=0.1, lt=4)


class CompareLabelsTask(Message):
    """Compare a label map, array ``labels`` uint8 (i, j, k), with another one, ``reference``, on any grid of its own.

    Arrays of the answer, for each label that both have: ``points_1``, ``faces_1`` as in :class:`SurfacesTask`, and
    ``distance_1`` float32 (v,), the signed distance in mm of each point to the reference's surface, positive outside.

    Attributes:
        name: what messages call the label map.
        affine: voxel index of ``labels`` to RAS mm.
        reference_affine: voxel index of ``reference`` to RAS mm.
        regions: what is compared; with ``"heart"`` everything marked in either is the heart.
    """

    kind: Literal["compare_labels"] = "compare_labels"
    name: str = "the label map"
    affine: tuple[Row, Row, Row, Row]
    reference_affine: tuple[Row, Row, Row, Row]
    regions: Labelling = "seven"


class ScoreRow(Message):
    """How one region agrees with the reference, see :class:`FedSimCore.evaluation.segmentation.RegionScore`.

    Attributes:
        region: its key; ``"heart"`` for all regions as one.
        name: for people.
        dice: 0 to 1; None where the region is in neither.
        hd95_mm: Hausdorff distance, 95th percentile; None where the region is missing in one.
        assd_mm: average symmetric surface distance; likewise.
        found_ml: volume.
        reference_ml: volume in the reference.
    """

    region: str
    name: str
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    found_ml: float
    reference_ml: float


class SurfacesResult(Message):
    """Answer to :class:`SurfacesTask`; ``labels`` are those with a surface."""

    kind: Literal["surfaces"] = "surfaces"
    labels: tuple[int, ...]


class CompareLabelsResult(Message):
    """Answer to :class:`CompareLabelsTask`.

    Attributes:
        scores: the heart as a whole first.
        implementations: metric to what computes it.
        labels: those with a surface and distances.
    """

    kind: Literal["compare_labels"] = "compare_labels"
    scores: tuple[ScoreRow, ...]
    implementations: dict[str, str]
    labels: tuple[int, ...]
