"""The template: seven closed surfaces with evenly spread triangles, made from a cohort's most typical heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from FedSimCore.anatomy import labels as region_labels
from FedSimCore.errors import InputError
from FedSimCore.shape.labelled_heart import LabelledHeart
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.procrustes import Similarity, align
from FedSimCore.shape.surfaces import (
    Surface,
    closed_surface,
    from_polydata,
    outward,
    solid,
    surface_area,
    to_polydata,
    vertex_normals,
)
from FedSimCore.volumes import Grid

Array = NDArray[np.float64]
FACE_COUNT = 8600
FEWEST_FACES = 160
"""Faces that even the smallest region gets."""
_CLIP_MM = 25.0
_EDGE_STRENGTH = 0.15
"""Share of the strongest normal from which a second one makes an edge: a bend of about 45 degrees."""
_BLUR_VOXELS = (1.0, 1.5, 2.0, 3.0, 4.0)


def align_cases(hearts: Sequence[LabelledHeart], rounds: int = 3) -> list[Similarity]:
    """Place all cases roughly in one frame by their regions' centres and their sizes.

    Returns:
        For each case the similarity that takes the common frame to its world. The frame has the middle size
        (geometric mean) and the orientation of the cases' mean; its origin is the centre of the heart.
    """
    centroids = np.stack([[heart.centroids_mm[label] for label in region_labels()] for heart in hearts])
    volumes = np.stack([[heart.volumes_mm3[label] for label in region_labels()] for heart in hearts])
    sizes = np.cbrt(volumes.sum(1))
    scales: Array = sizes / np.exp(np.log(sizes).mean())
    weights = (volumes / volumes.sum(1, keepdims=True)).mean(0)
    mean = np.mean([(c - weights @ c) / s for c, s in zip(centroids, scales, strict=True)], axis=0)
    for _ in range(rounds):
        maps = [align(c, mean, weights, 1 / s) for c, s in zip(centroids, scales, strict=True)]
        mean = np.mean([map_(c) for map_, c in zip(maps, centroids, strict=True)], axis=0)
    return [map_.inverse() for map_ in maps]


def registration_grid(hearts: Sequence[LabelledHeart], poses: Sequence[Similarity], spacing_mm: float) -> Grid:
    """Return a grid in the common frame that holds all cases with a margin."""
    corners = []
    for heart, pose in zip(hearts, poses, strict=True):
        size = np.array(heart.labels.grid.shape) - 1
        box = np.stack(np.meshgrid(*[(0, n) for n in size], indexing="ij"), -1).reshape(-1, 3)
        corners.append(pose.inverse()(heart.labels.grid.to_world(box)))
    low, high = np.concatenate(corners).min(0), np.concatenate(corners).max(0)
    shape = np.ceil((high - low + 2 * 12.0) / spacing_mm).astype(int)
    # Whole numbers of the coarsest level's voxels.
    return Grid.centered(tuple((shape + 3) // 4 * 4), spacing_mm, (low + high) / 2)


def distance_maps(heart: LabelledHeart, pose: Similarity, grid: Grid) -> dict[int, NDArray[np.float32]]:
    """Return for every region the signed distance (mm, negative inside) to its surface, in the common frame."""
    to_index = np.linalg.inv(heart.labels.grid.affine) @ pose.matrix() @ grid.affine
    sampled = ndimage.affine_transform(
        heart.labels.array, to_index[:3, :3], to_index[:3, 3], output_shape=grid.shape, order=0
    )
    return {label: _signed_distance(solid(sampled, label), grid) for label in region_labels()}


def by_typicality(hearts: Sequence[LabelledHeart], poses: Sequence[Similarity], grid: Grid) -> list[int]:
    """Return the hearts' indices, first that whose regions' distance maps are nearest to the mean of all.

    The mean itself is no template: what is thin and lies elsewhere in every heart, such as an appendage or the
    sharp rim of the right ventricle, is not in it.
    """
    mean = {label: np.zeros(grid.shape, dtype=np.float32) for label in region_labels()}
    for heart, pose in zip(hearts, poses, strict=True):
        for label, distance in distance_maps(heart, pose, grid).items():
            mean[label] += distance / len(hearts)
    off = [
        sum(float(np.abs(d - mean[label]).mean()) for label, d in distance_maps(heart, pose, grid).items())
        for heart, pose in zip(hearts, poses, strict=True)
    ]
    return [int(index) for index in np.argsort(off)]


def _signed_distance(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(mask.T).astype(np.uint8))
    image.SetSpacing([float(s) for s in grid.spacing_mm])
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.clip(sitk.GetArrayFromImage(distance).T, -_CLIP_MM, _CLIP_MM)


def first_template(
    hearts: Sequence[LabelledHeart], poses: Sequence[Similarity], grid: Grid, face_count: int = FACE_COUNT
) -> HeartMesh:
    """Return the template of the most typical heart whose surfaces can all be made of one piece without tunnels.

    Raises:
        InputError: there is no such heart; the message is about the most typical one.
    """
    refused: InputError | None = None
    for index in by_typicality(hearts, poses, grid):
        try:
            return template_of(hearts[index], poses[index], face_count)
        except InputError as error:  # noqa: PERF203 (seldom more than one round)
            refused = refused or error
    assert refused is not None  # there is at least one heart
    raise refused


def template_of(heart: LabelledHeart, pose: Similarity, face_count: int = FACE_COUNT) -> HeartMesh:
    """Make a heart's surfaces a template in the common frame, with faces shared out over the regions by area.

    Raises:
        InputError: a region's surface has tunnels that no smoothing closes.
    """
    to_frame = pose.inverse()
    surfaces = {}
    for label in region_labels():
        vertices, faces = _simply_connected_surface(heart, label)
        surfaces[label] = (to_frame(vertices), faces)
    areas = {label: surface_area(*surface) for label, surface in surfaces.items()}
    total = sum(areas.values())
    return join(
        {
            label: evenly_triangulated(surface, max(FEWEST_FACES, round(face_count * areas[label] / total)))
            for label, surface in surfaces.items()
        }
    )


def _simply_connected_surface(heart: LabelledHeart, label: int) -> Surface:
    """Return a region's surface, smoothed no more than it takes to be one piece without tunnels."""
    grid = heart.labels.grid
    mask = ndimage.binary_fill_holes(heart.solid(label))
    for voxels in _BLUR_VOXELS:
        vertices, faces = closed_surface(mask, grid, voxels * float(grid.spacing_mm.max()))
        if len(faces) == 2 * len(vertices) - 4:  # Euler's formula for a sphere
            return vertices, faces
    raise InputError(
        f"{heart.name}: the surface of the region with label {label} is not of one piece without tunnels; "
        "check its label map for tunnels and holes."
    )


