"""Fitting the shape model to a label map by gradient through the voxelizer.

The loss is that of the paper's shape pre-training (Li et al. 2020, section 2.2), with Dice in place of
intersection over union and a term for every region, so that the thin wall counts as much as the large pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.anatomy import regions
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.parameters import HeartParameters
from FedSimCore.shape.procrustes import Similarity, align
from FedSimCore.shape.surfaces import enclosed_centroid_mm, enclosed_volume_mm3, mean_surface_distance_mm
from FedSimCore.shape.voxelizer import label_map, label_probabilities, region_occupancy
from FedSimCore.volumes import Grid

# What one unit of the optimiser's variables stands for: 1 sigma, and these steps of rotation (rad),
# translation (mm) and log scale, which move a heart's surface about as far.
_POSE_STEP = (0.05, 0.05, 0.05, 2.0, 2.0, 2.0, 0.04)
_MARGIN_MM = 12.0


@dataclass(frozen=True)
class Stage:
    """One resolution of the fit.

    Attributes:
        spacing: of the voxels, as a fraction of the heart's size (the cube root of its volume, about 80 mm in
            an adult), so that a child's heart gets as many voxels.
        steps: of Adam.
        rate: Adam's step at the start, in sigma; it falls to a tenth along a cosine.
        modes: share of the modes that take part.
    """

    spacing: float
    steps: int
    rate: float
    modes: float = 1.0


STAGES = (Stage(0.06, 20, 0.3, 0.0), Stage(0.06, 45, 0.2), Stage(0.035, 30, 0.08), Stage(0.025, 12, 0.03))
POSE_STAGES = (Stage(0.06, 25, 0.3, 0.0), Stage(0.035, 20, 0.1, 0.0), Stage(0.025, 10, 0.03, 0.0))
"""Rotation, translation and scale only."""


@dataclass(frozen=True)
class FitResult:
    """A fitted heart and how well it fits.

    Attributes:
        parameters: weights and pose; the pose puts the heart into the label map's world.
        dice: by region key, of the regions the label map has, on the label map's own grid.
        distance_mm: symmetric mean surface distance by region key.
        iterations: gradient steps taken.
        initial_dice: mean Dice of the shape it began with, at the initial pose.
    """

    parameters: HeartParameters
    dice: dict[str, float]
    distance_mm: dict[str, float]
    iterations: int
    initial_dice: float

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the regions."""
        return float(np.mean(list(self.dice.values())))


def initial_pose(model: ShapeModel, heart: LabelledHeart, start: HeartParameters | None = None) -> Similarity:
    """Place a shape by the regions' centres of mass and their volume, whatever the orientation.

    With fewer than three regions the centres fix no rotation, and that of ``start`` is kept.

    Args:
        model: the shape model.
        heart: where to place it.
        start: the shape to be placed; the mean shape in the model's own orientation by default.
    """
    shape = model.mesh() if start is None else model.mesh(HeartParameters(weights=start.weights))
    surfaces = {label: shape.surface(label) for label in heart.present}
    source = np.stack([enclosed_centroid_mm(*surfaces[label]) for label in heart.present])
    target = np.stack([heart.centroids_mm[label] for label in heart.present])
    volumes = np.array([enclosed_volume_mm3(*surfaces[label]) for label in heart.present])
    scale = float(np.cbrt(sum(heart.volumes_mm3.values()) / volumes.sum()))
    if len(source) < 3:
        rotation = np.eye(3) if start is None else Similarity.from_pose(start.pose).rotation
        return Similarity(rotation, target.mean(0) - scale * rotation @ source.mean(0), scale)
    return align(source, target, np.sqrt(volumes), scale)


def fit(
    model: ShapeModel,
    heart: LabelledHeart,
    limit_sigma: float | None = None,
    stages: Sequence[Stage] = STAGES,
    progress: Progress = silent,
    start: HeartParameters | None = None,
) -> FitResult:
    """Find the parameters whose label map overlaps a given one best.

    Args:
        model: the shape model; the fit runs on its device.
        heart: the label map; regions it lacks take no part.
        limit_sigma: limit of the weights; the model's by default.
        stages: from coarse to fine; :data:`POSE_STAGES` move ``start`` as it is.
        progress: told of every step; raise from it to cancel.
        start: where the weights begin; at 0 by default. Its pose is found anew.
    """
    limit = model.header.limit_sigma if limit_sigma is None else limit_sigma
    weights = (0.0,) * model.mode_count if start is None else start.weights
    begun = HeartParameters(weights=weights, pose=initial_pose(model, heart, start).pose())
    anchor = torch.tensor(begun.vector(), dtype=torch.float32, device=model.mean.device)
    moved = torch.zeros_like(anchor, requires_grad=True)
    total, done = sum(stage.steps for stage in stages), 0
    for stage in stages:
        spacing = stage.spacing * float(np.cbrt(sum(heart.volumes_mm3.values())))
        grid, target = _target(heart, spacing)
        target = target.to(anchor.device)
        adam = torch.optim.Adam([moved], lr=stage.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, stage.steps, stage.rate / 10)
        free = round(stage.modes * model.mode_count)
        for _ in range(stage.steps):
            progress(done, total, "fitting the model")
            adam.zero_grad()
            _loss(model, _parameters(anchor, moved)[None], grid, target, heart.present).backward()
            assert moved.grad is not None
            moved.grad[free : model.mode_count] = 0
            adam.step()
            schedule.step()
            with torch.no_grad():
                moved[:free] = (anchor[:free] + moved[:free]).clamp(-limit, limit) - anchor[:free]
            done += 1
    progress(total, total, "fitting the model")
    vector = _parameters(anchor, moved).detach().cpu().numpy().astype(np.float64)
    # What stayed where it began is not rounded to float32.
    vector[: model.mode_count] = np.where(moved.detach().cpu()[:-7] == 0, weights, vector[: model.mode_count])
    return _judged(model, heart, begun, HeartParameters.from_vector(vector), total)


