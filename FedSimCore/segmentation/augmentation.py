"""One sample for a segmenter to learn from: a patch of a case, bent, shown by another scanner, at random.

Everything is a batch of one on the device of the case, drawn from one generator, so that a sample is a function of its
case and a seed. Own torch operations instead of MONAI's transforms: labels, structure maps and images are sampled once
with one map of affine and elastic parts (MONAI resamples for each transform), on any device; see docs/segmentation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.segmentation.appearance import draw_look

Range = tuple[float, float]
Share = float
Preset = Literal["none", "plain", "wide"]
AIR_HU = -1000.0


class Augmentation(BaseModel):
    """How much samples are changed.

    Attributes:
        center_sd_mm: of the patch's middle about the heart's.
        anywhere: share of patches whose middle is anywhere in the case.
        rotation_sd_deg: about each axis.
        scale_sd: of the logarithm of the size.
        stretch_sd: of the logarithm of the size along each axis.
        elastic_mm: standard deviation of the displacement of control points.
        elastic_points: control points along each side.
        region_sd_hu: a shift for each region of an image with labels.
        blur_voxels: standard deviation of a Gaussian.
        slices: share of samples with thick slices,
        slice_mm: and their thickness.
        noise_hu: standard deviation,
        grain_voxels: and blur of the noise, in voxels.
        gain_sd: of a factor on HU + 1000.
        shift_sd_hu: of a constant.
        bias_hu: size of a smooth field, as of scatter and beam hardening.
        streaks: share of samples with streaks from something dense,
        streak_hu: and their strength.
        blobs: share of samples with clips, leads, calcifications.
        field: share of samples seen through a smaller field of view,
        field_mm: and its width.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    center_sd_mm: float = Field(ge=0)
    anywhere: Share
    rotation_sd_deg: float
    scale_sd: float
    stretch_sd: float
    elastic_mm: Range
    elastic_points: tuple[int, int]
    region_sd_hu: float
    blur_voxels: Range
    slices: Share
    slice_mm: Range
    noise_hu: Range
    grain_voxels: Range
    gain_sd: float
    shift_sd_hu: float
    bias_hu: Range
    streaks: Share
    streak_hu: Range
    blobs: Share
    field: Share
    field_mm: Range


