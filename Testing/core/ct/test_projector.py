import numpy as np
import pytest
import torch

from FedSimCore.benchmarks.ct_truth import Ellipsoid
from FedSimCore.benchmarks.rtk_peer import RtkScan
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.projector import ConeBeamProjector
from FedSimCore.ct.ray_projector import RayProjector
from FedSimCore.ct.table_cache import projection_tables
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid

SMALL = ConeBeamGeometry(
    source_isocenter_mm=300, source_detector_mm=500, columns=40, rows=36, pixel_mm=(3.0, 2.5), views=12
)
ODD = SMALL.model_copy(
    update={
        "detector_offset_mm": (6.0, -4.0),
        "start_angle_deg": 17.0,
        "angular_range_deg": 210.0,
        "views": 7,
        "direction": "clockwise",
        "isocenter_mm": (4.0, -6.0, 3.0),
    }
)
CUBE = Grid.centered(32, 2.0)
BOX = Grid.centered((30, 25, 20), (1.5, 2.0, 3.1), (3, 2, 1))


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relative_error(found, truth):
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize(
    "body",
    [Ellipsoid((80.0, 80.0, 80.0)), Ellipsoid((90.0, 80.0, 70.0), (5.0, 3.0, -7.0))],
    ids=["sphere", "ellipsoid"],
)
def test_line_integrals_are_as_right_as_those_of_rtk_joseph_and_within_a_fifth_of_a_percent_inside(body):
    scan = ConeBeamGeometry(
        source_isocenter_mm=750, source_detector_mm=1200, columns=256, rows=192, pixel_mm=(2, 2), views=8
    )
    grid = Grid.centered(128, 2.0)
    voxels = body.voxels(grid)
    truth = body.line_integrals(scan, grid.center_mm)
    ours = ConeBeamProjector(scan, grid)(torch.from_numpy(voxels)[None, None])[0, 0].numpy()
    rtk = RtkScan(scan, grid)
    peer = rtk.as_sinogram(rtk.project(rtk.volume(voxels)))
    assert relative_error(ours, truth) <= 1.05 * relative_error(peer, truth)
    inside = truth > 0.3 * truth.max()
    assert relative_error(ours[inside], truth[inside]) < 0.002
    assert relative_error(ours[inside], truth[inside]) <= 1.05 * relative_error(peer[inside], truth[inside])


@pytest.mark.parametrize(
    ("scan", "grid"),
    [(SMALL, CUBE), (SMALL, BOX), (ODD, BOX), (ODD, CUBE), (SMALL.model_copy(update={"direction": "clockwise"}), CUBE)],
)
def test_the_plane_stack_gives_what_trilinear_sampling_along_rays_gives(scan, grid):
    volume = noise(1, 2, *grid.shape)
    stacked = ConeBeamProjector(scan, grid, step_mm=1.7)(volume)
    sampled = RayProjector.circular(scan, grid, step_mm=1.7)(volume)
    assert relative_error(stacked.numpy(), sampled.numpy()) < 1e-6


