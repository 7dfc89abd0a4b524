"""What the module keeps in the scene: saved with it, and back with it.

Only plain values and references to nodes; what they mean is told where they are used: :mod:`heart_editor` (the heart),
:mod:`scan_setup` (tissues and scanner).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTextNode,
)
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

SURROUNDINGS = ("thorax", "fat", "none")
SEXES = ("any", "female", "male")
SLICE_STYLES = ("both", "contours", "overlay", "nothing")


@parameterNodeWrapper
class ModuleState:
    """The parameter node of the module, typed.

    Attributes:
        weights: of the shape's modes, sigma; empty for the mean heart of the paper's number of modes.
        rotation_rad, translation_mm, scale: the heart's pose, as in ``HeartParameters``.
        wide_range: sliders beyond the model's limit.
        slice_style: what slice views show of the heart.
        overlay_opacity: of the label overlay, beside each region's own.
        sex, body_surface_m2: whose norms measurements are compared with; ``"any"`` and 0 for unknown.
        live_preview: a quick CT follows the heart.
        scanner: key of a shipped scanner; empty for ``own_scanner``.
        own_scanner: JSON object, the scanner that was read from a file; ``{}`` before one was.
        scanner_changes: JSON object, fields of the scanner that the user changed.
        phase: contrast phase; empty for the scanner's own.
        materials: JSON object, label to base tissue, density and iodine where the user changed them.
        surroundings: what lies round the heart.
        body_seed, noise_seed: of the person and of the noise.
        noise: whether the images have any.
        patient: segmentation or label map that the heart is fitted to.
        segmenter: file of the segmenter, or folder of the run that made it; empty for the one that ships.
        segment_flips, segment_uncertainty: whether a segmenter averages mirror images, and shows where it is unsure.
        real_scan: volume that the simulation is compared with.
        live_labels, preview: the nodes that follow the heart.
        simulated, simulated_labels, provenance: the last full simulation, its labels, and the JSON that repeats it.
    """

    weights: list[float]
    rotation_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    translation_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    wide_range: bool = False
    slice_style: Annotated[str, Choice(SLICE_STYLES)] = "both"
    overlay_opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.4
    sex: Annotated[str, Choice(SEXES)] = "any"
    body_surface_m2: Annotated[float, WithinRange(0.0, 3.5)] = 0.0
    live_preview: bool = False
    scanner: str = "adult"
    own_scanner: str = "{}"
    scanner_changes: str = "{}"
    phase: str = ""
    materials: str = "{}"
    surroundings: Annotated[str, Choice(SURROUNDINGS)] = "thorax"
    body_seed: Annotated[int, WithinRange(0, 2**31 - 1)] = 0
    noise: bool = True
    noise_seed: Annotated[int, WithinRange(0, 2**31 - 1)] = 0
    segmenter: str = ""
    segment_flips: bool = False
    segment_uncertainty: bool = False
    patient: vtkMRMLNode
    real_scan: vtkMRMLScalarVolumeNode
    live_labels: vtkMRMLLabelMapVolumeNode
    preview: vtkMRMLScalarVolumeNode
    simulated: vtkMRMLScalarVolumeNode
    simulated_labels: vtkMRMLSegmentationNode
    provenance: vtkMRMLTextNode

    if TYPE_CHECKING:  # what the decorator adds
        parameterNode: Any  # noqa: N815  Slicer's name

        def __init__(self, parameter_node: Any) -> None: ...
