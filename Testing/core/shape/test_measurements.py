import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from FedSimCore.errors import InputError
from FedSimCore.shape.cross_sections import section, vessel_diameter_mm
from FedSimCore.shape.measurements import Measurement, measure_labels, measure_mesh
from FedSimCore.shape.mesh import HeartMesh, Topology
from FedSimCore.shape.norms import compare, norms
from FedSimCore.shape.voxelizer import label_map
from FedSimCore.volumes import Grid, Volume

# An oblique long axis: nothing may depend on the patient's axes.
TURN = Rotation.from_rotvec([0.5, -0.7, 0.3]).as_matrix()


def ellipsoid(half_axes, center=(0, 0, 0)) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=4)
    return trimesh.Trimesh(ball.vertices * half_axes + center, ball.faces, process=False)


def tube(path, radius) -> trimesh.Trimesh:
    """A closed tube along points (n, 3) of a curve in a plane through the z axis, its ends flat."""
    path = np.asarray(path, dtype=float)
    tangent = np.gradient(path, axis=0)
    across = np.cross(tangent, (0, 1, 0))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    ring = np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * np.array([0, 1, 0])
    vertices = np.vstack(((path[:, None] + radius * ring).reshape(-1, 3), path[:1], path[-1:]))
    here = np.arange(96) + 96 * np.arange(len(path) - 1)[:, None]
    there = (np.arange(96) + 1) % 96 + 96 * np.arange(len(path) - 1)[:, None]
    a, b, c, d = (x.ravel() for x in (here, there, here + 96, there + 96))
    rim, last = np.arange(96), 96 * (len(path) - 1)
    turned = (rim + 1) % 96
    faces = np.vstack(
        (
            np.column_stack((a, b, c)),
            np.column_stack((b, d, c)),
            np.column_stack((turned, rim, np.full(96, len(vertices) - 2))),
            np.column_stack((rim + last, turned + last, np.full(96, len(vertices) - 1))),
        )
    )
    surface = trimesh.Trimesh(vertices, faces, process=False)
    if surface.volume < 0:
        surface.invert()
    return surface


def straight(start, end) -> np.ndarray:
    return np.linspace(start, end, 40)


def heart(parts: dict[int, trimesh.Trimesh]) -> HeartMesh:
    vertices, faces, region, count = [], [], [], 0
    for label, part in parts.items():
        vertices.append(part.vertices @ TURN.T + (7, -5, 3))
        faces.append(part.faces + count)
        region.append(np.full(len(part.faces), label, dtype=np.uint8))
        count += len(part.vertices)
    return HeartMesh(np.concatenate(vertices), Topology(np.concatenate(faces), np.concatenate(region)))


@pytest.fixture(scope="module")
def simple_heart() -> HeartMesh:
    """A ball-shaped ventricle of radius 22 in a shell of 9 mm, an atrium above, and two straight vessels."""
    return heart(
        {
            1: ellipsoid((22, 22, 22)),
            2: ellipsoid((31, 31, 31)),
            3: ellipsoid((20, 20, 30), (-58, 0, 0)),
            4: ellipsoid((18, 18, 12), (0, 0, 43.5)),
            6: tube(straight((30, 20, 37), (30, 20, 87)), 14),
            7: tube(straight((-58, 0, 32), (-58, 0, 80)), 12),
        }
    )


def test_a_mesh_has_the_volumes_of_its_balls_and_ellipsoids(simple_heart):
    found = measure_mesh(simple_heart)
    ball = 4 / 3 * np.pi / 1000
    assert found["lv_volume_ml"].value == pytest.approx(ball * 22**3, rel=3e-3)
    assert found["rv_volume_ml"].value == pytest.approx(ball * 20 * 20 * 30, rel=3e-3)
    assert found["myo_volume_ml"].value == pytest.approx(ball * (31**3 - 22**3), rel=3e-3)
    assert found["lv_mass_g"].value == pytest.approx(1.05 * ball * (31**3 - 22**3), rel=3e-3)
    assert "ra_volume_ml" not in found


def test_a_concentric_shell_has_its_thickness_everywhere(simple_heart):
    found = measure_mesh(simple_heart)
    for key in ("mean", "min", "max", "basal", "mid", "apical"):
        assert found[f"lv_wall_{key}_mm"].value == pytest.approx(9.0, abs=0.03)


def test_a_shifted_cavity_has_a_thin_and_a_thick_wall_and_the_apex_tells_which():
    # Moved 3 mm down from the base: 6 mm of wall at the apex, 12 mm towards the base.
    found = measure_mesh(
        heart({1: ellipsoid((22, 22, 22), (0, 0, -3)), 2: ellipsoid((31, 31, 31)), 4: ellipsoid((9, 9, 9), (0, 0, 42))})
    )
    assert found["lv_wall_min_mm"].value == pytest.approx(6.0, abs=0.1)
    assert found["lv_wall_max_mm"].value == pytest.approx(12.0, abs=0.1)
    # The mean distance of points of the cavity from the shell's middle is 22 + 3^2 / (3 * 22).
    assert found["lv_wall_mean_mm"].value == pytest.approx(31 - 22 - 3 / 22, abs=0.05)


