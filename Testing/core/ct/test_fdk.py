import numpy as np
import pytest
import torch

from FedSimCore.benchmarks.ct_truth import Ellipsoid
from FedSimCore.benchmarks.rtk_peer import RtkScan
from FedSimCore.ct.fdk import FDK
from FedSimCore.ct.filters import MODULATION, filter_kernel, ray_weights
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid

SCAN = ConeBeamGeometry(
    source_isocenter_mm=600, source_detector_mm=1000, columns=160, rows=128, pixel_mm=(2.0, 2.0), views=180
)
GRID = Grid.centered(64, 2.5)
BALL = Ellipsoid((60.0, 60.0, 60.0))


def reconstruct(scan, grid, body, **options):
    center = grid.center_mm if scan.isocenter_mm is None else np.array(scan.isocenter_mm)
    sinogram = torch.from_numpy(body.line_integrals(scan, center))
    return FDK(scan, grid, **options)(sinogram[None, None])[0, 0].numpy()


def test_a_ball_of_water_is_reconstructed_within_three_per_mille():
    volume = reconstruct(SCAN, GRID, BALL) / BALL.mu_per_mm
    radius = BALL.radius(GRID)
    assert volume[radius < 0.15].mean() == pytest.approx(1, abs=0.003)
    assert volume[radius < 0.85].mean() == pytest.approx(1, abs=0.003)
    assert np.abs(volume[radius > 1.2]).mean() < 0.02


def test_a_water_cylinder_is_within_five_hounsfield_units_everywhere_in_the_inner_four_fifths():
    # The end faces are far outside the cone, as in a water phantom that is longer than the beam.
    cylinder = Ellipsoid((60.0, 60.0, 1e5))
    grid = Grid.centered((64, 64, 24), 2.5)
    volume = reconstruct(SCAN, grid, cylinder) / cylinder.mu_per_mm
    inner = cylinder.radius(grid) < 0.8
    assert np.abs(volume[inner] - 1).max() < 0.005


@pytest.mark.parametrize("short", [False, True], ids=["full", "short"])
@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_an_asymmetric_body_is_reconstructed_where_rtk_puts_it_and_as_well(direction, short):
    scan = SCAN.model_copy(
        update={"direction": direction, "start_angle_deg": 25.0, "isocenter_mm": (4.0, -6.0, 3.0), "views": 240}
    )
    scan = scan.short_scan() if short else scan
    grid = Grid.centered((60, 50, 40), (2.0, 2.5, 3.0), (3, 2, 1))
    body = Ellipsoid((40.0, 25.0, 30.0), (-12.0, 15.0, 6.0))
    ours = reconstruct(scan, grid, body) / body.mu_per_mm
    rtk = RtkScan(scan, grid)
    truth = body.voxels(grid) / body.mu_per_mm
    sinogram = body.line_integrals(scan, np.array(scan.isocenter_mm))
    peer = rtk.as_volume(rtk.reconstruct(rtk.projections(sinogram))) / body.mu_per_mm
    inner = body.radius(grid) < 0.8
    assert np.abs(ours - peer)[inner].max() < 0.01
    assert np.sqrt(((ours - peer) ** 2).mean()) < 0.02
    assert np.sqrt(((ours - truth) ** 2).mean()) < 1.1 * np.sqrt(((peer - truth) ** 2).mean())


@pytest.mark.parametrize("margin_deg", [0.0, 40.0])
@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_a_short_scan_of_a_small_cone_equals_the_full_scan(direction, margin_deg):
    scan = ConeBeamGeometry(
        source_isocenter_mm=2000,
        source_detector_mm=2400,
        columns=160,
        rows=40,
        pixel_mm=(1.2, 1.2),
        views=720,
        direction=direction,
    )
    short = scan.short_scan()
    views = short.views + round(2 * margin_deg)
    short = short.model_copy(update={"views": views, "angular_range_deg": views / 2})
    grid = Grid.centered((48, 48, 8), 2.5)
    body = Ellipsoid((45.0, 30.0, 200.0), (-8.0, 12.0, 0.0))
    full = reconstruct(scan, grid, body) / body.mu_per_mm
    half = reconstruct(short, grid, body) / body.mu_per_mm
    inner = body.radius(grid) < 0.85
    assert np.abs(half - full)[inner].max() < 0.004


def test_a_detector_shifted_sideways_sees_a_body_wider_than_itself():
    shifted = SCAN.model_copy(update={"columns": 96, "detector_offset_mm": (50.0, 0.0), "views": 360})
    assert SCAN.source_isocenter_mm * 46 / 1000 < BALL.semi_axes_mm[0]
    volume = reconstruct(shifted, GRID, BALL) / BALL.mu_per_mm
    assert np.abs(volume[BALL.radius(GRID) < 0.8] - 1).max() < 0.02


def test_opposite_rays_of_a_short_scan_count_once_together():
    short = SCAN.model_copy(update={"views": 3600}).short_scan()
    weights = ray_weights(short) / (np.deg2rad(short.angular_range_deg) / short.views)
    angles = np.abs(short.angles_rad - short.angles_rad[0])
    for column in (20, 50, 80, 140):
        gamma = np.arctan(short.u_mm[column] / short.source_detector_mm)
        opposite = np.interp(angles + np.pi - 2 * gamma, angles, weights[:, -1 - column], right=0)
        alone = angles + np.pi - 2 * gamma < angles[-1]
        np.testing.assert_allclose(weights[alone, column] + opposite[alone], 1, atol=2e-3)


def test_a_scan_shorter_than_half_a_turn_plus_the_fan_cannot_be_reconstructed():
    with pytest.raises(InputError, match=r"cover 190 degrees, but .* 180 degrees plus the fan angle, 198"):
        FDK(SCAN.model_copy(update={"angular_range_deg": 190.0}), GRID)


def test_a_kernel_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InputError, match="'B30f'; choose one of ramp, hann, soft, sharp"):
        FDK(SCAN, GRID, kernel="B30f")


@pytest.mark.parametrize("kernel", list(MODULATION))
def test_every_kernel_is_its_modulation_times_the_ramp(kernel):
    lags = filter_kernel(kernel, 4096, 0.5)
    frequency = np.array([0.05, 0.2, 0.4, 0.55, 0.8]) / (2 * 0.5)
    response = lags[0] + 2 * (lags[1:] * np.cos(2 * np.pi * frequency[:, None] * 0.5 * np.arange(1, 4096))).sum(1)
    expected = frequency * MODULATION[kernel](frequency * 2 * 0.5)
    np.testing.assert_allclose(response, expected, atol=2e-4)


def test_kernels_keep_the_hounsfield_units_of_a_large_object_and_order_noise_from_soft_to_sharp():
    noise = torch.randn(1, 1, SCAN.views, SCAN.columns, SCAN.rows, generator=torch.Generator().manual_seed(0))
    grid = Grid.centered((64, 64, 4), 2.5)
    deviation = {}
    for kernel in ("soft", "hann", "ramp", "sharp"):
        volume = reconstruct(SCAN, grid, BALL, kernel=kernel) / BALL.mu_per_mm
        assert volume[BALL.radius(grid) < 0.7].mean() == pytest.approx(1, abs=0.003)
        deviation[kernel] = float(FDK(SCAN, grid, kernel=kernel)(noise).std())
    assert deviation["soft"] < 0.7 * deviation["hann"] < 0.7 * deviation["sharp"]
    assert deviation["hann"] < deviation["ramp"]
