from __future__ import annotations

import json
from pathlib import Path

import pytest

from FedSimCore.cohorts import read_cohort
from FedSimCore.errors import InputError
from FedSimCore.experiments.cases import CaseTable
from FedSimCore.experiments.definition import read_experiment, shipped_experiments
from FedSimCore.experiments.planning import make_plan
from FedSimCore.experiments.scale import read_scale, shipped_scales
from FedSimCore.experiments.trained import Trained
from FedSimCore.training.recipes import checked_config
from Testing.core.experiments.tiny import LOWER, SITE


def plan_of(tiny):
    return tiny.order(Path("unused")).plan()


@pytest.mark.parametrize("name", shipped_experiments())
@pytest.mark.parametrize("scale", shipped_scales())
def test_every_shipped_experiment_asks_the_recipes_for_what_they_know(name, scale, tmp_path):
    plan = make_plan(read_experiment(name), read_scale(scale))
    for artifact in {one.key: one for cell in plan.cells for one in cell.scores.with_needs()}.values():
        if isinstance(artifact, Trained):
            paths = {field: str(tmp_path) for field in artifact.inputs}
            checked_config({"recipe": artifact.recipe, **artifact.fields, **paths}, artifact.title)


def test_table_3_has_the_papers_columns_and_numbers():
    experiment = read_experiment("table3")
    columns = [f"{site.key}/{labelled}" for site in experiment.sites for labelled in site.labelled]
    assert columns == ["CT20/4", "CT20/8", "CT34LC/6", "CT34LC/12", "CT34MC/6", "CT34MC/12"]
    assert experiment.method("full").paper["CT34LC/12"] == (88.98, 1.86)
    assert experiment.method("upper-bound").paper["CT34MC"] == (85.75, 2.43)
    for method in experiment.methods:
        if method.paper and method.finetune == "labelled":
            assert list(method.paper) == columns


def test_cells_share_what_is_the_same(tiny):
    plan = plan_of(tiny)
    full, shapes = (plan.chosen([f"{SITE}/*/0/{method}"])[0] for method in ("full", "true-shapes"))
    shared = {one.key for one in full.scores.with_needs()} & {one.key for one in shapes.scores.with_needs()}
    titles = [one.title for one in full.scores.with_needs() if one.key in shared]
    assert any(title.startswith("generator-learnt") for title in titles)
    assert any(title.startswith("model-pre") for title in titles)
    assert not any(title.startswith("segmenter") for title in titles)


def test_the_upper_bound_is_one_training_for_all_label_sizes():
    plan = make_plan(read_experiment("table3"), read_scale("small"))
    four, eight = plan.chosen(["CT20/*/0/upper-bound"])
    assert four.scores.key == eight.scores.key


def test_a_changed_setting_is_another_artifact_and_a_changed_machine_is_not(tiny, changed):
    before = plan_of(tiny).cells[0].scores
    scale = json.loads(tiny.scale.read_text())
    scale["recipes"]["segmenter"]["steps"] = 5
    after = tiny.order(Path("unused"), scale=changed("scale", **scale)).plan().cells[0].scores
    assert before.key != after.key
    assert before.tested.key == after.tested.key
    assert tiny.order(Path("elsewhere"), device="cuda", threads=3).plan().cells[0].scores.key == before.key


def test_no_training_sees_a_test_case_or_a_hidden_label(tiny):
    plan = plan_of(tiny)
    fold = plan.sites[SITE].split.folds[0]
    for cell in plan.cells:
        for one in cell.scores.with_needs():
            if isinstance(one, Trained):
                tables = [need for need in one.inputs.values() if isinstance(need, CaseTable)]
                for table in tables:
                    assert not {*table.shown, *table.hidden, *table.val} & set(fold.test)
                    if cell.method not in ("upper-bound", "true-shapes"):
                        assert set(table.shown) <= set(fold.labelled[2])


def test_methods_make_the_same_number_of_steps(tiny):
    for cell in plan_of(tiny).cells:
        runs = [one for one in cell.scores.with_needs() if isinstance(one, Trained) and one.recipe == "segmenter"]
        assert sum(run.fields["steps"] for run in runs) == 4


