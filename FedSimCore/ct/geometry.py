"""Where source and detector stand during a circular cone-beam scan.

World coordinates are RAS millimetres. The rotation axis is parallel to S through the isocentre. At gantry angle
``beta`` the source stands at ``isocentre + source_isocenter * (sin beta, cos beta, 0)``: at 0 degrees in front of
(anterior to) the patient, at +90 degrees on the patient's right. The flat detector faces it; its columns are counted
along ``u = (cos beta, -sin beta, 0)`` and its rows along ``v = (0, 0, 1)``, so that at 0 degrees the first column
lies on the patient's left. Sinograms are tensors ``(batch, channel, views, columns, rows)``; rows are contiguous,
because the plane-stack works on whole detector columns.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import Self

from FedSimCore.errors import InputError

Array = NDArray[np.floating[Any]]


class DetectorPoses(NamedTuple):
    """Source and detector at every view, in RAS millimetres; any orbit can be written like this.

    Attributes:
        source_mm: (views, 3).
        detector_mm: (views, 3), middle of the detector, offset included.
        u: (views, 3), unit vector along which detector columns are counted.
        v: (views, 3), unit vector along which detector rows are counted.
    """

    source_mm: Array
    detector_mm: Array
    u: Array
    v: Array


class ConeBeamGeometry(BaseModel):
    """A circular orbit with a flat detector whose columns are parallel to the rotation axis.

    View ``i`` of ``views`` is taken at ``start_angle_deg`` plus (counterclockwise) or minus (clockwise)
    ``angular_range_deg * i / views``.

    Attributes:
        source_isocenter_mm: distance from source to rotation axis.
        source_detector_mm: distance from source to detector, along the perpendicular.
        columns: detector columns (across the axis, index u).
        rows: detector rows (along the axis, index v).
        pixel_mm: size of a pixel across and along the axis (column_mm, row_mm).
        detector_offset_mm: how far the middle of the detector is moved along u and v.
        views: number of projections.
        start_angle_deg: gantry angle of the first view.
        angular_range_deg: angle that the views cover; 360 is a full scan.
        direction: sense of rotation as seen from the patient's feet.
        isocenter_mm: RAS position of the isocentre; None means the middle of the volume's grid.

    Raises:
        InputError: no scanner can be built like that; the sentence names the value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_isocenter_mm: float
    source_detector_mm: float
    columns: int
    rows: int
    pixel_mm: tuple[float, float]
    detector_offset_mm: tuple[float, float] = (0.0, 0.0)
    views: int
    start_angle_deg: float = 0.0
    angular_range_deg: float = 360.0
    direction: Literal["counterclockwise", "clockwise"] = "counterclockwise"
    isocenter_mm: tuple[float, float, float] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("source_isocenter_mm", "source_detector_mm", "columns", "rows", "views", "angular_range_deg"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"The scanner's {name} is {value}, but it has to be a positive number.")
        if not all(math.isfinite(size) and size > 0 for size in self.pixel_mm):
            raise InputError(f"The scanner's pixel_mm is {self.pixel_mm}, but both sizes have to be positive.")
        placed = (self.start_angle_deg, *self.detector_offset_mm, *(self.isocenter_mm or ()))
        if not all(math.isfinite(value) for value in placed):
            raise InputError("The scanner's start angle, detector offset and isocentre have to be finite numbers.")
        if self.source_detector_mm <= self.source_isocenter_mm:
            raise InputError(
                f"The detector is {self.source_detector_mm} mm from the source, nearer than the isocentre at "
                f"{self.source_isocenter_mm} mm; make source_detector_mm the larger one."
            )
        if self.angular_range_deg > 360.0 + 1e-9:
            raise InputError(
                f"The views cover {self.angular_range_deg} degrees; a circular scan covers 360 degrees at most."
            )
        return self

    @property
    def u_mm(self) -> Array:
        """Position of the detector columns along u (columns,)."""
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.pixel_mm[0] + self.detector_offset_mm[0]

    @property
    def v_mm(self) -> Array:
        """Position of the detector rows along v (rows,)."""
        return (np.arange(self.rows) - (self.rows - 1) / 2) * self.pixel_mm[1] + self.detector_offset_mm[1]

    @property
    def angles_rad(self) -> Array:
        """Gantry angle of every view (views,)."""
        sign = 1.0 if self.direction == "counterclockwise" else -1.0
        steps = np.arange(self.views) / self.views
        return np.deg2rad(self.start_angle_deg + sign * self.angular_range_deg * steps)

    @property
    def is_full_scan(self) -> bool:
        """Whether the views cover the whole circle."""
        return abs(self.angular_range_deg - 360.0) < 1e-6

    @property
    def fan_angle_deg(self) -> float:
        """Full fan angle: twice the angle at the source of the outermost pixel edge."""
        edge = self.columns * self.pixel_mm[0] / 2 + abs(self.detector_offset_mm[0])
        return 2 * math.degrees(math.atan(edge / self.source_detector_mm))

    @property
    def field_of_view_mm(self) -> float:
        """Diameter of the disc about the axis that all views of a centred detector see."""
        return 2 * self.source_isocenter_mm * math.sin(math.radians(self.fan_angle_deg) / 2)

    def short_scan(self) -> ConeBeamGeometry:
        """Return this scanner turning only through 180 degrees plus the fan angle, with the same angular step."""
        reach = min(180.0 + self.fan_angle_deg, 360.0)
        views = math.ceil(round(self.views * reach / self.angular_range_deg, 9))
        return self.model_copy(
            update={"views": views, "angular_range_deg": min(views * self.angular_range_deg / self.views, 360.0)}
        )

    def poses(self, isocenter_mm: Array) -> DetectorPoses:
        """Write the orbit about ``isocenter_mm`` (3,) view by view."""
        sine, cosine = np.sin(self.angles_rad), np.cos(self.angles_rad)
        zero = np.zeros_like(sine)
        toward_source = np.stack([sine, cosine, zero], axis=1)
        u = np.stack([cosine, -sine, zero], axis=1)
        v = np.broadcast_to(np.array([0.0, 0.0, 1.0]), u.shape)
        behind = self.source_detector_mm - self.source_isocenter_mm
        detector = isocenter_mm - behind * toward_source
        detector = detector + self.detector_offset_mm[0] * u + self.detector_offset_mm[1] * v
        return DetectorPoses(isocenter_mm + self.source_isocenter_mm * toward_source, detector, u, v)