@lru_cache(maxsize=4)
def augmentation(preset: Preset) -> Augmentation:
    """Return one of the presets of Resources/segmentation/augmentation.json."""
    table = read_json(resource_path("segmentation/augmentation.json"))
    return Augmentation.model_validate(table["presets"][preset])


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A case in memory, cubic voxels along R, A and S.

    Attributes:
        name: of the case.
        label: (X, Y, Z) uint8.
        structures: (X, Y, Z) uint8 structure map, which gets another look in every sample; or None.
        hounsfield: (X, Y, Z) int16; None for a structure map.
    """

    name: str
    label: Tensor
    structures: Tensor | None = None
    hounsfield: Tensor | None = None

    def heart_middle(self) -> Tensor:
        """Return the middle of the heart's bounding box in voxels (3,); the array's where there is no heart."""
        found = torch.nonzero(self.label)
        if len(found) == 0:
            return (torch.tensor(self.label.shape) - 1) / 2
        return (found.min(0).values + found.max(0).values).cpu() / 2

    def to(self, device: torch.device) -> TrainingVolume:
        """Return the case on a device."""
        moved = (t.to(device) if t is not None else None for t in (self.structures, self.hounsfield))
        return TrainingVolume(self.name, self.label.to(device), *moved)


class Sample(NamedTuple):
    """What :func:`draw_sample` makes: HU (P, P, P) float32, and labels (P, P, P) uint8."""

    hounsfield: Tensor
    label: Tensor


def draw_sample(
    case: TrainingVolume,
    middle: Tensor,
    size: int,
    spacing_mm: float,
    how: Augmentation,
    rng: np.random.Generator,
    *,
    flip: bool = False,
) -> Sample:
    """Draw a sample.

    Args:
        case: on the device where the sample shall be.
        middle: of its heart, voxels (3,).
        size: voxels along each side of the patch.
        spacing_mm: of case and patch.
        how: much it is changed.
        rng: decides everything.
        flip: mirror half of the samples along R, A or S.
    """
    device = case.label.device
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    where = _places(case, middle, size, spacing_mm, how, rng, noise, flip)
    label = _sampled(case.label[None], where, "nearest")[0]
    if case.structures is not None:
        image = _painted(_sampled(case.structures[None], where, "nearest")[0], rng, noise)
    else:
        assert case.hounsfield is not None
        # Voxels beyond the case come out as 0, which the shift makes air.
        image = _sampled(case.hounsfield[None].float() - AIR_HU, where, "bilinear")[0] + AIR_HU
        if how.region_sd_hu:
            shifts = torch.from_numpy(rng.normal(0, how.region_sd_hu, 8).astype(np.float32)).to(device)
            shifts[0] = 0
            image = image + _blurred(shifts[label.long()], 0.6)
    image = _scanned(image, spacing_mm, how, rng, noise)
    if rng.random() < how.field:
        seen = _field_of_view(size, spacing_mm, how, rng, device)
        image = torch.where(seen, image, torch.full_like(image, float(rng.choice([-1000.0, -1024.0]))))
        label = torch.where(seen, label, torch.zeros_like(label))
    return Sample(image, label.to(torch.uint8))


def _places(
    case: TrainingVolume,
    middle: Tensor,
    size: int,
    spacing_mm: float,
    how: Augmentation,
    rng: np.random.Generator,
    noise: torch.Generator,
    flip: bool,
) -> Tensor:
    """Return where the patch's voxels lie in the case, (size, size, size, 3) voxels."""
    device, shape = case.label.device, np.array(case.label.shape)
    center = rng.uniform(0, shape - 1) if rng.random() < how.anywhere else middle.numpy().astype(np.float64)
    center = center + rng.normal(0, 1, 3) * how.center_sd_mm / spacing_mm
    angles = np.deg2rad(rng.normal(0, 1, 3) * how.rotation_sd_deg)
    stretch = np.exp(rng.normal(0, 1) * how.scale_sd + rng.normal(0, 1, 3) * how.stretch_sd)
    if flip:
        stretch = stretch * np.where(rng.random(3) < 0.5, -1.0, 1.0)
    matrix = torch.tensor(_rotation(angles) @ np.diag(1 / stretch), dtype=torch.float32, device=device)
    steps = torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1)
    where = offsets @ matrix.T + torch.tensor(center, dtype=torch.float32, device=device)
    strength = float(rng.uniform(*how.elastic_mm)) / spacing_mm
    if strength > 0:
        points = int(rng.integers(how.elastic_points[0], how.elastic_points[1] + 1))
        control = torch.randn(1, 3, points, points, points, generator=noise, device=device) * strength
        bent = functional.interpolate(control, (size,) * 3, mode="trilinear", align_corners=True)
        where = where + bent[0].movedim(0, -1)
    return where


def _rotation(angles: np.ndarray) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _sampled(volume: Tensor, where: Tensor, mode: Literal["nearest", "bilinear"]) -> Tensor:
    """Sample (C, X, Y, Z) at voxel positions (..., 3); 0 beyond it. Labels come out as whole floats."""
    last = torch.tensor(volume.shape[1:], device=where.device, dtype=where.dtype) - 1
    # grid_sample names the last axis first.
    unit = (2 * where / last.clamp_min(1) - 1).flip(-1)
    return functional.grid_sample(
        volume[None].float(), unit[None], mode=mode, padding_mode="zeros", align_corners=True
    )[0]


def _painted(structures: Tensor, rng: np.random.Generator, noise: torch.Generator) -> Tensor:
    """Give a structure map a look: means, and a texture of two lengths."""
    mean, texture = (torch.from_numpy(table).to(structures.device) for table in draw_look(rng))
    index = structures.long()
    fine = _smooth_noise(structures.shape, 2, noise, structures.device)
    coarse = _smooth_noise(structures.shape, 7, noise, structures.device)
    return mean[index] + texture[index] * (0.7 * fine + 0.7 * coarse)


