import json

import numpy as np
import pytest

from FedSimCore.ct.scanners import Scanner, scanner, scanners
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid

SITES = ("adult", "congenital-mild", "congenital-severe")


def test_every_site_has_a_scanner_of_its_own_look():
    looks = {(s.kvp, s.mas, s.kernel, s.slice_thickness_mm) for s in (scanner(site) for site in SITES)}
    assert len(looks) == len(SITES)


@pytest.mark.parametrize("key", sorted(scanners()))
def test_the_detector_sees_the_whole_working_grid_from_every_side(key):
    grid = Grid.centered()
    geometry = scanner(key).geometry(grid, whole_field=False)
    corners = np.stack(np.meshgrid(*[(-80.0, 80.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for angle in np.deg2rad(np.arange(0, 360, 5)):
        toward = np.array([np.sin(angle), np.cos(angle), 0])
        depth = geometry.source_isocenter_mm - corners @ toward
        u = corners @ np.array([np.cos(angle), -np.sin(angle), 0]) * geometry.source_detector_mm / depth
        v = corners[:, 2] * geometry.source_detector_mm / depth
        assert np.abs(u).max() <= geometry.columns * geometry.pixel_mm[0] / 2
        assert np.abs(v).max() <= geometry.rows * geometry.pixel_mm[1] / 2


def test_the_whole_field_is_as_wide_as_promised_and_the_pixels_are_no_larger_than_a_voxel():
    adult = scanner("adult")
    for grid in (Grid.centered(128, 1.25), Grid.centered(64, 2.5), Grid.centered(16, 10.0)):
        geometry = adult.geometry(grid)
        assert adult.scan_field_mm <= geometry.field_of_view_mm < 1.2 * adult.scan_field_mm
        pixel = geometry.pixel_mm[0] * adult.source_isocenter_mm / adult.source_detector_mm
        assert 0.6 < pixel / grid.spacing_mm[0] <= 1


def test_the_isocentre_is_the_middle_of_the_grid():
    grid = Grid.centered(32, 4.0, (10, -20, 30))
    assert scanner("adult").geometry(grid).isocenter_mm == pytest.approx((10, -20, 30))


def test_a_short_scan_turns_through_half_a_circle_and_the_fan():
    full = scanner("adult").geometry(Grid.centered(64, 2.5))
    short = scanner("adult").with_changes(angular_range_deg="short").geometry(Grid.centered(64, 2.5))
    assert short.angular_range_deg == pytest.approx(180 + full.fan_angle_deg, abs=1.5)
    assert short.views / short.angular_range_deg == pytest.approx(full.views / 360)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kvp": 125}, "kvp 125 is none of 70"),
        ({"mas": -5}, "mas = -5 .* greater than 0"),
        ({"monochromatic_kev": 500}, "monochromatic_kev 500 is not within 10 to 150"),
        ({"source_detector_mm": 500}, "source_detector_mm 500 must be larger than source_isocenter_mm 595"),
        ({"scan_field_mm": 1200}, "scan_field_mm 1200 does not fit between tube and patient"),
        ({"angular_range_deg": 90}, "angular_range_deg 90 is not between 180 and 360"),
        ({"phase": "late"}, "phase 'late' is none of none, arterial"),
        ({"kernel": "b40f"}, "kernel = 'b40f'"),
        ({"views": 2}, "views = 2"),
        ({"detector_element_mm": 0}, "detector_element_mm = 0"),
        ({"tube": "x"}, "tube"),
    ],
)
def test_an_impossible_scanner_is_refused_with_the_reason(change, reason):
    with pytest.raises(InputError, match="scanner adult.*" + reason):
        scanner("adult").with_changes(**change)


def test_a_scanner_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.json"
    entry = {"key": "mine", "kvp": 90, "mas": 55}
    path.write_text(json.dumps({"schema": "fedsim/scanners/1", "scanners": [entry]}))
    assert scanner(path) == Scanner(**entry)
    path.write_text(json.dumps({"schema": "fedsim/scanners/1", "scanners": []}))
    with pytest.raises(InputError, match=r"mine\.json describes 0 scanners"):
        scanner(path)


def test_an_unknown_scanner_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="no scanner 'philips'; choose adult, congenital-mild"):
        scanner("philips")


def test_a_grid_wider_than_the_scan_field_is_refused():
    with pytest.raises(InputError, match="does not fit in the scan field of scanner adult"):
        scanner("adult").geometry(Grid.centered(128, 4.0))
