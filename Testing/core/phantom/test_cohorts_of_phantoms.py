"""Cohorts on disk, the comparison with the norms, the command, and bad input."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from FedSimCore.cli.cohort_phantom import phantom as command
from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.phantom import make_cohort, make_label_map, make_phantom
from FedSimCore.cohorts.phantom.compare import compare
from FedSimCore.cohorts.phantom.scanning import scanning
from FedSimCore.cohorts.phantom.sites import shape_table, sites, variants
from FedSimCore.errors import InputError
from FedSimCore.volumes.io import read_label_map, read_volume


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    steps = []
    folder = tmp_path_factory.mktemp("phantoms")
    cohort = make_cohort("adult", 3, 7, folder, lambda *step: steps.append(step), spacing_mm=3.0)
    return folder, cohort, steps


def test_a_cohort_lies_on_disk_with_images_labels_truth_and_table(made):
    folder, cohort, steps = made
    table = read_cohort(folder)
    assert [case.site for case in table.cases] == ["adult"] * 3
    assert [case.group for case in table.cases] == ["normal"] * 3
    expected = make_phantom("adult", 70001, spacing_mm=3.0)
    case = table.cases[1]
    np.testing.assert_array_equal(read_label_map(case.label).array, expected.label.array)
    np.testing.assert_allclose(read_volume(case.image).array, expected.image.array, atol=0.51)
    assert read_volume(case.image).grid.same_as(expected.image.grid)
    truth = json.loads((folder / "truth" / f"{case.id}.json").read_text())
    assert truth["volumes_ml"] == pytest.approx(expected.facts["volumes_ml"])
    assert steps[-1][:2] == (3, 3)
    assert json.loads((folder / "comparison.json").read_text())["rows"]
    assert cohort.table == folder / "cohort.csv"


def test_the_comparison_sets_volumes_walls_hu_and_variance_beside_norms(made):
    rows = made[1].comparison
    kinds = {row.quantity for row in rows}
    assert {"LV volume, end diastole", "LV wall, mean", "Left atrium", "Shape variance, first 1 mode"} <= kinds
    volume = next(row for row in rows if row.quantity == "LV volume, end diastole")
    values = [fact["volumes_ml"]["lv"] for fact in made[1].facts if fact["sex"] == volume.group]
    assert volume.mean == pytest.approx(np.mean(values))
    assert volume.norm == {"male": "160 ± 29", "female": "135 ± 26"}[volume.group]
    assert volume.citation == "hudsmith2005"


def test_norms_of_adults_are_not_held_against_children(made):
    child = {**made[1].facts[0], "age_years": 3.0}
    assert all(row.norm == "" for row in compare([child], []) if row.group in ("male", "female"))


def test_the_command_prints_a_table_or_json(tmp_path):
    app = typer.Typer()
    app.command()(command)
    options = ["--site", "adult", "-n", "1", "--spacing", "4", "-o", str(tmp_path)]
    table = CliRunner().invoke(app, options, env={"COLUMNS": "200"})
    assert table.exit_code == 0, table.output
    assert "hudsmith2005" in table.output
    result = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert result["cases"][0]["site"] == "adult"
    assert result["table"].endswith("cohort.csv")


def test_bad_input_is_named_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r"'mars'; the sites are adult, congenital-mild, congenital-severe"):
        make_phantom("mars", 0)
    with pytest.raises(InputError, match="have 0 patients"):
        make_cohort("adult", 0, 0, tmp_path)
    with pytest.raises(InputError, match="seed of a phantom cohort is -1;"):
        make_cohort("adult", 1, -1, tmp_path)
    with pytest.raises(InputError, match="seed of a phantom is -2"):
        make_label_map("adult", -2)
    for spacing in (0.0, -1.0, float("nan"), 50.0):
        with pytest.raises(InputError, match=r"give 0\.3 to 5 mm"):
            make_label_map("adult", 0, spacing_mm=spacing)
    with pytest.raises(InputError, match="no heart variant 'cold'"):
        make_phantom("adult", 0, variant="cold")
    assert list(tmp_path.iterdir()) == []


def test_the_tables_hang_together():
    for each in sites().values():
        assert each.look in scanning().looks
    for variant in variants().values():
        assert set(variant.shape) <= set(shape_table())
        assert all(low <= high for low, high in variant.shape.values())
        assert all(factor > 0 for factor in variant.targets.values())


def test_a_damaged_table_is_reported_by_name(tmp_path, monkeypatch):
    from FedSimCore.cohorts.phantom import sites as module

    (tmp_path / "sites.json").write_text('{"sites": [{"name": "adult"}]}')
    monkeypatch.setattr(module, "resource_path", lambda name: tmp_path / name.split("/")[-1])
    with pytest.raises(InputError, match=r"sites\.json is not valid"):
        module.sites.__wrapped__()