def _smooth_noise(shape: torch.Size, length: int, noise: torch.Generator, device: torch.device) -> Tensor:
    """Return noise of about unit variance that changes over ``length`` voxels."""
    few = [max(2, -(-n // length) + 1) for n in shape]
    knots = torch.randn(1, 1, *few, generator=noise, device=device)
    field = functional.interpolate(knots, tuple(shape), mode="trilinear", align_corners=True)[0, 0]
    return field * 1.8


def _scanned(
    image: Tensor, spacing_mm: float, how: Augmentation, rng: np.random.Generator, noise: torch.Generator
) -> Tensor:
    """Show tissues as some scanner would."""
    size = image.shape[0]
    if rng.random() < how.blobs:
        image = _with_blobs(image, rng)
    image = _blurred(image, float(rng.uniform(*how.blur_voxels)))
    if rng.random() < how.slices:
        few = max(4, round(size * spacing_mm / float(rng.uniform(*how.slice_mm))))
        axis = int(rng.choice(3, p=[0.1, 0.1, 0.8]))
        coarse = [size] * 3
        coarse[axis] = min(few, size)
        thick = functional.interpolate(image[None, None], tuple(coarse), mode="area")
        image = functional.interpolate(thick, (size,) * 3, mode="trilinear", align_corners=False)[0, 0]
    image = (image - AIR_HU) * float(np.exp(rng.normal(0, 1) * how.gain_sd)) + AIR_HU
    image = image + float(rng.normal(0, 1) * how.shift_sd_hu)
    bias = float(rng.uniform(*how.bias_hu))
    if bias > 0:
        image = image + bias * _smooth_noise(image.shape, size // 2, noise, image.device)
    if rng.random() < how.streaks:
        image = image + _streaks(size, rng, noise, image.device) * float(rng.uniform(*how.streak_hu))
    level = float(rng.uniform(*how.noise_hu)) * float(rng.uniform(0.2, 1))
    if level > 0:
        grain = torch.randn(image.shape, generator=noise, device=image.device)
        sigma = float(rng.uniform(*how.grain_voxels))
        grain = _blurred(grain, sigma)
        image = image + grain * (level / grain.std().clamp_min(1e-3))
    return image


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """Apply a Gaussian of ``sigma`` voxels, along one axis after another."""
    if sigma < 0.25:
        return image
    reach = int(np.ceil(2.5 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    for axis in range(3):
        sides = [0] * 6
        sides[4 - 2 * axis] = sides[5 - 2 * axis] = reach
        padded = functional.pad(image[None, None], sides, mode="replicate")[0, 0]
        length, blurred = image.shape[axis], torch.zeros_like(image)
        for k, weight in enumerate(weights.tolist()):
            blurred.add_(padded.narrow(axis, k, length), alpha=weight)
        image = blurred
    return image


def _with_blobs(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Put a few small dense things into the patch, as calcium, clips and leads are."""
    image = image.clone()
    size = image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        i, j, k = (int(v) for v in rng.integers(size // 5, size - size // 5, 3))
        long = [int(v) for v in rng.integers(1, 3, 3)]
        long[int(rng.integers(3))] += int(rng.integers(0, 8))
        block = image[i : i + long[0], j : j + long[1], k : k + long[2]]
        block[:] = torch.where(block > -500, float(rng.uniform(400, 3000)), block)
    return image


def _streaks(size: int, rng: np.random.Generator, noise: torch.Generator, device: torch.device) -> Tensor:
    """Return streaks of unit strength that fan out in axial slices from a line along S."""
    steps = torch.arange(size, device=device, dtype=torch.float32)
    x, y = (steps - float(v) for v in rng.uniform(0.3, 0.7, 2) * size)
    angle = torch.atan2(y[None, :], x[:, None])
    bins = 90
    pattern = torch.randn(bins, generator=noise, device=device)
    along = pattern[((angle / (2 * torch.pi) + 0.5) * bins).long() % bins]
    reach = torch.exp(-torch.hypot(x[:, None], y[None, :]) / float(rng.uniform(6, 25)))
    height = torch.exp(-(((steps - float(rng.uniform(0, size))) / float(rng.uniform(4, 20))) ** 2))
    return (along * reach)[:, :, None] * height


def _field_of_view(
    size: int, spacing_mm: float, how: Augmentation, rng: np.random.Generator, device: torch.device
) -> Tensor:
    """Return what a smaller field of view shows, (size, size, size): a box, or a cylinder along S."""
    width = rng.uniform(*how.field_mm, 3) / spacing_mm
    center = (size - 1) / 2 + rng.normal(0, 1, 3) * 12 / spacing_mm
    steps = torch.arange(size, device=device, dtype=torch.float32)
    x, y, z = ((steps - float(c)).abs() / float(w / 2) for c, w in zip(center, width, strict=True))
    if rng.random() < 0.3:
        across = torch.hypot(x[:, None, None], y[None, :, None]) <= 1
    else:
        across = (x[:, None, None] <= 1) & (y[None, :, None] <= 1)
    return across & (z[None, None, :] <= 1)
