import pytest

from FedSimCore.errors import InputError
from FedSimCore.pictures.norm_chart import norm_chart
from FedSimCore.shape.measurements import Measurement
from FedSimCore.shape.norms import Comparison


def comparison(value, low, high, verdict):
    return Comparison(Measurement("lv_volume_ml", "LV volume", value, "ml"), value, "ml", low, high, "x", verdict)


def dot_of(axis):
    (line,) = axis.get_lines()
    return float(line.get_xdata()[0]), line.get_color()


def test_each_measurement_stands_on_its_own_axis_at_its_value():
    figure = norm_chart([comparison(150.0, 100.0, 200.0, "normal"), comparison(90.0, 100.0, 200.0, "low")])
    dots = [dot_of(axis) for axis in figure.axes]
    assert [value for value, _ in dots] == [150.0, 90.0]
    assert dots[0][1] != dots[1][1], "one that is not normal has another colour"


def test_a_measurement_far_outside_is_still_on_its_axis():
    (axis,) = norm_chart([comparison(900.0, 100.0, 200.0, "high")]).axes
    assert axis.get_xlim()[1] > 900.0


def test_measurements_without_a_norm_are_left_out():
    figure = norm_chart([comparison(150.0, 100.0, 200.0, "normal"), comparison(5.0, None, None, "")])
    assert len(figure.axes) == 1


def test_nothing_to_compare_is_refused():
    with pytest.raises(InputError, match="None of the measurements has a norm"):
        norm_chart([comparison(5.0, None, None, "")])
