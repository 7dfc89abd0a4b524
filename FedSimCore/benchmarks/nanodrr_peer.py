"""nanodrr, a differentiable renderer of radiographs, projecting the same scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.benchmarks.harness import peer
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.volumes import Grid


def nanodrr_projection(
    geometry: ConeBeamGeometry, grid: Grid, voxels: NDArray[np.float32], views: Sequence[int], samples: int
) -> Callable[[], Tensor]:
    """Set up nanodrr for some views of a scan.

    Args:
        geometry: the scan; its detector is centred.
        grid: the volume's grid.
        voxels: attenuation (x, y, z) in 1/mm.
        views: which views to project.
        samples: samples along the part of each ray that lies in the volume.

    Returns:
        A function that projects and returns (views, 1, rows, columns).

    Raises:
        MissingDependencyError: nanodrr is not installed.
    """
    render = peer("nanodrr.drr").render
    subject = peer("nanodrr.data").Subject
    make_k_inv = peer("nanodrr.camera").make_k_inv
    image = torch.from_numpy(np.ascontiguousarray(voxels.transpose(2, 1, 0)))[None, None]
    to_world = torch.tensor(grid.affine, dtype=torch.float32)
    size = torch.tensor(grid.shape, dtype=torch.float32)
    to_grid = torch.diag(torch.cat([2 / size, torch.ones(1)]))
    to_grid[:3, 3] = 1 / size - 1
    scene = subject(
        image, torch.zeros_like(image), to_world, to_world.inverse(), to_grid, torch.zeros(3), convert_to_mu=False
    )
    poses = geometry.poses(grid.center_mm)
    toward = np.cross(poses.u, poses.v)
    camera = np.zeros((len(views), 4, 4), np.float32)
    camera[:, 3, 3] = 1
    for axis, vector in enumerate((poses.u, poses.v, toward, poses.source_mm)):
        camera[:, :3, axis] = vector[list(views)]
    pixel, shape = geometry.pixel_mm, (geometry.rows, geometry.columns)
    inverse = make_k_inv(geometry.source_detector_mm, *pixel, 0.0, 0.0, *shape, dtype=torch.float32)
    distance = torch.tensor([geometry.source_detector_mm])

    def project() -> Tensor:
        # One view at a time, as memory for 180 views of samples would be 100 GB.
        rendered = [
            render(scene, inverse, torch.from_numpy(pose)[None], distance, *shape, n_samples=samples) for pose in camera
        ]
        return torch.cat(rendered)

    return project
