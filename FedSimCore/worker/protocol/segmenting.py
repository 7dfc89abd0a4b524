"""Tasks of finding a heart in a scan, and what comes of them; docs/segmentation.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from FedSimCore.volumes.grid_spec import Row
from FedSimCore.worker.protocol.messages import Message


class OpenSegmenterTask(Message):
    """Open a segmenter and tell what it is.

    Attributes:
        file: its file, or a finished run's folder; None for the one that ships.
    """

    kind: Literal["open_segmenter"] = "open_segmenter"
    file: str | None = None


class SegmentTask(Message):
    """Find the heart in a scan, sent as array ``hu`` int16 or float32 (i, j, k).

    Arrays of the answer: ``labels`` uint8 (i, j, k) on the scan's grid and, if asked for, ``uncertainty`` uint8
    (i, j, k), the entropy in percent.

    Attributes:
        name: what messages call the scan.
        file: the segmenter's; None for the one that ships.
        affine: voxel index to RAS mm.
        flips: average mirror images; only for segmenters that have seen such.
        uncertainty: return it, too.
    """

    kind: Literal["segment"] = "segment"
    name: str = "the scan"
    file: str | None = None
    affine: tuple[Row, Row, Row, Row]
    flips: bool = False
    uncertainty: bool = False


class SegmenterRegion(Message):
    """One label that a segmenter gives: its value, key and name."""

    label: int
    key: str
    name: str


class OpenSegmenterResult(Message):
    """Answer to :class:`OpenSegmenterTask`.

    Attributes:
        file: its path.
        sha256: checksum of weights and sizes.
        regions: labels that it gives.
        spacing_mm: of its working grid.
        patch: voxels along each side of a window.
        flips: whether ``flips`` may be asked of it.
        trained_on: a sentence each.
        cases: ids of a cohort's cases that it has learnt from.
        metrics: of its training.
        card: Markdown for people.
    """

    kind: Literal["open_segmenter"] = "open_segmenter"
    file: str
    sha256: str
    regions: tuple[SegmenterRegion, ...]
    spacing_mm: float
    patch: int
    flips: bool
    trained_on: tuple[str, ...]
    cases: tuple[str, ...]
    metrics: dict[str, float]
    card: str


class SegmentedRegion(SegmenterRegion):
    """A region that was looked for; ``volume_ml`` is 0 where it was not found."""

    volume_ml: float


class SegmentResult(Message):
    """Answer to :class:`SegmentTask`.

    Attributes:
        found: whether there is a heart; otherwise the labels are empty.
        regions: labels and volumes.
        confidence: mean probability, 0 to 1, of the labels given to the heart.
        warnings: what gives reason for doubt, a sentence each, to be shown.
        segmenter_sha256: checksum of the segmenter.
    """

    kind: Literal["segment"] = "segment"
    found: bool
    regions: tuple[SegmentedRegion, ...]
    confidence: float = Field(ge=0, le=1.001)
    warnings: tuple[str, ...]
    segmenter_sha256: str
