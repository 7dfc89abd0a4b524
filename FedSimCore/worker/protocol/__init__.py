"""What is said between the Slicer module and its worker: JSON, one message a line.

Lines on the worker's standard input are :data:`Command`, those on its standard output :data:`Reply`. Arrays lie beside
them in files of the exchange folder (:class:`ArrayFile`), which the reader removes. Importing this package imports no
torch; scanners and tissues are named here and looked up by the worker.
"""

from __future__ import annotations

from FedSimCore.volumes.grid_spec import MOST_VOXELS, GridSpec, Row
from FedSimCore.worker.protocol.messages import ArrayFile, Message
from FedSimCore.worker.protocol.reading import read_command, read_reply
from FedSimCore.worker.protocol.replies import Cancelled, Done, Failure, Hello, Part, Progress, Ready, Reply, Unusable
from FedSimCore.worker.protocol.results import (
    DescribeResult,
    DeviceReport,
    FitResult,
    LabelsResult,
    MeasurementRow,
    MeasureResult,
    ModeRow,
    ModeTableResult,
    PreviewResult,
    RegionHistogramResult,
    RegionHistogramRow,
    RenderPart,
    RenderResult,
    Result,
    ScanRow,
)
from FedSimCore.worker.protocol.tasks import (
    Cancel,
    Command,
    DescribeTask,
    FitTask,
    LabelsTask,
    Material,
    MeasureTask,
    ModeTableTask,
    PreviewTask,
    RegionHistogramTask,
    RenderTask,
    Request,
    ScannerChoice,
    ScanSettings,
    Task,
)

__all__ = [
    "MOST_VOXELS",
    "ArrayFile",
    "Cancel",
    "Cancelled",
    "Command",
    "DescribeResult",
    "DescribeTask",
    "DeviceReport",
    "Done",
    "Failure",
    "FitResult",
    "FitTask",
    "GridSpec",
    "Hello",
    "LabelsResult",
    "LabelsTask",
    "Material",
    "MeasureResult",
    "MeasureTask",
    "MeasurementRow",
    "Message",
    "ModeRow",
    "ModeTableResult",
    "ModeTableTask",
    "Part",
    "PreviewResult",
    "PreviewTask",
    "Progress",
    "Ready",
    "RegionHistogramResult",
    "RegionHistogramRow",
    "RegionHistogramTask",
    "RenderPart",
    "RenderResult",
    "RenderTask",
    "Reply",
    "Request",
    "Result",
    "Row",
    "ScanRow",
    "ScanSettings",
    "ScannerChoice",
    "Task",
    "Unusable",
    "read_command",
    "read_reply",
]
