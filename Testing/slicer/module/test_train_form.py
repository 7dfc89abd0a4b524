"""A recipe's config becomes a form by its JSON schema alone, with errors at their fields."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from PySide6.QtTest import QTest

from FedSimCore.errors import InputError


@pytest.fixture
def fields(application):
    from FedSimSlicerLib.training_fields import training_fields

    return {field.name: field for field in training_fields("shape-generator")}


@pytest.fixture
def form(application, tmp_path):
    import qt

    from FedSimSlicerLib.training_form import TrainingForm

    page = qt.QWidget()
    main, more = qt.QVBoxLayout(page), qt.QVBoxLayout()
    main.addLayout(more)
    made = TrainingForm(main, more)
    made.show({"recipe": "shape-generator", "steps": 300}, "the test")
    page.show()
    yield made
    page.close()


def type_text(widget, text):
    widget.setFocus()
    widget.selectAll()
    QTest.keyClicks(widget, text)


def test_every_recipe_has_a_form_with_help_for_every_field(application):
    from FedSimCore.training.recipes import KINDS
    from FedSimSlicerLib.training_fields import training_fields

    for kind in KINDS:
        found = training_fields(kind)
        assert {field.name for field in found} == set(KINDS[kind].model_fields) - {"recipe"}
        assert all(field.tip for field in found)
        # A segmenter may learn from chests made at random, without a cohort.
        assert found[0].name == "cohort"
        assert found[0].required == (kind != "segmenter")
        assert {field.name for field in found if field.main} >= set(KINDS[kind].main)


def test_kinds_units_bounds_and_defaults_come_from_the_schema(fields):
    assert {name: fields[name].kind for name in ("steps", "learning_rate", "cohort", "gradient", "hidden")} == {
        "steps": "integer",
        "learning_rate": "number",
        "cohort": "path",
        "gradient": "choice",
        "hidden": "list",
    }
    assert (fields["spacing_mm"].label, fields["spacing_mm"].unit) == ("Spacing", "mm")
    assert (fields["checkpoint_minutes"].label, fields["checkpoint_minutes"].unit) == ("Checkpoint", "min")
    assert fields["micro_batch"].optional
    assert fields["shape_model"].kind == "path"
    assert "8 to 512." in fields["size"].full_tip()
    assert "More than 0, at most 50." in fields["spacing_mm"].full_tip()
    assert "Default: 128" in fields["size"].full_tip()


def test_texts_become_values_and_back(fields):
    assert fields["learning_rate"].parse("0,001") == 0.001
    assert fields["hidden"].parse("64, 32") == [64, 32]
    assert fields["hidden"].format((64, 32)) == "64, 32"
    assert fields["sites"].parse("a,b") == ["a", "b"]
    assert fields["micro_batch"].parse(" ") is None
    with pytest.raises(InputError, match=r"Steps cannot be “4\.5”; type a whole number"):
        fields["steps"].parse("4.5")


def test_a_value_is_kept_while_it_is_typed_and_marked_when_it_is_not_the_recipes(form):
    row = form.rows["steps"]
    assert row.widget.text == "300"
    assert not row.widget.font.italic()
    type_text(row.widget, "40")
    assert form.changes == {"steps": 40}
    assert form.settings() == ["steps=40"]
    assert row.widget.font.italic()
    row.reset.click()
    assert form.changes == {}
    assert row.widget.text == "300"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("steps", "0", "greater than or equal to 1"),
        ("steps", "many", "type a whole number"),
        ("size", "1000", "less than or equal to 512"),
        ("learning_rate", "-1", "greater than 0"),
        ("hidden", "64, x", "type a whole number"),
    ],
)
def test_what_cannot_be_is_told_below_its_field_and_does_not_count(form, name, text, reason):
    row = form.rows[name]
    type_text(row.widget, text)
    assert reason in row.reason.text
    assert not row.reason.isHidden()
    assert form.changes == {}


def test_a_missing_cohort_is_told_at_its_field_when_the_config_is_wanted(form):
    from FedSimCore.training.recipes import ConfigError

    with pytest.raises(ConfigError):
        form.config()
    assert form.rows["cohort"].reason.text == "Cohort is missing."
    form.rows["cohort"].widget.currentPath = "/somewhere"
    assert form.rows["cohort"].reason.isHidden()
    assert str(form.config().cohort) == "/somewhere"


def test_a_reset_brings_everything_back_but_the_cohort(form):
    form.rows["cohort"].widget.currentPath = "/somewhere"
    type_text(form.rows["steps"].widget, "40")
    form.set("gradient", "finite-differences")
    assert form.rows["gradient"].widget.currentText == "finite-differences"
    form.reset()
    assert form.changes == {"cohort": "/somewhere"}
    assert form.rows["gradient"].widget.currentText == "boundary"


def test_another_recipe_takes_the_place_of_the_one_before(form):
    before = form.rows["steps"].widget
    form.rows["cohort"].widget.currentPath = "/somewhere"
    main, more = form._layouts
    counts = main.count(), more.count()
    form.show({"recipe": "generator"}, "the test")
    assert (main.count(), more.count()) == counts
    assert before.window() is not form.rows["steps"].widget.window(), "the old page has left"
    assert "material" in form.rows
    assert form.changes == {"cohort": "/somewhere"}, "it is kept where the new recipe says nothing"


def test_tab_goes_from_field_to_field_in_the_order_in_which_they_are_seen(form):
    names, widget = [], form.rows["cohort"].widget
    fields = {row.widget: name for name, row in form.rows.items()}
    while len(names) < len(fields):
        if widget in fields:
            names.append(fields[widget])
        widget = widget.nextInFocusChain()
    main = [name for name in names if form.rows[name].field.main]
    assert main == ["cohort", "sites", "steps", "batch_size", "size", "spacing_mm", "learning_rate", "device"]
    assert names == list(form.rows)