def test_the_plane_stack_equals_sampling_along_rays_to_rounding_in_double_precision():
    volume = noise(1, 1, *BOX.shape, dtype=torch.float64)
    stacked = ConeBeamProjector(ODD, BOX, dtype=torch.float64, step_mm=1.7)(volume)
    sampled = RayProjector.circular(ODD, BOX, dtype=torch.float64, step_mm=1.7)(volume)
    torch.testing.assert_close(stacked, sampled, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_an_asymmetric_body_off_the_isocentre_casts_the_shadow_that_it_casts_in_rtk(direction):
    scan = ODD.model_copy(update={"direction": direction, "columns": 96, "rows": 80, "pixel_mm": (1.5, 1.25)})
    grid = Grid.centered((60, 50, 40), (1.0, 1.2, 1.5), (3, 2, 1))
    body = Ellipsoid((14.0, 9.0, 18.0), (-8.0, 10.0, 5.0))
    voxels = body.voxels(grid)
    ours = ConeBeamProjector(scan, grid)(torch.from_numpy(voxels)[None, None])[0, 0].numpy()
    rtk = RtkScan(scan, grid)
    peer = rtk.as_sinogram(rtk.project(rtk.volume(voxels)))
    assert relative_error(ours, peer) < 0.02
    truth = body.line_integrals(scan, np.array(scan.isocenter_mm))
    assert relative_error(ours, truth) <= 1.05 * relative_error(peer, truth) < 0.05


def test_from_the_front_what_is_on_the_patients_left_lands_on_the_first_columns_and_the_head_on_the_last_rows():
    volume = torch.zeros(1, 1, 32, 32, 32)
    volume[0, 0, 4:8, 12:20, 24:28] = 1
    front = ConeBeamProjector(SMALL, CUBE)(volume)[0, 0, 0]
    columns, rows = np.nonzero(front.numpy())
    assert columns.max() < 20
    assert rows.min() > 18


def test_a_flipped_grid_of_the_same_body_gives_the_same_shadow():
    volume = noise(1, 1, *BOX.shape)
    affine = BOX.affine @ np.diag([-1.0, -1.0, -1.0, 1.0])
    affine[:3, 3] = BOX.to_world(np.array(BOX.shape) - 1)
    flipped = Grid(BOX.shape, affine)
    expected = ConeBeamProjector(ODD, BOX)(volume)
    torch.testing.assert_close(ConeBeamProjector(ODD, flipped)(volume.flip(2, 3, 4)), expected, rtol=1e-4, atol=1e-4)


def test_a_grid_turned_in_the_transverse_plane_gives_the_shadow_that_sampling_along_rays_gives():
    turn = np.deg2rad(25)
    affine = np.eye(4)
    affine[:2, :2] = 1.5 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    grid = Grid((20, 24, 16), affine)
    volume = noise(1, 1, *grid.shape)
    stacked = ConeBeamProjector(SMALL, grid, step_mm=1.5)(volume)
    sampled = RayProjector.circular(SMALL, grid, step_mm=1.5)(volume)
    assert relative_error(stacked.numpy(), sampled.numpy()) < 1e-6


def test_members_of_a_batch_and_channels_are_projected_as_if_alone():
    projector = ConeBeamProjector(ODD, BOX)
    volume = noise(2, 3, *BOX.shape)
    together = projector(volume)
    assert together.shape == (2, 3, 7, 40, 36)
    torch.testing.assert_close(together[1:, 2:], projector(volume[1:, 2:]))
    backprojected = projector.adjoint(together)
    torch.testing.assert_close(backprojected[:1, 1:2], projector.adjoint(together[:1, 1:2]))


@pytest.mark.parametrize("limit_bytes", [0, 100_000])
def test_tables_that_the_cache_cannot_hold_are_made_on_the_way_and_change_nothing(limit_bytes):
    volume = noise(1, 1, *BOX.shape)
    projector = ConeBeamProjector(ODD, BOX)
    sinogram = projector(volume)
    backprojected = projector.adjoint(sinogram)
    cache = projection_tables()
    usual = cache.limit_bytes
    try:
        cache.set_limit(limit_bytes)
        torch.testing.assert_close(projector(volume), sinogram)
        torch.testing.assert_close(projector.adjoint(sinogram), backprojected)
        assert cache.held_bytes <= limit_bytes
    finally:
        cache.set_limit(usual)


def test_a_tensor_of_another_shape_or_precision_is_refused():
    projector = ConeBeamProjector(SMALL, CUBE)
    with pytest.raises(InputError, match=r"shape is \(1, 1, 32, 32, 31\)"):
        projector(torch.zeros(1, 1, 32, 32, 31))
    with pytest.raises(InputError, match=r"torch\.float64"):
        projector(torch.zeros(1, 1, 32, 32, 32, dtype=torch.float64))
    with pytest.raises(InputError, match="float32 or float64"):
        ConeBeamProjector(SMALL, CUBE, dtype=torch.float16)


@pytest.mark.parametrize("step_mm", [0.0, -1.0])
def test_a_step_that_is_not_positive_is_refused(step_mm):
    with pytest.raises(InputError, match="has to be positive"):
        ConeBeamProjector(SMALL, CUBE, step_mm=step_mm)
