"""What the slice views show and where: read and set without touching the views of FedSim's own layouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

OWN_VIEWS = "FedSim"
"""What the names of the slice views in our own layouts begin with."""

HEART_WINDOW = (800.0, 200.0)
"""Window and level of an enhanced heart, HU."""

SIMULATION = "FedSim.Simulation"
"""Attribute of the volumes of full simulations: the simulation's number."""

LAYERS = ("Background", "Foreground", "Label")


def standard_composites() -> list[Any]:
    """Return the vtkMRMLSliceCompositeNodes of all slice views but those of FedSim's own layouts."""
    every = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [node for node in every if not (node.GetLayoutName() or "").startswith(OWN_VIEWS)]


def fit_standard_views() -> None:
    """Let the slice views on the screen, but those of FedSim's own layouts, show all of their volumes."""
    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        if not name.startswith(OWN_VIEWS):
            manager.sliceWidget(name).sliceLogic().FitSliceToBackground()


@dataclass(frozen=True)
class Layers:
    """What one slice view showed.

    Attributes:
        volumes: node ids in the order of :data:`LAYERS`, None for an empty layer.
        opacities: of foreground and label.
        compositing: how the foreground is laid over the background.
    """

    volumes: tuple[str | None, ...]
    opacities: tuple[float, float]
    compositing: int

    @classmethod
    def of(cls, composite: Any) -> Layers:
        """Read a vtkMRMLSliceCompositeNode."""
        volumes = tuple(getattr(composite, f"Get{layer}VolumeID")() for layer in LAYERS)
        opacities = composite.GetForegroundOpacity(), composite.GetLabelOpacity()
        return cls(volumes, opacities, composite.GetCompositing())

    def put_back(self, composite: Any) -> None:
        """Show all this again, as far as the volumes are still in the scene."""
        was_modifying = composite.StartModify()
        for layer, volume in zip(LAYERS, self.volumes, strict=True):
            known = volume is not None and slicer.mrmlScene.GetNodeByID(volume) is not None
            getattr(composite, f"Set{layer}VolumeID")(volume if known else None)
        composite.SetForegroundOpacity(self.opacities[0])
        composite.SetLabelOpacity(self.opacities[1])
        composite.SetCompositing(self.compositing)
        composite.EndModify(was_modifying)


@dataclass(frozen=True)
class Place:
    """Where one slice view looked.

    Attributes:
        slice_to_ras: 4 x 4, row by row.
        mm_per_pixel: magnification.
        origin: of the picture in the view.
    """

    slice_to_ras: tuple[float, ...]
    mm_per_pixel: float
    origin: tuple[float, float, float]

    @classmethod
    def of(cls, node: Any) -> Place:
        """Read a vtkMRMLSliceNode."""
        scale = node.GetFieldOfView()[0] / max(1, node.GetDimensions()[0])
        return cls(tuple(node.GetSliceToRAS().GetData()), scale, tuple(node.GetXYZOrigin()))

    def put_back(self, node: Any) -> None:
        """Look there again, in a view that may have another size now."""
        was_modifying = node.StartModify()
        node.GetSliceToRAS().DeepCopy(self.slice_to_ras)
        width, height, _depth = node.GetDimensions()
        node.SetFieldOfView(width * self.mm_per_pixel, height * self.mm_per_pixel, node.GetFieldOfView()[2])
        node.SetXYZOrigin(*self.origin)
        node.UpdateMatrices()
        node.EndModify(was_modifying)
