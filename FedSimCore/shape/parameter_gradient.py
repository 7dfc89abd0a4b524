"""Label probabilities as a function of shape parameters, with either of two gradients.

``"boundary"`` goes through the vertices by the boundary integral; ``"finite-differences"`` is what the paper
did: "Backpropagation through the SSM is done by calculating the gradients using finite-differences on the
low-dimensional SSM parameters" (Li et al. 2020, section 2.2). It costs two voxelizations for each of
the 21 parameters and its error depends on the steps; it is here for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import Topology
from FedSimCore.shape.voxelizer import label_map, region_probabilities
from FedSimCore.volumes.grid import Grid

Gradient = Literal["boundary", "finite-differences"]
VerticesOf = Callable[[Tensor], Tensor]


def voxelize_parameters(
    parameters: Tensor,
    vertices_of: VerticesOf,
    topology: Topology,
    grid: Grid,
    gradient: Gradient = "boundary",
    steps: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """Voxelize the hearts of a batch of parameters.

    Args:
        parameters: (batch, P), e.g. 14 weights and 7 of pose.
        vertices_of: takes (batch, P) to vertices (batch, V, 3), RAS mm; differentiable for ``"boundary"``.
        topology: the hearts' faces.
        grid: the voxels.
        gradient: how a gradient reaches ``parameters``.
        steps: (P,) half widths of the central differences, in each parameter's unit; only for
            ``"finite-differences"``. A step should move the surface by about half a voxel: far less and
            few voxels change, far more and the derivative is blurred.

    Returns:
        (batch, R, X, Y, Z), 1 where a region is and 0 elsewhere, regions as ``topology.labels``, each voxel in
        at most one region.

    Raises:
        InputError: ``gradient`` is unknown, or ``steps`` are missing or not P positive numbers.
    """
    if gradient == "boundary":
        return region_probabilities(vertices_of(parameters), topology, grid)
    if gradient != "finite-differences":
        raise InputError(f"There is no gradient {gradient!r}; choose 'boundary' or 'finite-differences'.")
    result: Tensor = _FiniteDifferences.apply(parameters, vertices_of, topology, grid, _checked(steps, parameters))
    return result


def finite_difference_gradient(
    function: Callable[[Tensor], Tensor], parameters: Tensor, steps: Sequence[float] | Tensor
) -> Tensor:
    """Differentiate by central differences, ``(f(p + h) - f(p - h)) / 2h`` for each parameter.

    Args:
        function: takes (batch, P) to (batch,), each entry depending on its own row alone.
        parameters: (batch, P).
        steps: (P,) half widths h.

    Returns:
        (batch, P).

    Raises:
        InputError: ``steps`` are not P positive numbers.
    """
    widths = _checked(steps, parameters)
    columns = []
    for index in range(parameters.shape[1]):
        offset = torch.zeros_like(parameters[0])
        offset[index] = widths[index]
        columns.append((function(parameters + offset) - function(parameters - offset)) / (2 * widths[index]))
    return torch.stack(columns, 1)


class _FiniteDifferences(torch.autograd.Function):
    """Label map in one-hot form forward, central differences over the parameters backward."""

    @staticmethod
    def forward(
        ctx: Any, parameters: Tensor, vertices_of: VerticesOf, topology: Topology, grid: Grid, steps: Tensor
    ) -> Tensor:
        ctx.save_for_backward(parameters)
        ctx.vertices_of, ctx.topology, ctx.grid, ctx.steps = vertices_of, topology, grid, steps
        values = torch.tensor(topology.labels, device=parameters.device)[:, None, None, None]
        return (label_map(vertices_of(parameters), topology, grid)[:, None] == values).to(parameters.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (parameters,) = ctx.saved_tensors
        # The loss to first order: each voxel contributes the gradient at the label that it has.
        position = torch.zeros(256, dtype=torch.long, device=parameters.device)
        position[list(ctx.topology.labels)] = torch.arange(1, len(ctx.topology.labels) + 1, device=parameters.device)
        by_label = torch.nn.functional.pad(gradients[0], (0, 0, 0, 0, 0, 0, 1, 0))

        def linearized(moved: Tensor) -> Tensor:
            labels = label_map(ctx.vertices_of(moved), ctx.topology, ctx.grid)
            return by_label.gather(1, position[labels.long()][:, None]).flatten(1).sum(1)

        return finite_difference_gradient(linearized, parameters, ctx.steps), None, None, None, None


def _checked(steps: Sequence[float] | Tensor | None, parameters: Tensor) -> Tensor:
    count = parameters.shape[-1]
    if parameters.ndim != 2:
        raise InputError(f"Parameters {tuple(parameters.shape)} are not (batch, P).")
    if steps is None:
        raise InputError(f"Finite differences need {count} steps, one for each parameter.")
    widths = torch.as_tensor(steps, dtype=parameters.dtype, device=parameters.device)
    if widths.shape != (count,) or not bool((widths > 0).all()) or not bool(torch.isfinite(widths).all()):
        raise InputError(f"The steps of the finite differences are not {count} positive numbers, one per parameter.")
    return widths