def test_patterns_name_cells(tiny):
    plan = plan_of(tiny)
    assert [cell.name for cell in plan.chosen([f"{SITE}/2/0/full", "*/*/*/lower-bound"])] == [
        f"{SITE}/2/0/lower-bound",
        f"{SITE}/2/0/full",
    ]
    assert len(plan.chosen([f"{SITE}//0"])) == 5
    with pytest.raises(InputError, match="names no cell"):
        plan.chosen(["B"])


def test_patients_of_other_hospitals_are_columns_of_their_own():
    plan = make_plan(read_experiment("out-of-distribution"), read_scale("coarse"))
    cell = plan.chosen(["CT20/4/0/lower-bound"])[0]
    assert cell.column == "CT20/4<CT34LC"
    assert cell.scores.tested.synthetic is not None
    cases = set(cell.scores.tested.synthetic.content["cases"])
    assert cases == set(plan.sites["CT34LC"].split.folds[0].test)


def test_more_folds_than_cases_are_refused(tiny, changed):
    with pytest.raises(InputError, match=r"too few labelled cases \(9\) for 10 folds"):
        tiny.order(Path("unused"), experiment=changed("experiment", folds=10)).plan()


def test_more_labels_than_training_cases_are_refused(tiny, changed):
    with pytest.raises(InputError, match=r"4 labelled cases can't be shown: the site A trains on 3 a fold"):
        tiny.order(Path("unused"), scale=changed("scale", labelled=[4])).plan()


def test_a_missing_cohort_an_unknown_site_and_a_site_of_another_name_are_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        tiny.order(tmp_path, cohorts=((SITE, tmp_path / "nowhere"),)).plan()
    with pytest.raises(InputError, match="no site 'CT20'; it has A"):
        tiny.order(tmp_path, cohorts=(("CT20", tiny.cohort),)).plan()
    rows = (tiny.cohort / "cohort.csv").read_text().replace(f",{SITE}\n", ",B\n", 3).replace(f",{SITE}", ",C")
    table = tiny.cohort / "other.csv"
    table.write_text(rows)
    with pytest.raises(InputError, match=r"has no site 'A' but B, C"):
        tiny.order(tmp_path, cohorts=((SITE, table),)).plan()


def test_a_single_site_of_any_name_is_taken(tiny, tmp_path):
    rows = (tiny.cohort / "cohort.csv").read_text().replace(f",{SITE}", ",somewhere")
    table = tiny.cohort / "renamed.csv"
    table.write_text(rows)
    plan = tiny.order(tmp_path, cohorts=((SITE, table),)).plan()
    assert plan.sites[SITE].crops.source.cohort().sites == (SITE,)
    assert len(read_cohort(table).cases) == 9


@pytest.mark.parametrize(
    ("what", "fields", "told"),
    [
        ("experiment", {"methods": [{**LOWER, "finetune": None}]}, "methods.0: a method needs hearts to learn from"),
        ("experiment", {"methods": [LOWER, LOWER]}, "methods: lower-bound occurs more than once"),
        ("experiment", {"folds": 1}, "folds: Input should be greater than or equal to 2"),
        ("experiment", {"comparisons": [{"method": "x", "against": "full"}]}, "names 'x', which is no method"),
        ("scale", {"size": 40}, "size: Input should be a multiple of 32"),
        ("scale", {"recipes": {"segmenter": {"init": "x"}}}, "segmenter.init is decided by the experiment"),
        ("scale", {"schema": "fedsim/recipe/1"}, "is not fedsim/experiment-scale/1 of FedSim"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_by_field(tiny, changed, what, fields, told):
    with pytest.raises(InputError, match=told):
        tiny.order(Path("unused"), **{what: changed(what, **fields)}).plan()


def test_images_cannot_be_true_without_their_shapes(tiny, changed):
    method = {"key": "x", "title": "x", "pretrain": {"source": "exchanged", "variant": "pre", "truth": ["images"]}}
    with pytest.raises(InputError, match="would be labelled wrongly"):
        tiny.order(Path("unused"), experiment=changed("experiment", methods=[method], comparisons=[])).plan()


def test_an_unknown_name_is_told_those_there_are():
    with pytest.raises(InputError, match=r"no experiment 'table9'; those that ship are out-of-distribution"):
        read_experiment("table9")
    with pytest.raises(InputError, match=r"no scale 'huge'; give coarse or paper or small"):
        read_scale("huge")
