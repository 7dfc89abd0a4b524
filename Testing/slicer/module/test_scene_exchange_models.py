"""Hearts go through the scene as models to the right place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.shape.mesh import HeartMesh, Topology
from Testing.slicer.module.known_shapes import BOXES_MM, rotation


def boxes(side_mm: float = 6.0) -> HeartMesh:
    """A closed box for each region at its known place."""
    vertices, faces, labels = [], [], []
    for label, middle in BOXES_MM.items():
        box = trimesh.creation.box([side_mm] * 3)
        faces.append(box.faces + sum(map(len, vertices)))
        vertices.append(box.vertices + middle)
        labels.append(np.full(len(box.faces), label, np.uint8))
    return HeartMesh(np.concatenate(vertices), Topology(np.concatenate(faces), np.concatenate(labels)))


@pytest.fixture
def slicer(application: Any, scene: Any) -> Any:
    return application.slicer


def test_a_heart_becomes_seven_models_in_place_and_in_colour(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import put_models

    nodes = put_models(boxes(), "Heart")
    assert [node.GetName() for node in nodes] == [f"Heart {region.name}" for region in anatomy.regions()]
    for node, region in zip(nodes, anatomy.regions(), strict=True):
        bounds = np.zeros(6)
        node.GetRASBounds(bounds)
        np.testing.assert_allclose(bounds[::2], BOXES_MM[region.label] - 3, atol=1e-5)
        np.testing.assert_allclose(bounds[1::2], BOXES_MM[region.label] + 3, atol=1e-5)
        np.testing.assert_allclose(np.array(node.GetDisplayNode().GetColor()) * 255, region.color, atol=1e-6)


def test_normals_point_outward(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import point_normals

    ball = trimesh.creation.icosphere(3)
    np.testing.assert_allclose(point_normals(ball.vertices, ball.faces), ball.vertices, atol=0.02)


def test_a_heart_comes_back_from_its_models(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import mesh_of, put_models

    mesh = boxes()
    found = mesh_of(put_models(mesh, "Heart"))
    assert found.topology.labels == mesh.topology.labels
    for label in anatomy.labels():
        for back, there in zip(found.surface(label), mesh.surface(label), strict=True):
            np.testing.assert_allclose(back, there, atol=1e-12)


def test_models_are_moved_in_place_and_keep_their_looks(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import mesh_of, put_models

    nodes = put_models(boxes(), "Heart")
    memory = [node.GetPolyData().GetPoints().GetData() for node in nodes]
    nodes[0].GetDisplayNode().SetOpacity(0.3)
    grown = boxes(9.0)
    assert put_models(HeartMesh(grown.vertices, boxes().topology), "Heart", nodes) == nodes
    assert [node.GetPolyData().GetPoints().GetData() for node in nodes] == memory
    assert nodes[0].GetDisplayNode().GetOpacity() == 0.3
    np.testing.assert_allclose(mesh_of(nodes).vertices, grown.vertices, atol=1e-12)


def test_models_of_another_heart_take_the_nodes_over(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import mesh_of, put_models

    nodes = put_models(boxes(), "Heart")
    ball = trimesh.creation.icosphere(1)
    other = HeartMesh(ball.vertices, Topology(ball.faces, np.full(len(ball.faces), 4, np.uint8)))
    assert put_models(other, "Heart", nodes) == [nodes[3]]
    assert len(mesh_of([nodes[3]]).vertices) == len(ball.vertices)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_models_under_a_transform_are_where_they_are_seen(slicer: Any, mirror: float) -> None:
    from FedSimSlicerLib.scene_models import mesh_of, put_models

    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((1, 1, 0), 30) @ np.diag([1, 1, mirror]), (4, 5, -60)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    nodes = put_models(boxes(), "Heart")
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())
    found = mesh_of(nodes)
    assert not found.topology.open_edges
    for label, middle in BOXES_MM.items():
        surface = found.trimesh(label)
        np.testing.assert_allclose(surface.center_mass, matrix[:3, :3] @ middle + matrix[:3, 3], atol=1e-5)
        assert surface.volume > 0  # its faces look outward


def test_saved_models_lie_where_they_are(slicer: Any, tmp_path: Path) -> None:
    from FedSimCore.shape.mesh_io import read_surface
    from FedSimSlicerLib.scene_models import put_models

    node = put_models(boxes(), "Heart")[4]
    assert slicer.util.saveNode(node, str(tmp_path / "ra.vtk"))
    np.testing.assert_allclose(read_surface(tmp_path / "ra.vtk").vertices.mean(axis=0), BOXES_MM[5], atol=1e-4)


def test_other_models_are_no_heart(slicer: Any) -> None:
    from FedSimSlicerLib.scene_models import mesh_of

    with pytest.raises(InputError, match="None of these models is a region of a FedSim heart"):
        mesh_of([slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "Liver")])
