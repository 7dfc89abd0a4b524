import numpy as np
import pytest
import torch
import trimesh

from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.parameter_gradient import finite_difference_gradient, voxelize_parameters
from FedSimCore.shape.voxelizer import label_probabilities, region_occupancy, region_probabilities
from FedSimCore.volumes import Grid
from Testing.core.shape.heart_like import heart_like_mesh

MODES = 21


def smooth_modes(mesh: HeartMesh) -> torch.Tensor:
    """Displacement fields (21, V, 3) of about 1 mm, as smooth as shape modes are."""
    rng = np.random.default_rng(0)
    modes = []
    for _ in range(MODES):
        phase = np.sin(mesh.vertices @ (rng.normal(size=(3, 3)) * 0.03).T + rng.uniform(0, 2 * np.pi, 3))
        direction = rng.normal(size=3)
        modes.append(2 * direction / np.linalg.norm(direction) * phase.mean(1, keepdims=True))
    return torch.tensor(np.stack(modes))


def smooth_field(points: np.ndarray, region: int) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    return 1 + np.sin(0.08 * x + 0.3 + region) * np.cos(0.06 * y - 0.2) + 0.7 * np.sin(0.05 * z + 1)


def quadrature_gradient(mesh: HeartMesh, modes: np.ndarray, subdivision: int = 6) -> np.ndarray:
    """Integral of field * (mode . n) over all surfaces, by midpoints of subdivided triangles (MODES,)."""
    corners = mesh.vertices[mesh.topology.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    thirds = [(i + 1 / 3, j + 1 / 3) for i in range(subdivision) for j in range(subdivision - i)]
    thirds += [(i + 2 / 3, j + 2 / 3) for i in range(subdivision) for j in range(subdivision - i - 1)]
    total = np.zeros(len(modes))
    for s, t in np.array(thirds) / subdivision:
        weights = np.array([1 - s - t, s, t])
        points = np.einsum("c,fcx->fx", weights, corners)
        field = np.choose(
            np.searchsorted(mesh.topology.labels, mesh.topology.face_region),
            [smooth_field(points, region) for region in range(len(mesh.topology.labels))],
        )
        moved = np.einsum("c,mfcx->mfx", weights, modes[:, mesh.topology.faces])
        total += np.einsum("f,fx,mfx->m", field, area, moved) / len(thirds)
    return total


def ball_topology(surface: trimesh.Trimesh) -> Topology:
    return Topology(np.asarray(surface.faces), np.ones(len(surface.faces), dtype=np.uint8))


def oblique_grid() -> Grid:
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.0, 1.25, 1.6])
    shape = (192, 144, 120)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


@pytest.mark.parametrize("grid", [Grid.centered(128, 1.25), oblique_grid()], ids=["working grid", "oblique grid"])
def test_the_boundary_gradient_is_within_half_a_percent_of_analytic_quadrature(grid):
    mesh = heart_like_mesh()
    modes = smooth_modes(mesh)
    centers = grid.to_world(np.stack(np.indices(grid.shape), -1))
    field = torch.tensor(np.stack([smooth_field(centers, region) for region in range(7)]))[None]
    vertices = torch.tensor(mesh.vertices, requires_grad=True)
    (region_occupancy(vertices, mesh.topology, grid) * field).sum().mul(grid.voxel_volume_mm3).backward()
    measured = torch.einsum("mvx,vx->m", modes, vertices.grad).numpy()
    truth = quadrature_gradient(mesh, modes.numpy())
    assert np.linalg.norm(measured - truth) / np.linalg.norm(truth) < 0.005


def test_the_gradient_of_a_spheres_volume_is_its_area_along_the_radius():
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=20.0)
    mesh = HeartMesh(np.asarray(sphere.vertices), ball_topology(sphere))
    vertices = torch.tensor(mesh.vertices, requires_grad=True)
    grid = Grid.centered(64, 0.9)
    region_occupancy(vertices, mesh.topology, grid).sum().mul(grid.voxel_volume_mm3).backward()
    outward = torch.tensor(mesh.vertices / 20.0)
    along = float((vertices.grad * outward).sum())
    assert along == pytest.approx(4 * np.pi * 20**2, rel=5e-3)
    across = vertices.grad - (vertices.grad * outward).sum(1, keepdim=True) * outward
    assert float(across.norm()) < 0.05 * float(vertices.grad.norm())


