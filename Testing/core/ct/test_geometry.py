import numpy as np
import pytest

from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.placement import Placement
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid

SCAN = {
    "source_isocenter_mm": 600.0,
    "source_detector_mm": 1000.0,
    "columns": 64,
    "rows": 48,
    "pixel_mm": (4.0, 3.0),
    "views": 36,
}


def test_at_angle_zero_the_source_is_in_front_of_the_patient_and_u_runs_to_the_right():
    poses = ConeBeamGeometry(**SCAN).poses(np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(poses.source_mm[0], (10, 620, 30))
    np.testing.assert_allclose(poses.detector_mm[0], (10, -380, 30))
    np.testing.assert_allclose(poses.u[0], (1, 0, 0))
    np.testing.assert_allclose(poses.v[0], (0, 0, 1))


def test_seen_from_the_feet_the_source_turns_counterclockwise_to_the_patients_right_or_clockwise_to_the_left():
    counterclockwise = ConeBeamGeometry(**SCAN).poses(np.zeros(3))
    clockwise = ConeBeamGeometry(**SCAN, direction="clockwise").poses(np.zeros(3))
    np.testing.assert_allclose(counterclockwise.source_mm[9], (600, 0, 0), atol=1e-9)
    np.testing.assert_allclose(clockwise.source_mm[9], (-600, 0, 0), atol=1e-9)


def test_the_detector_offset_moves_its_middle_along_u_and_v():
    moved = ConeBeamGeometry(**SCAN, detector_offset_mm=(5.0, -7.0), start_angle_deg=90.0)
    still = ConeBeamGeometry(**SCAN, start_angle_deg=90.0)
    step = moved.poses(np.zeros(3)).detector_mm[0] - still.poses(np.zeros(3)).detector_mm[0]
    np.testing.assert_allclose(step, (0, -5, -7), atol=1e-9)
    np.testing.assert_allclose(moved.u_mm - still.u_mm, 5)
    np.testing.assert_allclose(moved.v_mm.mean(), -7)


def test_a_short_scan_keeps_the_angular_step_and_covers_half_a_turn_plus_the_fan():
    full = ConeBeamGeometry(**SCAN)
    short = full.short_scan()
    assert full.fan_angle_deg == pytest.approx(2 * np.rad2deg(np.arctan(128 / 1000)))
    assert short.angular_range_deg / short.views == pytest.approx(10)
    assert 0 <= short.angular_range_deg - (180 + full.fan_angle_deg) < 10
    assert full.is_full_scan
    assert not short.is_full_scan


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source_isocenter_mm": -1.0}, "source_isocenter_mm is -1.0"),
        ({"source_detector_mm": float("nan")}, "source_detector_mm is nan"),
        ({"source_detector_mm": 500.0}, "nearer than the isocentre"),
        ({"columns": 0}, "columns is 0"),
        ({"rows": -3}, "rows is -3"),
        ({"views": 0}, "views is 0"),
        ({"pixel_mm": (2.0, 0.0)}, "both sizes have to be positive"),
        ({"angular_range_deg": 720.0}, "360 degrees at most"),
        ({"angular_range_deg": 0.0}, "angular_range_deg is 0"),
        ({"isocenter_mm": (0.0, float("inf"), 0.0)}, "finite"),
    ],
)
def test_an_impossible_scanner_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError, match=sentence):
        ConeBeamGeometry(**(SCAN | change))


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (Grid.centered(64, 14.0), "source circles 600 mm from the axis, inside the volume"),
        (Grid.centered(64, 9.0), "detector circles 400 mm from the axis, inside the volume"),
        (Grid.centered(32, 2.0, (0, 0, 300)), "rays pass from .* but the volume lies from 268 to 332 mm"),
    ],
)
def test_a_volume_that_cannot_be_scanned_is_refused_in_one_sentence(grid, sentence):
    with pytest.raises(InputError, match=sentence):
        Placement.of(ConeBeamGeometry(**SCAN, isocenter_mm=(0.0, 0.0, 0.0)), grid)


def test_a_volume_tilted_against_the_axis_is_refused_with_the_way_out():
    tilt = np.deg2rad(10)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    with pytest.raises(InputError, match="RayProjector"):
        Placement.of(ConeBeamGeometry(**SCAN), Grid((16, 16, 16), affine))
