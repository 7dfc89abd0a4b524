"""Segmenters so small that they are trained in a second, and the scans that they have learnt from.

In these scans each region is a ball as bright as its label says, in air: nothing that a real segmenter could use, but
what is there is known, region by region.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from FedSimCore.segmentation.model_file import Segmenter, SegmenterHeader, new_network, windowed
from FedSimCore.volumes import Grid

SPACING_MM = 4.0
PATCH = 16
STEPS = {"seven": 100, "heart": 40}


def balls(grid: Grid, centre_mm: tuple[float, float, float], radius_mm: float = 19.0) -> NDArray[np.uint8]:
    """Return seven balls (i, j, k) round a centre, two above each other and five in a ring, label by label."""
    turns = 2 * np.pi * np.arange(5) / 5
    ring = np.stack([34 * np.cos(turns), 34 * np.sin(turns), np.zeros(5)], axis=1)
    offsets = np.concatenate([[[0, 0, 24.0]], ring, [[0, 0, -24.0]]])
    world = grid.to_world(np.stack(np.indices(grid.shape), -1).reshape(-1, 3))
    labels = np.zeros(len(world), np.uint8)
    for label, offset in enumerate(offsets, start=1):
        labels[np.linalg.norm(world - centre_mm - offset, axis=1) < radius_mm] = label
    return labels.reshape(grid.shape)


def scan_of(labels: NDArray[np.uint8], seed: int = 0) -> NDArray[np.int16]:
    """Return the scan (i, j, k) of a label map: air, and each region 200 HU brighter than the one before."""
    noise = np.random.default_rng(seed).normal(0, 10, labels.shape)
    return (np.where(labels > 0, -700 + 200 * labels.astype(float), -1000.0) + noise).astype(np.int16)


def write_segmenter(path: Path, regions: Literal["heart", "seven"] = "seven") -> Path:
    """Write the file of a segmenter that has learnt from such scans; it is trained once a process."""
    _trained(regions).save(path)
    return path


@cache
def _trained(regions: Literal["heart", "seven"]) -> Segmenter:
    torch.manual_seed(0)
    header = SegmenterHeader(
        regions=regions,
        channels=(12, 16),
        windows_hu=((-1100.0, -600.0), (-700.0, -100.0), (-200.0, 400.0), (200.0, 900.0)),
        spacing_mm=SPACING_MM,
        patch=PATCH,
        trained_on=("balls in air, made for tests",),
    )
    network = new_network(header)
    optimizer = torch.optim.Adam(network.parameters(), 2e-2)
    rng = np.random.default_rng(0)
    for step in range(STEPS[regions]):
        grid = Grid.centered(PATCH, SPACING_MM)
        labels = balls(grid, tuple(rng.uniform(-30, 30, 3)))
        image = torch.from_numpy(scan_of(labels, step).astype(np.float32))[None]
        wanted = header.trained_label(torch.from_numpy(labels.astype(np.int64)))[None]
        weight = torch.tensor([0.2] + [1.0] * (header.classes - 1))
        loss = functional.cross_entropy(network(windowed(image, header.windows_hu)), wanted, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Segmenter(header, network)