def test_the_wall_next_to_the_valves_is_left_out():
    # The cavity reaches through the wall towards the atrium, where there is no wall.
    parts = {1: ellipsoid((22, 22, 22)), 2: ellipsoid((31, 31, 31)), 4: ellipsoid((14, 14, 14), (0, 0, 33))}
    parts[1].vertices[parts[1].vertices[:, 2] > 19] += (0, 0, 7)
    found = measure_mesh(heart(parts))
    assert found["lv_wall_min_mm"].value == pytest.approx(9.0, abs=0.1)


def test_the_sphericity_of_an_ellipsoid_is_the_product_of_its_axes_ratios():
    found = measure_mesh(heart({1: ellipsoid((20, 24, 40))}))
    assert found["lv_sphericity"].value == pytest.approx(20 * 24 / 40**2, rel=5e-3)
    assert found["lv_length_mm"].value == pytest.approx(80, rel=1e-3)


def test_vessels_have_the_diameters_of_their_cylinders(simple_heart):
    found = measure_mesh(simple_heart)
    assert found["aorta_diameter_mm"].value == pytest.approx(28.0, rel=5e-3)
    assert found["pa_diameter_mm"].value == pytest.approx(24.0, rel=5e-3)


def test_a_bent_vessel_is_measured_across_and_not_along():
    # A quarter of a ring: the way from the root to the middle is oblique to the vessel half-way along.
    angle = np.linspace(0, np.pi / 2, 60)
    ring = tube(45 * np.column_stack((np.cos(angle), 0 * angle, np.sin(angle))), 13)
    assert ring.is_watertight
    surface = (np.asarray(ring.vertices), np.asarray(ring.faces))
    assert vessel_diameter_mm(surface, np.array([45.0, 0, 0])) == pytest.approx(26.0, rel=0.01)


def test_a_section_has_the_area_and_centroid_of_the_loop_that_was_asked_for():
    pair = trimesh.util.concatenate([ellipsoid((10, 10, 20)), ellipsoid((5, 5, 20), (40, 0, 0))])
    surface = (np.asarray(pair.vertices), np.asarray(pair.faces))
    big, small = (section(surface, np.array([x, 1.0, 0.3]), np.array([0, 0, 1.0])) for x in (2.0, 39.0))
    assert big.area_mm2 == pytest.approx(np.pi * 100, rel=3e-3)
    assert small.area_mm2 == pytest.approx(np.pi * 25, rel=3e-3)
    np.testing.assert_allclose(small.centroid, (40, 0, 0.3), atol=0.01)
    assert section(surface, np.array([0, 0, 50.0]), np.array([0, 0, 1.0])) is None


def test_label_maps_and_meshes_agree_within_two_percent(simple_heart):
    import torch

    grid = Grid.centered((150, 150, 160), 1.0, (0, 0, 20))
    array = label_map(torch.tensor(simple_heart.vertices), simple_heart.topology, grid)[0].numpy()
    from_labels, from_mesh = measure_labels(Volume(array, grid)), measure_mesh(simple_heart)
    assert from_labels.keys() == from_mesh.keys()
    for key in (
        "lv_volume_ml",
        "lv_mass_g",
        "lv_wall_mean_mm",
        "aorta_diameter_mm",
        "pa_diameter_mm",
        "lv_length_mm",
    ):
        assert from_labels[key].value == pytest.approx(from_mesh[key].value, rel=0.02), key


def test_an_empty_label_map_is_refused():
    with pytest.raises(InputError, match="no voxel of any region"):
        measure_labels(Volume(np.zeros((4, 4, 4), dtype=np.uint8), Grid.centered(4, 1.0)))


def measured(**values: float) -> dict[str, Measurement]:
    return {key: Measurement(key, key, value, "") for key, value in values.items()}


def test_numbers_outside_the_norms_are_flagged_by_sex():
    # Hudsmith 2005: men 160 +- 29 ml, women 135 +- 26 ml.
    values = measured(lv_volume_ml=200.0)
    assert compare(values, "male")[0].verdict == "normal"
    assert compare(values, "female")[0].verdict == "high"
    assert compare(values)[0].verdict == "normal"
    low = compare(measured(lv_volume_ml=80.0), "female")[0]
    assert (low.verdict, low.outside) == ("low", True)
    assert low.low == pytest.approx(135 - 1.96 * 26)
    assert low.citation == "hudsmith2005"


def test_norms_per_square_metre_need_the_body_surface_area():
    values = measured(lv_mass_g=140.0, ra_volume_ml=150.0, lv_sphericity=0.4)
    without, with_area = compare(values, "male"), compare(values, "male", bsa_m2=2.0)
    assert [c.verdict for c in without] == ["", "", ""]
    # Petersen 2017: 53 +- 9 g/m2; Fuchs 2016: 97.5th percentile 85 ml/m2.
    assert [c.verdict for c in with_area] == ["normal", "normal", ""]
    assert with_area[0].value == pytest.approx(70.0)
    assert compare(values, "male", bsa_m2=1.5)[1].verdict == "high"


def test_every_norm_is_for_something_that_is_measured_or_names_its_phase(simple_heart):
    keys = set(measure_mesh(simple_heart)) | {"ra_volume_ml"}
    unknown = {norm.key.removesuffix("_per_m2") for norm in norms()} - keys
    assert unknown == {
        "lv_end_systolic_volume_ml",
        "rv_end_systolic_volume_ml",
        "lv_wall_basal_septum_mm",
        "lv_wall_mid_anterior_mm",
        "pa_diameter_90th_percentile_mm",
    }
