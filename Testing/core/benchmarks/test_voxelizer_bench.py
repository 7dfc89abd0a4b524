import numpy as np
import pytest
import torch

from FedSimCore.benchmarks.voxelizer import bench_voxelizer
from FedSimCore.benchmarks.voxelizer_peers import vtk_stencil, winding_labels
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid
from Testing.core.shape.heart_like import heart_like_mesh


@pytest.mark.parametrize("cropped", [False, True])
def test_vtk_does_the_same_job_as_ours(cropped):
    mesh, grid = heart_like_mesh(), Grid.centered(48, 3.3)
    ours = label_map(torch.tensor(mesh.vertices), mesh.topology, grid)[0].numpy()
    assert (vtk_stencil(mesh, grid, cropped)() != ours).mean() < 1e-4
    np.testing.assert_array_equal(winding_labels(mesh, grid), ours)


def test_the_benchmark_measures_every_goal_of_the_issue():
    report = bench_voxelizer(heart_like_mesh(), 40, "cpu", 1)
    goals = {goal.name: goal for goal in report.goals}
    assert any("VTK stencil" in name for name in goals)
    assert any("42 label maps" in name for name in goals)
    assert goals["least Dice of a region with libigl"].met
    assert goals["gradient, error to quadrature, %"].value < 3  # a coarse grid
