"""A real scan and a simulation for the tests of the panel "Compare", made in the scene without the worker."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HU = (-80.0, 450.0, 120.0, 400.0, 430.0, 380.0, 460.0, 410.0)
"""Of the simulation's labels, 0 to 7."""
LABELS = "Labels of the simulation"


def heart_labels(session: Any, grid: Any) -> NDArray[np.uint8]:
    """Return the label map (i, j, k) of the heart that is edited, without the worker."""
    import torch

    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.voxelizer import label_map

    model, heart = builtin_model(), session.editor.heart
    with torch.no_grad():
        vertices = model.vertices(torch.tensor(heart.vector(), dtype=torch.float32)[None])
        return label_map(vertices, model.topology, grid)[0].numpy()


def put_simulated(session: Any, number: int = 1) -> Any:
    """Put a noisy volume of the heart as it is into the scene, as a simulation does, and return its node."""
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.scene_segmentations import new_layer
    from FedSimSlicerLib.scene_volumes import new_image, put_label_map
    from FedSimSlicerLib.simulation_output import Scan, SimulationOutput

    vertices = session.surface.vertices(session.editor.heart)
    grid = Grid.centered(100, 1.6, ((vertices.min(axis=0) + vertices.max(axis=0)) / 2).round())
    labels = heart_labels(session, grid)
    put_label_map(labels, grid, LABELS)
    noise = np.random.default_rng(number).normal(0.0, 20.0, labels.shape)
    output = SimulationOutput(session.editor.heart, grid, new_layer(labels, grid))
    output.add(Scan("adult", new_image((np.array(HU)[labels] + noise).astype(np.float32)), {}))
    session.state.simulated, session.state.simulated_labels = output.volumes[0], output.segmentation
    return output.volumes[0]


def put_real(grid: Any, hounsfield: NDArray[Any], name: str = "Patient") -> Any:
    """Put a volume into the scene as a loaded scan, with its window found automatically, and return its node."""
    from FedSimSlicerLib.scene_volumes import put_volume

    node = put_volume(hounsfield, grid, name)
    node.GetDisplayNode().SetWindowLevel(350.0, 40.0)
    return node


def smooth_scan(grid: Any, seed: int = 0) -> NDArray[np.int16]:
    """Return HU (i, j, k) that vary smoothly over the world, with noise."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    world = grid.to_world(index)
    wave = 200 + 150 * np.sin(world[..., 0] / 31) + 100 * np.cos(world[..., 1] / 23) + world[..., 2]
    return (wave + np.random.default_rng(seed).normal(0, 15, grid.shape)).round().astype(np.int16)
