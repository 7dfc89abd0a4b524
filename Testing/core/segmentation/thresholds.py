"""A segmenter that needs no training: it knows the regions of a painted heart by their HU."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from FedSimCore.segmentation.model_file import Segmenter, SegmenterHeader, new_network
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume

HU_OF_LABEL = np.array([-800.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0], dtype=np.float32)
"""Of a painted heart; 100 HU apart, so that averages at borders are few."""
CENTER_MM = (13.0, -31.0, 207.0)
SMALL = SegmenterHeader(channels=(4, 8), windows_hu=((-1000.0, 1000.0),), spacing_mm=3.0, patch=32)


class Thresholds(nn.Module):
    """Gives each voxel the region whose HU is nearest; no heart in the lungs or in air."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (B, 8, X, Y, Z) of one window from -1000 to 1000 HU."""
        hounsfield = inputs[:, :1] * 1000
        centers = torch.from_numpy(HU_OF_LABEL).to(inputs)
        return -(((hounsfield - centers.view(1, -1, 1, 1, 1)) / 15) ** 2)


def thresholds(**changes: object) -> Segmenter:
    """Return the segmenter; fields of its header may be changed."""
    return Segmenter(SMALL.model_copy(update=changes), Thresholds())


def untrained(**changes: object) -> Segmenter:
    """Return a small U-Net with random weights."""
    header = SMALL.model_copy(update=changes)
    return Segmenter(header, new_network(header, seed=1)).eval()


@lru_cache(maxsize=2)
def heart_labels(spacing_mm: float = 2.0) -> Volume:
    """Return the mean heart's labels on a grid of 180 mm; with 2 mm its voxels are those of the working lattice."""
    model = builtin_model()
    grid = Grid.centered(round(180 / spacing_mm), spacing_mm, CENTER_MM)
    vertices = model.vertices(model.from_unit(torch.zeros(1, model.parameter_count)))
    vertices = vertices - vertices.mean(1, keepdim=True) + torch.tensor(CENTER_MM)
    return Volume(label_map(vertices, model.topology, grid)[0].numpy(), grid)


def painted(labels: Volume) -> Volume:
    """Return a scan in which every region has its HU."""
    return Volume(HU_OF_LABEL[labels.array], labels.grid)
