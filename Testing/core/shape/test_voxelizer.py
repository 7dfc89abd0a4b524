import igl
import numpy as np
import pytest
import torch
import trimesh

from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.voxelizer import label_map, label_probabilities, region_occupancy
from FedSimCore.volumes import Grid
from Testing.core.shape.heart_like import heart_like_mesh


def single(surface: trimesh.Trimesh, label: int = 1) -> tuple[torch.Tensor, Topology]:
    topology = Topology(np.asarray(surface.faces), np.full(len(surface.faces), label, dtype=np.uint8))
    return torch.tensor(np.asarray(surface.vertices)), topology


def box(low, high) -> trimesh.Trimesh:
    return trimesh.creation.box(bounds=np.array([low, high], dtype=float))


def index_grid(*shape: int) -> Grid:
    return Grid((shape[0], shape[1], shape[2]), np.eye(4))


def oblique_grid(mirrored: bool) -> Grid:
    rng = np.random.default_rng(5)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation[:, 0] *= np.sign(np.linalg.det(rotation)) * (-1 if mirrored else 1)
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([2.0, 1.1, 3.3])
    shape = (90, 120, 60)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def winding_inside(mesh: HeartMesh, label: int, grid: Grid) -> np.ndarray:
    centers = grid.to_world(np.stack(np.indices(grid.shape), -1).reshape(-1, 3))
    vertices, faces = mesh.surface(label)
    return np.asarray(igl.fast_winding_number(vertices, faces, centers)).reshape(grid.shape) > 0.5


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_region_has_dice_above_0_9999_with_libigls_winding_number(dtype):
    mesh, grid = heart_like_mesh(), Grid.centered(96, 1.7)
    occupancy = region_occupancy(torch.tensor(mesh.vertices, dtype=dtype), mesh.topology, grid)
    assert occupancy.dtype == dtype
    for index, label in enumerate(mesh.topology.labels):
        assert dice(occupancy[0, index].numpy() > 0, winding_inside(mesh, label, grid)) >= 0.9999


@pytest.mark.parametrize("mirrored", [False, True])
def test_oblique_and_mirrored_anisotropic_grids_agree_with_the_winding_number(mirrored):
    mesh, grid = heart_like_mesh(), oblique_grid(mirrored)
    occupancy = region_occupancy(torch.tensor(mesh.vertices), mesh.topology, grid)
    for index in (0, 3):
        truth = winding_inside(mesh, mesh.topology.labels[index], grid)
        assert truth.sum() > 1000
        assert dice(occupancy[0, index].numpy() > 0, truth) >= 0.9999


def test_a_box_with_faces_on_voxel_centres_owns_the_low_side_and_not_the_high_one():
    vertices, topology = single(box((2, 3, 4), (7, 9, 11)))
    occupancy = region_occupancy(vertices, topology, index_grid(12, 13, 14))[0, 0]
    expected = torch.zeros_like(occupancy)
    expected[2:7, 3:9, 4:11] = 1
    assert torch.equal(occupancy, expected)


@pytest.mark.parametrize("seed", range(5))
def test_vertices_on_voxel_centres_never_leak_along_a_ray(seed):
    # Convex hulls of integer points: vertices, edges and faces all lie on rays.
    points = np.random.default_rng(seed).integers(0, 12, size=(40, 3))
    vertices, topology = single(trimesh.convex.convex_hull(points))
    grid = index_grid(20, 20, 20)
    occupancy = region_occupancy(vertices, topology, grid)[0, 0].numpy() > 0
    centers = np.stack(np.indices(grid.shape), -1).reshape(-1, 3).astype(float)
    distance = igl.signed_distance(centers, vertices.numpy(), topology.faces)[0].reshape(grid.shape)
    on_surface = np.abs(distance) < 1e-9
    assert on_surface.sum() > 20
    np.testing.assert_array_equal(occupancy[~on_surface], distance[~on_surface] < 0)


