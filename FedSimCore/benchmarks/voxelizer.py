"""The voxelizer beside its peers: ``fedsim bench voxelizer``.

Peers: VTK's polydata-to-stencil (what 3D Slicer itself uses to make labels of models), libigl's winding number
as truth, and central finite differences over 21 parameters, the gradient of Li et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore import anatomy
from FedSimCore.benchmarks.harness import Contender, Goal, Report, cuda_peak_mib, race
from FedSimCore.benchmarks.voxelizer_peers import vtk_stencil, winding_inside, winding_labels
from FedSimCore.progress import Progress, silent
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.parameter_gradient import voxelize_parameters
from FedSimCore.shape.voxelizer import label_map, region_occupancy
from FedSimCore.volumes.grid import Grid

PARAMETER_COUNT = 21
_STEPS = [0.5] * PARAMETER_COUNT
PACKAGES = ("torch", "numpy", "vtk", "libigl")


def bench_voxelizer(mesh: HeartMesh, size: int, device: str, rounds: int, progress: Progress = silent) -> Report:
    """Measure label maps, gradients and their accuracy for one heart on a cube of voxels.

    Args:
        mesh: seven closed regions.
        size: voxels along each edge; the cube is 160 mm wide, round the heart's middle.
        device: where our voxelizer runs; the peers run on the CPU.
        rounds: calls of each contender.
        progress: told of steps.

    Raises:
        MissingDependencyError: libigl is not installed.
    """
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    grid = Grid.centered(size, 160.0 / size, middle)
    modes = smooth_modes(mesh)
    setting = {
        "voxels": f"{size}^3 at {160.0 / size:g} mm",
        "vertices": mesh.topology.vertex_count,
        "faces": len(mesh.topology.faces),
        "regions": len(mesh.topology.labels),
        "device of FedSim": device,
        "dtype": "float32",
        "gradient": f"{PARAMETER_COUNT} smooth displacement fields of about 1 mm, steps of 0.5",
    }
    report = Report("Voxelizer: from surfaces to a seven-region label map, and its gradient", setting)
    _race_label_maps(report, mesh, grid, device, rounds, progress)
    _race_gradients(report, mesh, modes, grid, device, rounds, progress)
    _check_inside(report, mesh, grid, progress)
    _check_gradient(report, mesh, modes, grid)
    return report


def smooth_modes(mesh: HeartMesh) -> Tensor:
    """Return displacement fields (21, V, 3), float32 mm, as smooth as shape modes are, always the same."""
    rng = np.random.default_rng(0)
    modes = []
    for _ in range(PARAMETER_COUNT):
        wave = np.sin(mesh.vertices @ (rng.normal(size=(3, 3)) * 0.03).T + rng.uniform(0, 2 * np.pi, 3))
        direction = rng.normal(size=3)
        modes.append(2 * direction / np.linalg.norm(direction) * wave.mean(1, keepdims=True))
    return torch.tensor(np.stack(modes), dtype=torch.float32)


def _race_label_maps(report: Report, mesh: HeartMesh, grid: Grid, device: str, rounds: int, progress: Progress) -> None:
    vertices = torch.tensor(mesh.vertices, dtype=torch.float32, device=device)

    def ours() -> Callable[[], object]:
        return lambda: label_map(vertices, mesh.topology, grid)

    def occupancies() -> Callable[[], object]:
        return lambda: region_occupancy(vertices, mesh.topology, grid, gradient=None)

    contenders = [
        _on_device("FedSim label map", ours, device, rounds),
        _on_device("FedSim seven occupancies", occupancies, device, rounds),
        Contender("VTK stencil, cropped", lambda: vtk_stencil(mesh, grid, cropped=True), rounds),
        Contender("VTK stencil", lambda: vtk_stencil(mesh, grid, cropped=False), rounds),
        Contender("libigl fast winding number", lambda: lambda: winding_labels(mesh, grid), min(2, rounds)),
    ]
    timings = race(contenders, progress, "label maps")
    report.timings["Seven-region label map"] = timings
    ours_s = timings["FedSim label map"].min_s
    for name in ("VTK stencil", "VTK stencil, cropped"):
        report.goals.append(Goal(f"label map, speed over {name}", timings[name].min_s / ours_s, 3.0))


def _race_gradients(
    report: Report, mesh: HeartMesh, modes: Tensor, grid: Grid, device: str, rounds: int, progress: Progress
) -> None:
    base = torch.tensor(mesh.vertices, dtype=torch.float32, device=device)
    modes = modes.to(device)
    weight = torch.tensor(_fields(mesh, grid), dtype=torch.float32, device=device)[None]

    def vertices_of(parameters: Tensor) -> Tensor:
        return base + torch.einsum("bm,mvx->bvx", parameters, modes)

    def whole(gradient: Any) -> Callable[[], Callable[[], object]]:
        def call() -> Tensor:
            parameters = torch.zeros((1, PARAMETER_COUNT), device=device, requires_grad=True)
            found = voxelize_parameters(parameters, vertices_of, mesh.topology, grid, gradient, _STEPS)
            return torch.autograd.grad(found, parameters, weight)[0]

        return lambda: call

    def backward_alone() -> Callable[[], object]:
        parameters = torch.zeros((1, PARAMETER_COUNT), device=device, requires_grad=True)
        occupancy = region_occupancy(vertices_of(parameters), mesh.topology, grid)
        return lambda: torch.autograd.grad(occupancy, parameters, weight, retain_graph=True)

    def voxelizations() -> Callable[[], object]:
        vertices = vertices_of(torch.zeros((1, PARAMETER_COUNT), device=device))
        return lambda: [label_map(vertices, mesh.topology, grid) for _ in range(2 * PARAMETER_COUNT)]

    boundary, bare, slow = "boundary integral", "42 label maps alone", max(3, rounds // 3)
    contenders = [
        _on_device(boundary, backward_alone, device, rounds),
        _on_device(bare, voxelizations, device, slow),
        _on_device("boundary integral, with voxelization", whole("boundary"), device, rounds),
        _on_device("finite differences, all", whole("finite-differences"), device, slow),
    ]
    timings = race(contenders, progress, "gradients")
    report.timings["Gradient with respect to 21 parameters"] = timings
    ratio = timings[bare].min_s / timings[boundary].min_s
    report.goals.append(Goal("gradient, speed over 42 label maps", ratio, 5.0))
    report.values["gradient with voxelization, speed over finite differences"] = (
        timings[contenders[3].name].min_s / timings[contenders[2].name].min_s
    )


def _check_inside(report: Report, mesh: HeartMesh, grid: Grid, progress: Progress) -> None:
    occupancy = region_occupancy(torch.tensor(mesh.vertices), mesh.topology, grid)[0].numpy() > 0
    worst = 1.0
    for index, label in enumerate(mesh.topology.labels):
        progress(index, len(mesh.topology.labels), "truth")
        truth = winding_inside(mesh, label, grid)
        dice = 2 * float((occupancy[index] & truth).sum()) / float(occupancy[index].sum() + truth.sum())
        report.values[f"Dice with libigl, {anatomy.regions()[label - 1].name}"] = dice
        worst = min(worst, dice)
    progress(len(mesh.topology.labels), len(mesh.topology.labels), "truth")
    report.goals.append(Goal("least Dice of a region with libigl", worst, 0.9999))


def _check_gradient(report: Report, mesh: HeartMesh, modes: Tensor, grid: Grid) -> None:
    truth = quadrature_gradient(mesh, modes.double().numpy())
    field = torch.tensor(_fields(mesh, grid))[None]
    base = torch.tensor(mesh.vertices)

    def vertices_of(parameters: Tensor) -> Tensor:
        return base + torch.einsum("bm,mvx->bvx", parameters, modes.double())

    def error(measured: Tensor) -> float:
        difference = measured[0].numpy() * grid.voxel_volume_mm3 - truth
        return 100 * float(np.linalg.norm(difference) / np.linalg.norm(truth))

    parameters = torch.zeros((1, PARAMETER_COUNT), dtype=torch.float64, requires_grad=True)
    occupancy = region_occupancy(vertices_of(parameters), mesh.topology, grid)
    percent = error(torch.autograd.grad(occupancy, parameters, field)[0])
    report.goals.append(Goal("gradient, error to quadrature, %", percent, 0.5, at_least=False))


def quadrature_gradient(mesh: HeartMesh, modes: NDArray[np.float64], subdivision: int = 6) -> NDArray[np.float64]:
    """Integrate ``field * (mode . n)`` over all surfaces with the midpoints of subdivided triangles.

    Returns:
        (21,) the derivative of the sum of all regions' volume integrals of their field.
    """
    corners = mesh.vertices[mesh.topology.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    region = np.searchsorted(mesh.topology.labels, mesh.topology.face_region)
    lower = [(i + 1 / 3, j + 1 / 3) for i in range(subdivision) for j in range(subdivision - i)]
    upper = [(i + 2 / 3, j + 2 / 3) for i in range(subdivision) for j in range(subdivision - i - 1)]
    total = np.zeros(len(modes))
    for s, t in np.array(lower + upper) / subdivision:
        weights = np.array([1 - s - t, s, t])
        force = _field(np.einsum("c,fcx->fx", weights, corners), region)[:, None] * area / subdivision**2
        total += np.einsum("c,mfcx,fx->m", weights, modes[:, mesh.topology.faces], force, optimize=True)
    return total


def _field(points: NDArray[np.float64], region: Any) -> NDArray[np.float64]:
    x, y, z = np.moveaxis(points, -1, 0)
    result: NDArray[np.float64] = 1 + np.sin(0.08 * x + 0.3 + region) * np.cos(0.06 * y - 0.2) + 0.7 * np.sin(0.05 * z)
    return result


def _fields(mesh: HeartMesh, grid: Grid) -> NDArray[np.float64]:
    centers = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.stack([_field(centers, region) for region in range(len(mesh.topology.labels))])


def _on_device(name: str, prepare: Callable[[], Callable[[], object]], device: str, rounds: int) -> Contender:
    if device == "cpu":
        return Contender(name, prepare, rounds)
    return Contender(name, prepare, rounds, torch.cuda.synchronize, cuda_peak_mib)