def join(surfaces: Mapping[int, Surface]) -> HeartMesh:
    """Put the regions' surfaces into one array of vertices, in ascending order of label."""
    vertices, faces, face_region, start = [], [], [], 0
    for label in sorted(surfaces):
        region_vertices, region_faces = surfaces[label]
        vertices.append(region_vertices)
        faces.append(region_faces + start)
        face_region.append(np.full(len(region_faces), label, dtype=np.uint8))
        start += len(region_vertices)
    return HeartMesh(np.concatenate(vertices), Topology(np.concatenate(faces), np.concatenate(face_region)))


def evenly_triangulated(surface: Surface, face_count: int) -> Surface:
    """Return a closed surface with about ``face_count`` triangles of similar size and shape.

    Quadric decimation first (Garland and Heckbert 1997), then vertices slide along the surface towards
    the middle of their neighbourhood.

    Raises:
        InputError: no closed 2-manifold of this size could be made.
    """
    import trimesh

    # A decimation may pinch the surface; another target ends in other collapses.
    for attempt in range(8):
        vertices, faces = _decimated(surface, face_count * (1 + 0.02 * attempt))
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        if mesh.is_watertight and mesh.is_winding_consistent and len(faces) == 2 * len(vertices) - 4:
            return slide_evenly(vertices, faces, surface), faces
    raise InputError(
        f"The surface of a region cannot be made a closed mesh of {face_count} triangles; "
        "check the label maps for tunnels and holes."
    )


def _decimated(surface: Surface, face_count: float) -> Surface:
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    vertices, faces = surface
    decimation = vtkQuadricDecimation()
    decimation.SetInputData(to_polydata(vertices, faces))
    decimation.SetTargetReduction(max(0.0, 1 - face_count / len(faces)))
    decimation.VolumePreservationOn()
    decimation.Update()
    vertices, faces = from_polydata(decimation.GetOutput())
    used, compact = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], compact.reshape(-1, 3)
    return vertices, outward(vertices, faces)


def slide_evenly(vertices: Array, faces: NDArray[np.int64], onto: Surface, iterations: int = 20) -> Array:
    """Move vertices along a surface until its triangles are about equally large, keeping its sharp edges.

    Args:
        vertices: (v, 3) mm, near the surface.
        faces: (f, 3).
        onto: dense surface to stay on.
        iterations: each goes 0.7 of the way to the area-weighted centre of the faces round a vertex, as far as
            that way lies along the surface and, on a sharp edge, along the edge.
    """
    tree, normals = cKDTree(onto[0]), vertex_normals(*onto)
    corner, face = faces.T.ravel(), np.tile(np.arange(len(faces)), 3)
    for _ in range(iterations):
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal, axis=1)
        around = sparse.coo_matrix((np.tile(area, 3), (corner, face)), (len(vertices), len(faces))).tocsr()
        way = around @ ((a + b + c) / 3) / np.asarray(around.sum(1)) - vertices
        moved = vertices + 0.7 * _along_features(way, faces, normal)
        _, nearest = tree.query(moved)
        height = np.einsum("nd,nd->n", moved - onto[0][nearest], normals[nearest])
        vertices = moved - height[:, None] * normals[nearest]
    return vertices


def _along_features(way: Array, faces: NDArray[np.int64], face_normal: Array) -> Array:
    """Take off the part of each vertex's way (v, 3) that leaves the surface or, on an edge, the edge.

    The eigenvectors of the sum of a vertex's normal tensors tell a flat place (one large eigenvalue) from an
    edge (two) and a corner (three); Jiao, "Volume and feature preservation in surface mesh optimization",
    International Meshing Roundtable 2006.
    """
    length = np.linalg.norm(face_normal, axis=1)
    tensor = np.einsum("fi,fj->fij", face_normal, face_normal) / np.maximum(length, 1e-12)[:, None, None]
    at_vertex = np.zeros((len(way), 3, 3))
    np.add.at(at_vertex, faces, tensor[:, None])
    strength, direction = np.linalg.eigh(at_vertex)
    free = strength < _EDGE_STRENGTH * strength[:, -1:]
    component = np.einsum("vi,vik->vk", way, direction) * free
    return np.einsum("vk,vik->vi", component, direction)
