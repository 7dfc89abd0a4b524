import json
from collections import Counter
from pathlib import Path

import pytest

from FedSimCore.cohorts import Case, Cohort
from FedSimCore.cohorts.splits import make_splits, read_splits, write_splits
from FedSimCore.errors import InputError


def a_cohort(**sites: int) -> Cohort:
    cases = [
        Case(id=f"{site}_{number:02d}", image=Path("i.nii"), label=Path("l.nii"), site=site)
        for site, count in sites.items()
        for number in range(count)
    ]
    return Cohort(name="test", cases=tuple(cases))


PAPER = {"CT20": 20, "CT34LC": 34, "CT34MC": 34}


@pytest.mark.parametrize("sites", [PAPER, {"adult": 20, "congenital-mild": 34, "congenital-severe": 34}])
def test_the_papers_sites_get_the_papers_sizes(sites):
    splits = make_splits(a_cohort(**sites))
    for site, (train, val, test, labelled) in zip(
        sites, [(12, 4, 4, [4, 8]), (20, 7, 7, [6, 12]), (20, 7, 7, [6, 12])], strict=True
    ):
        folds = splits.sites[site].folds
        assert splits.sites[site].sizes == "paper"
        assert len(folds) == 5
        for fold in folds[:4]:
            assert (len(fold.train), len(fold.val), len(fold.test)) == (train, val, test)
            assert list(fold.labelled) == labelled
    last = splits.sites[list(sites)[1]].folds[4]
    assert (len(last.train), len(last.val), len(last.test)) == (21, 7, 6)


@pytest.mark.parametrize(("count", "folds"), [(20, 5), (34, 5), (7, 3), (5, 5), (11, 4), (4, 2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_case_is_tested_once_and_is_in_one_set_of_each_fold(count, folds, seed):
    cohort = a_cohort(somewhere=count)
    made = make_splits(cohort, seed, folds).sites["somewhere"].folds
    everyone = {case.id for case in cohort.cases}
    assert Counter(name for fold in made for name in fold.test) == dict.fromkeys(everyone, 1)
    for fold in made:
        assert sorted([*fold.train, *fold.val, *fold.test]) == sorted(everyone)


def test_labelled_subsets_are_nested_and_train():
    for fold in make_splits(a_cohort(CT34LC=34)).sites["CT34LC"].folds:
        assert set(fold.labelled[6]) < set(fold.labelled[12]) < set(fold.train)


def test_the_same_seed_draws_the_same_folds_whatever_the_order_of_the_table_or_the_other_sites():
    cohort = a_cohort(**PAPER)
    alone = Cohort(cases=tuple(case for case in cohort.cases[::-1] if case.site == "CT34LC"))
    assert make_splits(alone, 3).sites["CT34LC"] == make_splits(cohort, 3).sites["CT34LC"]
    assert make_splits(alone, 4).sites["CT34LC"] != make_splits(cohort, 3).sites["CT34LC"]
    sites = make_splits(cohort).sites
    assert [name[-2:] for name in sites["CT34LC"].folds[0].test] != [
        name[-2:] for name in sites["CT34MC"].folds[0].test
    ]


def test_unlabelled_cases_are_kept_apart():
    cases = (*a_cohort(CT20=20).cases, Case(id="bare", image=Path("i.nii"), site="CT20"))
    site = make_splits(Cohort(cases=cases)).sites["CT20"]
    assert site.unlabelled == ("bare",)
    assert all("bare" not in (*fold.train, *fold.val, *fold.test) for fold in site.folds)
    only = make_splits(Cohort(cases=cases[-1:])).sites["CT20"]
    assert (only.folds, only.unlabelled) == ((), ("bare",))


def test_folds_and_splits_that_the_table_fixes_are_kept():
    cases = [case.model_copy(update={"fold": number % 3}) for number, case in enumerate(a_cohort(x=9).cases)]
    folds = make_splits(Cohort(cases=tuple(cases))).sites["x"].folds
    assert [sorted(fold.test) for fold in folds] == [[f"x_{n:02d}" for n in range(k, 9, 3)] for k in range(3)]
    roles = ["train", "train", "train", "val", "test", "test"]
    cases = [case.model_copy(update={"split": role}) for case, role in zip(a_cohort(x=6).cases, roles, strict=True)]
    (fold,) = make_splits(Cohort(cases=tuple(cases))).sites["x"].folds
    assert (sorted(fold.train), fold.val, fold.test) == (["x_00", "x_01", "x_02"], ("x_03",), ("x_04", "x_05"))


@pytest.mark.parametrize(
    ("count", "options", "words"),
    [
        (3, {}, r"too few labelled cases \(3\) for 5 folds"),
        (5, {"folds": 1}, "nothing to train on"),
        (5, {"folds": 0}, "nothing to train on"),
        (6, {"folds": 2, "val": 3}, "leave none for training"),
        (6, {"folds": 2, "val": -1}, "leave none for training"),
        (6, {"folds": 3, "labelled": [5]}, "5 labelled cases can't be shown"),
        (6, {"folds": 3, "labelled": [0]}, "0 labelled cases can't be shown"),
    ],
)
def test_splits_that_are_impossible_are_refused(count, options, words):
    with pytest.raises(InputError, match=words):
        make_splits(a_cohort(x=count), **options)


def test_a_file_of_splits_reads_back_and_knows_its_cohort(tmp_path):
    cohort = a_cohort(**PAPER)
    splits = make_splits(cohort, 7)
    write_splits(splits, tmp_path / "splits.json")
    assert read_splits(tmp_path / "splits.json", cohort) == splits
    fewer = Cohort(cases=cohort.cases[1:])
    with pytest.raises(InputError, match="made for another cohort"):
        read_splits(tmp_path / "splits.json", fewer)


def test_a_damaged_file_of_splits_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    write_splits(make_splits(a_cohort(x=10)), path)
    content = json.loads(path.read_text())
    content["sites"]["x"]["folds"][1]["test"].append(content["sites"]["x"]["folds"][1]["train"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"damaged at sites\.x\.folds\.1 .*two of train, val and test"):
        read_splits(path)
    path.write_text(json.dumps(content | {"schema_name": "fedsim/splits/9"}))
    with pytest.raises(InputError, match="its schema is fedsim/splits/9"):
        read_splits(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="is no file of splits"):
        read_splits(path)
