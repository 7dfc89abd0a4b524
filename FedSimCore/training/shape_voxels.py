"""From a shape generator's output to label maps on the working grid, and how well they meet those that are wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.parameter_gradient import Gradient, voxelize_parameters
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid

_FINITE_STEP_VOXELS = 0.5


class ShapeVoxels:
    """A shape model that is moved by a generator's output and voxelized.

    Attributes:
        model: the shape model.
        grid: the working grid, round the origin.
    """

    def __init__(self, model: ShapeModel, grid: Grid, gradient: Gradient = "boundary") -> None:
        """Prepare the gradient.

        Args:
            model: with as many modes as are used.
            grid: the working grid.
            gradient: how a loss reaches the generator's output.
        """
        self.model, self.grid, self._gradient = model, grid, gradient
        self._values = torch.tensor(model.topology.labels, dtype=torch.uint8)[:, None, None, None]
        steps = _finite_steps(model, float(grid.spacing_mm[0])) if gradient == "finite-differences" else None
        self._steps = steps

    def to(self, device: torch.device) -> None:
        """Move the shape model."""
        self.model = self.model.to(device)

    def probabilities(self, unit: Tensor) -> Tensor:
        """Return regions (batch, R, X, Y, Z), 0 or 1 with a gradient, of outputs (batch, modes + 7) in [-1, 1]."""
        return voxelize_parameters(
            self.model.from_unit(unit),
            self.model.vertices,
            self.model.topology,
            self.grid,
            self._gradient,
            self._steps,
        )

    def labels(self, unit: Tensor) -> Tensor:
        """Return label maps (batch, X, Y, Z) uint8 of outputs (batch, modes + 7)."""
        return label_map(self.model.vertices(self.model.from_unit(unit)), self.model.topology, self.grid)

    def one_hot(self, labels: Tensor) -> Tensor:
        """Return regions (batch, R, X, Y, Z), 0 or 1, of label maps (batch, X, Y, Z)."""
        return (labels[:, None] == self._values.to(labels.device)).float()


def mean_iou(made: Tensor, wanted: Tensor) -> Tensor:
    """Intersection over union, with a gradient, as in the paper's L_IoU; its mean over the regions a heart has.

    Args:
        made: (batch, regions, X, Y, Z), 0 to 1.
        wanted: the same shape, 0 or 1; a region without voxels (a chamber that a patient lacks) does not count.

    Returns:
        (batch,), 0 to 1.
    """
    both = (made * wanted).sum((2, 3, 4))
    total = made.sum((2, 3, 4)) + wanted.sum((2, 3, 4))
    present = wanted.flatten(2).any(2)
    iou = both / (total - both).clamp_min(1.0)
    return (iou * present).sum(1) / present.sum(1).clamp_min(1)


def _finite_steps(model: ShapeModel, spacing_mm: float) -> list[float]:
    """Return for each parameter the step that moves the surface by half a voxel on average (root mean square)."""
    middle = model.from_unit(torch.zeros(1, model.parameter_count, dtype=torch.float64))
    tiny = 1e-4
    moved = torch.stack(
        [
            (model.vertices(middle + tiny * unit) - model.vertices(middle)).square().sum(-1).mean().sqrt() / tiny
            for unit in torch.eye(model.parameter_count, dtype=torch.float64)
        ]
    )
    return (_FINITE_STEP_VOXELS * spacing_mm / moved).tolist()
