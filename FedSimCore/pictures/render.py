"""A heart as a shaded picture, by a z-buffer in software: no OpenGL, no display, only torch.

The rays are the voxelizer's: one through every pixel, crossed with every triangle. Shading is Blinn-Phong with
interpolated normals, and darkens what lies behind its surroundings by the blurred depth buffer (Luft, Colditz
and Deussen 2006, "Image enhancement by unsharp masking the depth buffer").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.pictures.views import View, view
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.scanline import ray_hits
from FedSimCore.shape.surfaces import vertex_normals

RGBA = NDArray[np.uint8]
_MARGIN = 0.06
# Lights in camera coordinates (right, up, toward the viewer) with their strengths: key from the upper left, fill, rim.
_LIGHTS = (((-0.45, 0.6, 0.66), 0.72), ((0.75, 0.1, 0.6), 0.22), ((0.1, -0.9, 0.3), 0.10))
_AMBIENT = 0.26
_SPECULAR, _SHININESS = 0.20, 28.0
_OCCLUSION, _OCCLUSION_RADIUS = 0.55, 0.035


@dataclass(frozen=True)
class _Camera:
    """Picture plane: millimetres per pixel, and the world point in the middle of the picture."""

    view: View
    mm_per_pixel: float
    center: NDArray[np.float64]
    width: int
    height: int

    def project(self, vertices: NDArray[np.float64]) -> Tensor:
        """Take RAS mm (V, 3) to (depth, row, column), all in pixels; depth grows away from the viewer."""
        local = (vertices - self.center) / self.mm_per_pixel
        depth = -(local @ self.view.toward)
        row = (self.height - 1) / 2 - local @ self.view.up
        column = (self.width - 1) / 2 + local @ self.view.right
        return torch.from_numpy(np.stack((depth, row, column), -1)).float()


def render(
    mesh: HeartMesh,
    view_name: str = "anterior",
    size: tuple[int, int] = (640, 640),
    *,
    labels: Sequence[int] | None = None,
    colors: Mapping[int, tuple[int, int, int]] | None = None,
    background: tuple[int, int, int] | None = None,
    field_mm: float | None = None,
    center_mm: Sequence[float] | None = None,
    supersampling: int = 3,
) -> RGBA:
    """Draw a heart by region.

    Args:
        mesh: the heart, RAS mm.
        view_name: a name of ``pictures.views.VIEWS``.
        size: width and height in pixels.
        labels: regions to draw; all if None.
        colors: RGB by label, instead of the anatomy's own.
        background: RGB; transparent if None.
        field_mm: world width of the picture's shorter side; fits the heart if None. Give the same to several
            hearts to compare their sizes.
        center_mm: RAS point in the middle of the picture; the heart's middle if None.
        supersampling: rays per pixel along each side, against jagged edges.

    Returns:
        (height, width, 4) uint8, straight alpha.

    Raises:
        InputError: there is no such view, or nothing to draw.
    """
    drawn = [label for label in mesh.topology.labels if labels is None or label in labels]
    if not drawn:
        raise InputError(f"The mesh has none of the regions {list(labels or [])}; it has {mesh.topology.labels}.")
    camera = _camera(mesh, drawn, view(view_name), size, field_mm, center_mm, supersampling)
    palette = {region.label: region.color for region in anatomy.regions()} | dict(colors or {})
    depth = torch.full((camera.height * camera.width,), torch.inf)
    normal = torch.zeros((camera.height * camera.width, 3))
    albedo = torch.zeros((camera.height * camera.width, 3))
    for label in drawn:
        _draw(mesh.surface(label), palette.get(label, (160, 160, 160)), camera, depth, normal, albedo)
    shape = (camera.height, camera.width)
    covered = depth.isfinite().view(shape)
    shaded = _shade(depth.view(shape), normal.view(*shape, 3), albedo.view(*shape, 3), covered)
    return _resolve(shaded, covered.float(), supersampling, background)


def _camera(
    mesh: HeartMesh,
    drawn: Sequence[int],
    looking: View,
    size: tuple[int, int],
    field_mm: float | None,
    center_mm: Sequence[float] | None,
    supersampling: int,
) -> _Camera:
    vertices = mesh.vertices[np.isin(mesh.topology.vertex_region, drawn)]
    axes = np.stack((looking.right, looking.up, looking.toward))
    low, high = (vertices @ axes.T).min(0), (vertices @ axes.T).max(0)
    center = axes.T @ ((low + high) / 2) if center_mm is None else np.asarray(center_mm, dtype=float)
    width, height = size
    if field_mm is None:
        mm_per_pixel = max((high[0] - low[0]) / width, (high[1] - low[1]) / height) * (1 + 2 * _MARGIN)
    else:
        mm_per_pixel = field_mm / min(width, height)
    return _Camera(looking, mm_per_pixel / supersampling, center, width * supersampling, height * supersampling)


def _draw(
    surface: tuple[NDArray[np.float64], NDArray[np.int64]],
    color: tuple[int, int, int],
    camera: _Camera,
    depth: Tensor,
    normal: Tensor,
    albedo: Tensor,
) -> None:
    """Draw one surface into the buffers, in place."""
    vertices, faces = surface
    points = camera.project(vertices)
    axes = np.stack((camera.view.right, camera.view.up, camera.view.toward))
    normals = torch.from_numpy(vertex_normals(vertices, faces) @ axes.T).float()
    hits = ray_hits(points[None], torch.from_numpy(faces), (camera.height, camera.width), 0, with_weights=True)
    assert hits.corners is not None
    assert hits.weights is not None
    pixel = hits.row * camera.width + hits.column
    depth.scatter_reduce_(0, pixel, hits.depth, "amin")
    nearest = hits.depth == depth[pixel]
    seen = pixel[nearest]
    normal[seen] = (normals[hits.corners[nearest]] * hits.weights[nearest][..., None]).sum(1)
    albedo[seen] = (torch.tensor(color) / 255) ** 2.2


def _shade(depth: Tensor, normal: Tensor, albedo: Tensor, covered: Tensor) -> Tensor:
    """Return linear RGB (height, width, 3)."""
    unit = torch.nn.functional.normalize(normal, dim=-1)
    diffuse, specular = torch.full_like(depth, _AMBIENT), torch.zeros_like(depth)
    for direction, strength in _LIGHTS:
        light = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
        halfway = torch.nn.functional.normalize(light + torch.tensor((0.0, 0.0, 1.0)), dim=0)
        diffuse = diffuse + strength * (unit @ light).clamp_min(0)
        specular = specular + strength * _SPECULAR * (unit @ halfway).clamp_min(0) ** _SHININESS
    visible = _visibility(depth, covered)
    return (albedo * (diffuse * visible)[..., None] + (specular * visible)[..., None]) * covered[..., None]


def _visibility(depth: Tensor, covered: Tensor) -> Tensor:
    """Share of light (height, width) that reaches a pixel: less where it lies deeper than what surrounds it."""
    sigma = _OCCLUSION_RADIUS * min(depth.shape)
    known = torch.where(covered, depth, 0.0)
    around = _blur(known, sigma) / _blur(covered.float(), sigma).clamp_min(1e-4)
    behind = ((known - around) / (2 * sigma)).clamp(0, 1)
    return 1 - _OCCLUSION * behind


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a smooth effect: computed on a coarser picture, which is much faster."""
    step = max(1, int(sigma / 4))
    coarse = torch.nn.functional.avg_pool2d(image[None, None], step, ceil_mode=True, count_include_pad=False)[0, 0]
    blurred = torch.from_numpy(gaussian_filter(coarse.numpy(), sigma / step, mode="constant"))
    fine = torch.nn.functional.interpolate(blurred[None, None], scale_factor=step, mode="bilinear")[0, 0]
    return fine[: image.shape[0], : image.shape[1]]


def _resolve(shaded: Tensor, covered: Tensor, supersampling: int, background: tuple[int, int, int] | None) -> RGBA:
    """Average the rays of each pixel in linear light, and turn to sRGB with straight alpha."""
    stack = torch.cat((shaded, covered[..., None]), -1).permute(2, 0, 1)[None]
    red_green_blue, alpha = torch.nn.functional.avg_pool2d(stack, supersampling)[0].split((3, 1))
    if background is None:
        color = red_green_blue / alpha.clamp_min(1e-6)
    else:
        behind = (torch.tensor(background) / 255) ** 2.2
        color = red_green_blue + (1 - alpha) * behind[:, None, None]
        alpha = torch.ones_like(alpha)
    encoded = torch.cat((color.clamp(0, 1) ** (1 / 2.2), alpha.clamp(0, 1)))
    result: RGBA = (encoded * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return result
