import numpy as np

from FedSimCore.pictures.annotate import DARK
from FedSimCore.pictures.plates import modes_plate, scanners_plate, views_plate
from FedSimCore.pictures.slices import Window
from FedSimCore.shape.model import builtin_model
from FedSimCore.volumes import Grid, Volume


def heart_pixels(picture):
    """Pixels that are neither background nor the grey of letters."""
    return int((np.ptp(picture.astype(int), axis=2) > 40).sum())


def test_a_heart_from_four_sides_is_two_rows_of_two_pictures():
    plate = views_plate(builtin_model().mesh(), pixels=80)
    assert plate.shape == (2 * 80 + 8, 2 * 80 + 8, 3)
    quarters = plate[:80, :80], plate[:80, -80:], plate[-80:, :80], plate[-80:, -80:]
    assert all(heart_pixels(quarter) > 500 for quarter in quarters)
    assert (plate[80:88] == DARK).all()


def test_each_row_of_the_modes_has_the_mean_between_its_ends():
    plate = modes_plate(builtin_model(), modes=2, pixels=90)
    assert plate.shape == (2 * 90 + 8, 3 * 90 + 2 * 8, 3)
    mean_1, mean_2 = plate[20:90, 98 : 98 + 90], plate[98 + 20 :, 98 : 98 + 90]
    np.testing.assert_array_equal(mean_1, mean_2)
    lower, upper = plate[20:90, :90].astype(int), plate[20:90, -90:].astype(int)
    assert np.abs(lower - upper).mean() > 1.0


def test_scans_stand_one_under_the_other():
    grid = Grid.centered(24, 5.0)
    labels = np.zeros(grid.shape, np.uint8)
    labels[8:16, 8:16, 8:16] = 1
    scan = Volume(np.where(labels == 1, 400.0, 0.0).astype(np.float32), grid), Volume(labels, grid)
    one = scanners_plate({"a": scan}, Window(), inches=1.0)
    two = scanners_plate({"a": scan, "b": scan}, Window(), inches=1.0)
    assert one.shape[1] == two.shape[1] == 450
    assert two.shape[0] - one.shape[0] == 150