def _judged(
    model: ShapeModel, heart: LabelledHeart, begun: HeartParameters, found: HeartParameters, iterations: int
) -> FitResult:
    """Compare the fitted heart with the label map."""
    mesh = model.mesh(found)
    distance = {
        region.key: mean_surface_distance_mm(mesh.surface(region.label), heart.surface(region.label))
        for region in regions()
        if region.label in heart.present
    }
    initial = dice_by_region(model.mesh(begun), heart)
    return FitResult(found, dice_by_region(mesh, heart), distance, iterations, float(np.mean(list(initial.values()))))


def _parameters(anchor: Tensor, moved: Tensor) -> Tensor:
    """Apply the optimiser's variables (K + 7,) to the initial parameters (K + 7,)."""
    pose = moved[-7:] * moved.new_tensor(_POSE_STEP)
    scale = anchor[-1:] * pose[-1:].exp()
    return torch.cat([anchor[:-7] + moved[:-7], anchor[-7:-1] + pose[:-1], scale])


def _target(heart: LabelledHeart, spacing_mm: float) -> tuple[Grid, Tensor]:
    """Return a grid round the heart and each region's share of its voxels, (R, X, Y, Z) float32."""
    labels = heart.labels
    extent = np.array(labels.grid.shape) * labels.grid.spacing_mm
    shape = np.ceil((extent + 2 * _MARGIN_MM) / spacing_mm).astype(int)
    # Along the label map's own axes: whatever its orientation, the heart fills the grid.
    directions = labels.grid.affine[:3, :3] / labels.grid.spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing_mm
    centre = labels.grid.center_mm
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    to_index = np.linalg.inv(labels.grid.affine) @ affine
    # A Gaussian as wide as the new voxel stands for the mean over it.
    blur = 0.3 * spacing_mm / labels.grid.spacing_mm
    channels = []
    for label in region_labels():
        mask = np.asarray(labels.array == label, dtype=np.float32)
        pad = int(np.ceil(3 * blur.max())) + 1
        smooth = ndimage.gaussian_filter(np.pad(mask, pad), blur)
        channels.append(
            ndimage.affine_transform(
                smooth, to_index[:3, :3], to_index[:3, 3] + pad, output_shape=grid.shape, order=1, output=np.float32
            )
        )
    return grid, torch.from_numpy(np.stack(channels))


def _loss(model: ShapeModel, parameters: Tensor, grid: Grid, target: Tensor, present: Sequence[int]) -> Tensor:
    """Return one minus the mean soft Dice over the regions that are present."""
    occupancy = region_occupancy(model.vertices(parameters), model.topology, grid)
    probability = label_probabilities(occupancy)[0].flatten(1)
    truth = target.flatten(1)
    dice = 2 * (probability * truth).sum(1) / (probability.sum(1) + truth.sum(1)).clamp_min(1e-6)
    index = [region_labels().index(label) for label in present]
    return 1 - dice[index].mean()


def dice_by_region(mesh: HeartMesh, heart: LabelledHeart) -> dict[str, float]:
    """Return the Dice overlap of a mesh with a label map for each region the map has, on the map's grid."""
    grid = heart.labels.grid
    margin = np.ceil(_MARGIN_MM / grid.spacing_mm).astype(int)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(-margin)
    shape = np.array(grid.shape) + 2 * margin
    larger = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    mine = label_map(torch.from_numpy(mesh.vertices), mesh.topology, larger)[0].numpy()
    truth: NDArray[np.uint8] = np.pad(heart.labels.array, [(int(m), int(m)) for m in margin])
    return {
        region.key: float(
            2
            * ((mine == region.label) & (truth == region.label)).sum()
            / ((mine == region.label).sum() + (truth == region.label).sum())
        )
        for region in regions()
        if region.label in heart.present
    }
