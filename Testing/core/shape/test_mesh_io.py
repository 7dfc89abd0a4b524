import contextlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from FedSimCore.errors import InputError
from FedSimCore.shape.mesh_io import read_mesh, read_surface, write_mesh
from Testing.core.shape.heart_like import heart_like_mesh

CEMRG = Path(__file__).parents[4] / "shared" / "data" / "mesh_cemrg" / "healthy.vtk"


def test_a_heart_comes_back_from_vtp_with_the_same_vertices_faces_and_regions(tmp_path):
    mesh = heart_like_mesh()
    write_mesh(tmp_path / "heart.vtp", mesh)
    back = read_mesh(tmp_path / "heart.vtp")
    np.testing.assert_array_equal(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.topology.faces, mesh.topology.faces)
    np.testing.assert_array_equal(back.topology.face_region, mesh.topology.face_region)


@pytest.mark.parametrize("suffix", [".vtp", ".stl", ".obj"])
def test_files_hold_lps_and_say_so_as_slicer_does(tmp_path, suffix):
    mesh = heart_like_mesh()
    path = tmp_path / f"heart{suffix}"
    write_mesh(path, mesh)
    assert b"SPACE" in path.read_bytes()
    if suffix == ".vtp":
        import vtk

        reader = vtk.vtkXMLPolyDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        in_file = np.array(reader.GetOutput().GetBounds()).reshape(3, 2)
        assert reader.GetOutput().GetFieldData().GetAbstractArray("SPACE").GetValue(0) == "LPS"
    else:
        in_file = trimesh.load_mesh(path, process=False).bounds.T
    np.testing.assert_allclose(in_file[0], [-mesh.vertices[:, 0].max(), -mesh.vertices[:, 0].min()], atol=1e-4)
    np.testing.assert_allclose(in_file[1], [-mesh.vertices[:, 1].max(), -mesh.vertices[:, 1].min()], atol=1e-4)
    np.testing.assert_allclose(in_file[2], [mesh.vertices[:, 2].min(), mesh.vertices[:, 2].max()], atol=1e-4)


@pytest.mark.parametrize("suffix", [".vtp", ".stl", ".obj"])
def test_one_region_is_read_where_and_as_large_as_it_was(tmp_path, suffix):
    mesh = heart_like_mesh()
    path = tmp_path / f"aorta{suffix}"
    write_mesh(path, mesh, label=6)
    back = read_surface(path)
    truth = mesh.trimesh(6)
    found = trimesh.Trimesh(back.vertices, back.faces)
    assert found.volume == pytest.approx(truth.volume, rel=1e-5)
    np.testing.assert_allclose(found.center_mass, truth.center_mass, atol=1e-3)


def test_a_file_in_ras_is_not_turned_and_one_that_does_not_tell_is_taken_for_lps(tmp_path):
    triangle = "v 1 2 3\nv 4 5 6\nv 7 8 10\nf 1 2 3\n"
    for name, comment, expected in (("a", "# SPACE=RAS\n", 1), ("b", "# SPACE=LPS\n", -1), ("c", "", -1)):
        path = tmp_path / f"{name}.obj"
        path.write_text(comment + triangle)
        np.testing.assert_allclose(read_surface(path).vertices[0], [expected, 2 * expected, 3])
    np.testing.assert_allclose(read_surface(path, untagged_space="RAS").vertices[0], [1, 2, 3])


def test_ply_is_read(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.export(tmp_path / "ball.ply")
    surface = read_surface(tmp_path / "ball.ply", untagged_space="RAS")
    np.testing.assert_allclose(surface.vertices, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(surface.faces, ball.faces)


def test_shared_vertices_are_doubled_so_that_each_belongs_to_one_region(tmp_path):
    path = tmp_path / "two.vtk"
    path.write_text(
        "# vtk DataFile Version 3.0\nSPACE=RAS\nASCII\nDATASET POLYDATA\nPOINTS 5 float\n"
        "0 0 0 1 0 0 0 1 0 0 0 1 9 9 9\nPOLYGONS 2 8\n3 0 1 2\n3 0 2 3\n"
        "CELL_DATA 2\nSCALARS elemTag int\nLOOKUP_TABLE default\n1 3\n"
    )
    mesh = read_mesh(path)
    assert mesh.topology.vertex_count == 6
    np.testing.assert_array_equal(mesh.vertices[mesh.topology.faces[1]], [[0, 0, 0], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match=r"not known \(faces by region number: \{3: 1\}\)"):
        read_mesh(path, labels={1: 1})
    assert read_mesh(path, labels={1: 0, 3: 6}).topology.labels == (6,)


@pytest.mark.real_data
@pytest.mark.skipif(not CEMRG.exists(), reason="../shared/data/mesh_cemrg is not here")
def test_the_cemrg_heart_is_read_with_its_tags(capfd):
    surface = read_surface(CEMRG)
    assert surface.vertices.shape == (41682, 3)
    assert surface.faces.shape == (83378, 3)
    assert set(np.unique(surface.tags)) == set(range(1, 11))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.vtp", b'<?xml version="1.0"?><VTKFile type="PolyData"><PolyData><Piece NumberOfPoints="', "damaged"),
        ("a.vtk", b"# vtk DataFile Version 2.3\nx\nASCII\nDATASET POLYDATA\nPOINTS 99999999999 float\n1 2", "damaged"),
        ("a.stl", b"solid x\nfacet nor", "damaged"),
        ("a.obj", b"v 1 2\nf 1 2 9\n", "damaged"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nend_header\n1", "damaged"),
        ("b.obj", b"v 1 2 3\n", "no triangles"),
        ("c.obj", b"v 1 2 nan\nv 1 2 3\nv 4 4 4\nf 1 2 3\n", "."),
        ("a.txt", b"", "no mesh file"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_and_nothing_is_printed(tmp_path, capfd, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_surface(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_a_wrong_suffix_and_a_mesh_without_regions_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_mesh(tmp_path / "none.vtp")
    with pytest.raises(InputError, match="no mesh file that can be written"):
        write_mesh(tmp_path / "heart.gltf", heart_like_mesh())
    write_mesh(tmp_path / "heart.stl", heart_like_mesh())
    with pytest.raises(InputError, match="does not tell which region"):
        read_mesh(tmp_path / "heart.stl")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_never_do_worse_than_a_sentence(tmp_path, data):
    suffix = data.draw(st.sampled_from([".vtp", ".vtk", ".stl", ".obj", ".ply"]))
    content = bytearray(_small_file(tmp_path, suffix))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    with contextlib.suppress(InputError):
        assert np.isfinite(read_surface(path).vertices).all()


def _small_file(folder: Path, suffix: str) -> bytes:
    path = folder / f"whole{suffix}"
    box = trimesh.creation.box()
    if suffix == ".ply":
        return box.export(file_type="ply")
    if suffix == ".vtk":
        faces = "\n".join("3 " + " ".join(map(str, face)) for face in box.faces)
        points = "\n".join(" ".join(map(str, vertex)) for vertex in box.vertices)
        return (
            f"# vtk DataFile Version 3.0\nbox\nASCII\nDATASET POLYDATA\nPOINTS 8 float\n{points}\n"
            f"POLYGONS 12 48\n{faces}\nCELL_DATA 12\nSCALARS region int\nLOOKUP_TABLE default\n" + "1 " * 12 + "\n"
        ).encode()
    from FedSimCore.shape.mesh import HeartMesh, Topology

    topology = Topology(np.asarray(box.faces), np.ones(12, dtype=np.uint8))
    write_mesh(path, HeartMesh(np.asarray(box.vertices), topology))
    return path.read_bytes()