def test_degenerate_triangles_change_nothing():
    surface = trimesh.creation.icosphere(subdivisions=2, radius=6.0)
    vertices, topology = single(surface)
    grid = Grid.centered(20, 1.0)
    # Split an edge at one of its ends: two slivers of no area keep the surface closed.
    a, b, c = topology.faces[0]
    extra = topology.vertex_count
    faces = np.vstack((topology.faces[1:], [[a, extra, c], [extra, b, c], [a, b, extra]]))
    degenerate = Topology(faces, np.ones(len(faces), dtype=np.uint8))
    moved = torch.vstack((vertices, vertices[a][None]))
    assert not degenerate.open_edges
    assert torch.equal(region_occupancy(moved, degenerate, grid), region_occupancy(vertices, topology, grid))


def test_a_mesh_partly_outside_the_grid_is_cut_at_its_border():
    mesh, grid = heart_like_mesh(), Grid.centered(96, 1.7)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world((30, 40, 25))
    vertices = torch.tensor(mesh.vertices)
    whole = label_map(vertices, mesh.topology, grid)
    part = label_map(vertices, mesh.topology, Grid((40, 30, 35), affine))
    assert torch.equal(part, whole[:, 30:70, 40:70, 25:60])
    assert part.any()


def test_a_mesh_outside_the_grid_leaves_it_empty():
    vertices, topology = single(trimesh.creation.icosphere(subdivisions=2, radius=5.0))
    for offset in ((40, 0, 0), (0, -40, 0), (0, 0, 40), (-1e6, 1e6, 1e6)):
        assert not label_map(vertices + torch.tensor(offset), topology, Grid.centered(16, 1.0)).any()


def test_the_volume_of_a_sphere_is_right_to_a_tenth_of_a_percent():
    surface = trimesh.creation.icosphere(subdivisions=5, radius=40.0)
    vertices, topology = single(surface)
    grid = Grid.centered(128, 0.8, (0.1, 0.2, 0.3))
    volume = float(region_occupancy(vertices, topology, grid).sum()) * grid.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 40**3, rel=1e-3)


def test_label_map_and_probabilities_agree_and_settle_overlaps_by_priority():
    mesh, grid = heart_like_mesh(), Grid.centered(80, 2.0)
    vertices = torch.tensor(mesh.vertices)
    occupancy = region_occupancy(vertices, mesh.topology, grid)
    labels = label_map(vertices, mesh.topology, grid)
    assert labels.dtype == torch.uint8
    assert (occupancy.sum(1) > 1).any()
    probabilities = label_probabilities(occupancy)
    for index, label in enumerate(mesh.topology.labels):
        assert torch.equal(probabilities[:, index], (labels == label).to(probabilities))
    # The myocardium's surface encloses the pool, which has priority: a shell remains.
    assert (labels[occupancy[:, 0] > 0] == 1).all()


def test_a_batch_gives_what_its_hearts_give_one_by_one():
    mesh, grid = heart_like_mesh(), Grid.centered(48, 3.3)
    first = torch.tensor(mesh.vertices)
    batch = torch.stack((first, first * 0.8 + 4, first.flip(1) * torch.tensor([1.0, 1.0, -1.0])))
    together = label_map(batch, mesh.topology, grid)
    occupancies = region_occupancy(batch, mesh.topology, grid)
    for index, vertices in enumerate(batch):
        assert torch.equal(together[index], label_map(vertices, mesh.topology, grid)[0])
        assert torch.equal(occupancies[index], region_occupancy(vertices, mesh.topology, grid)[0])


def test_an_open_surface_is_refused_with_its_label():
    vertices, topology = single(box((1, 1, 1), (5, 5, 5)), label=4)
    holed = Topology(topology.faces[1:], topology.face_region[1:])
    with pytest.raises(InputError, match=r"not closed.*\{4: 3\}"):
        label_map(vertices, holed, index_grid(8, 8, 8))


def test_vertices_that_do_not_fit_are_refused():
    vertices, topology = single(box((1, 1, 1), (5, 5, 5)))
    with pytest.raises(InputError, match="floating point"):
        label_map(vertices[1:], topology, index_grid(8, 8, 8))
    with pytest.raises(InputError, match="not finite"):
        label_map(vertices * torch.nan, topology, index_grid(8, 8, 8))
    with pytest.raises(InputError, match="labels"):
        label_map(*single(box((1, 1, 1), (5, 5, 5)), label=9), index_grid(8, 8, 8))