def test_a_surface_beyond_the_grid_has_no_gradient():
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=20.0)
    vertices = torch.tensor(np.asarray(sphere.vertices), requires_grad=True)
    region_occupancy(vertices, ball_topology(sphere), Grid.centered(8, 1.0)).sum().backward()
    assert float(vertices.grad.abs().max()) == 0


def test_the_myocardiums_loss_reaches_the_pools_surface_through_the_priorities():
    heart, grid = heart_like_mesh(), Grid.centered(96, 1.25, (-25, 5, -15))
    left = heart.topology.face_region <= 2
    topology = Topology(heart.topology.faces[left], heart.topology.face_region[left])
    mesh = HeartMesh(heart.vertices[: topology.vertex_count], topology)
    vertices = torch.tensor(mesh.vertices, requires_grad=True)
    occupancy = region_occupancy(vertices, topology, grid)
    wall = label_probabilities(occupancy, topology.labels)[:, 1]
    wall.sum().mul(grid.voxel_volume_mm3).backward()
    # A larger pool leaves less wall: the wall's volume falls by the area that the pool's surface sweeps.
    outward = torch.tensor(mesh.trimesh(1).vertex_normals)
    growing = (vertices.grad[topology.vertex_region == 1] * outward).sum()
    assert float(growing) == pytest.approx(-mesh.trimesh(1).area, rel=0.01)


def test_finite_differences_and_the_boundary_integral_agree_on_a_smooth_loss():
    mesh, grid = heart_like_mesh(), Grid.centered(128, 1.25)
    modes = smooth_modes(mesh)[:5]
    base = torch.tensor(mesh.vertices)
    centers = grid.to_world(np.stack(np.indices(grid.shape), -1))
    field = torch.tensor(np.stack([smooth_field(centers, region) for region in range(7)]))[None]

    def gradient(method, steps=None):
        parameters = torch.zeros((1, 5), dtype=torch.float64, requires_grad=True)
        found = voxelize_parameters(
            parameters, lambda p: base + torch.einsum("bm,mvx->bvx", p, modes), mesh.topology, grid, method, steps
        )
        (found * field).sum().backward()
        return found.detach(), parameters.grad

    labels, boundary = gradient("boundary")
    same_labels, differences = gradient("finite-differences", [0.5] * 5)
    assert torch.equal(labels, same_labels)
    assert float((boundary - differences).norm() / boundary.norm()) < 0.05


def test_central_differences_are_exact_for_a_quadratic():
    parameters = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    found = finite_difference_gradient(lambda p: (p**2).sum(1) + p.prod(1), parameters, [0.1, 0.3])
    torch.testing.assert_close(found, 2 * parameters + parameters.flip(1))


def test_wrong_gradients_and_steps_are_refused():
    mesh, grid = heart_like_mesh(), Grid.centered(8, 20.0)
    parameters = torch.zeros((1, 2), dtype=torch.float64)
    vertices = torch.tensor(mesh.vertices)[None]

    def voxelize(gradient, steps=None):
        return voxelize_parameters(parameters, lambda _: vertices, mesh.topology, grid, gradient, steps)

    with pytest.raises(InputError, match="no gradient 'adjoint'"):
        voxelize("adjoint")
    with pytest.raises(InputError, match="need 2 steps"):
        voxelize("finite-differences")
    with pytest.raises(InputError, match="2 positive numbers"):
        voxelize("finite-differences", [0.5, 0.0])


def test_region_probabilities_are_the_composition_of_occupancies_in_values_and_gradient():
    mesh, grid = heart_like_mesh(), Grid.centered(48, 3.2)
    weight = torch.tensor(np.random.default_rng(2).normal(size=(2, 7, *grid.shape)))
    hearts = torch.tensor(np.stack((mesh.vertices, 0.9 * mesh.vertices + 3)))

    def value_and_gradient(voxelize):
        vertices = hearts.clone().requires_grad_()
        found = voxelize(vertices)
        (found * weight).sum().backward()
        return found.detach(), vertices.grad

    fused = value_and_gradient(lambda v: region_probabilities(v, mesh.topology, grid))
    composed = value_and_gradient(lambda v: label_probabilities(region_occupancy(v, mesh.topology, grid)))
    assert torch.equal(fused[0], composed[0])
    torch.testing.assert_close(fused[1], composed[1], rtol=1e-10, atol=1e-10)
