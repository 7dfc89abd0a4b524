"""Live measurements beside norms, in the Explore panel."""

from __future__ import annotations

import csv
import io

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.slicer.module.shared_module import *  # noqa: F403


@pytest.fixture
def measured(session, explore, wait_for):
    """The section, once the mean heart is measured."""
    section = explore.measurements
    settle(session, section, wait_for)
    return section


def settle(session, section, wait_for):
    """Wait until the table shows the heart as it is."""
    wait_for(lambda: not session.worker.busy("measure") and section.table.rows and section.ui.measureTable.enabled)


def compared(session, sex=None, bsa_m2=None):
    """The present heart's measurements beside the norms, without the worker."""
    from FedSimCore.shape.measurements import measure_mesh
    from FedSimCore.shape.model import builtin_model
    from FedSimCore.shape.norms import compare

    heart = session.editor.heart
    measurements = measure_mesh(builtin_model(len(heart.weights)).mesh(heart))
    return {each.measurement.key: each for each in compare(measurements, sex, bsa_m2)}


def cell(section, row, column):
    return section.ui.measureTable.item(row, column).text()


def assert_table_is(section, expected):
    rows = section.table.rows
    assert {row.key for row in rows} == set(expected)
    for number, row in enumerate(rows):
        known = expected[row.key]
        assert float(cell(section, number, 1)) == pytest.approx(known.value, abs=0.51)
        assert cell(section, number, 3) == {"low": "▼", "high": "▲", "normal": "✓", "": ""}[known.verdict]
        if known.low is not None and known.high is not None:
            low, high = map(float, cell(section, number, 2).split("–"))
            assert (low, high) == pytest.approx((known.low, known.high), abs=0.51)


def test_the_table_shows_the_hearts_measurements_beside_their_norms(session, measured, explore, wait_for):
    assert_table_is(measured, compared(session))
    explore.modes.sliders[0].slider.value = 1.5
    settle(session, measured, wait_for)
    assert_table_is(measured, compared(session))


def test_norms_are_those_of_the_sex_and_the_body_surface(session, measured, wait_for):
    measured.ui.sexBox.currentIndex = 1
    measured.ui.surfaceBox.value = 1.7
    settle(session, measured, wait_for)
    wait_for(lambda: any(row.unit == "ml/m2" for row in measured.table.rows))
    expected = compared(session, "female", 1.7)
    assert expected["lv_volume_ml"].unit == "ml/m2"
    assert_table_is(measured, expected)
    assert (session.state.sex, session.state.body_surface_m2) == ("female", 1.7)
    measured.ui.surfaceBox.value = measured.ui.surfaceBox.minimum
    assert measured.ui.surfaceBox.text == "unknown"
    assert session.state.body_surface_m2 == 0.0
    wait_for(lambda: all(row.unit != "ml/m2" for row in measured.table.rows))


def test_what_is_outside_its_norm_is_marked_by_symbol_colour_and_source(session, measured, explore, wait_for):
    explore.ui.scaleSlider.value = 1.6
    settle(session, measured, wait_for)
    wait_for(lambda: any(row.verdict == "high" for row in measured.table.rows))
    (number,) = [n for n, row in enumerate(measured.table.rows) if row.key == "lv_volume_ml"]
    item = measured.ui.measureTable.item(number, 1)
    assert cell(measured, number, 3) == "▲"
    assert item.font().bold()
    color = item.foreground().color()
    assert color.red() > 2 * color.green()
    assert "Hudsmith et al., Normal human left and right ventricular" in item.toolTip()
    high = sum(row.verdict in ("low", "high") for row in measured.table.rows)
    assert str(high) in measured.ui.measureNoteLabel.text
    explore.ui.resetButton.click()
    settle(session, measured, wait_for)
    wait_for(lambda: measured.table.rows[number].verdict == "normal")
    assert not measured.ui.measureTable.item(number, 1).font().bold()


def test_sources_tell_what_was_not_checked():
    from FedSimCore.worker.protocol import MeasurementRow
    from FedSimSlicerLib.norm_sources import source_of

    row = MeasurementRow(
        key="lv_wall_mean_mm", name="", value=1, unit="mm", low=1, high=2, verdict="low", citation="hindso2017"
    )
    assert source_of(row).startswith("Hindso et al.")
    assert "not checked" in source_of(row)


def test_rows_stay_where_they_are_while_a_slider_moves(session, measured, explore, wait_for):
    table = measured.ui.measureTable
    items = [table.item(row, 1) for row in range(table.rowCount)]
    table.selectRow(3)
    for value in (0.2, 0.4, 0.6):
        explore.modes.sliders[0].slider.value = value
        settle(session, measured, wait_for)
    assert [table.item(row, 1) for row in range(table.rowCount)] == items
    assert table.currentRow() == 3


def test_the_copied_table_can_be_pasted_into_a_spreadsheet(application, session, measured):
    measured.ui.copyButton.click()
    data = application.slicer.app.clipboard().mimeData()
    heading, *rows = csv.reader(io.StringIO(data.text()), delimiter="\t")
    assert heading == ["Measurement", "Value", "Unit", "Low", "High", "Verdict", "Source"]
    expected = compared(session)
    assert len(rows) == len(expected)
    for row, known in zip(rows, expected.values(), strict=True):
        assert row[0] == known.measurement.name
        assert float(row[1]) == pytest.approx(known.value, abs=0.51)
        assert row[5] == known.verdict
    assert data.html().count("<tr>") == len(expected) + 1


def test_numbers_of_an_earlier_heart_are_greyed_out_until_the_worker_is_back(session, measured, explore, wait_for):
    import os
    import signal

    before = [cell(measured, row, 1) for row in range(measured.ui.measureTable.rowCount)]
    os.kill(session.worker.client.pid, signal.SIGKILL)
    explore.ui.scaleSlider.value = 1.3
    wait_for(lambda: not measured.ui.measureTable.enabled)
    assert [cell(measured, row, 1) for row in range(measured.ui.measureTable.rowCount)] == before
    assert "earlier heart" in measured.ui.measureNoteLabel.text
    settle(session, measured, wait_for)
    wait_for(lambda: cell(measured, 0, 1) != before[0])
    assert_table_is(measured, compared(session))
