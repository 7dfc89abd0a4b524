"""Who is learnt from, and whose labels are shown, is decided by splits, by the table, or by the seed."""

from __future__ import annotations

import pytest

from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.splits import make_splits, write_splits
from FedSimCore.errors import InputError
from FedSimCore.training.case_choice import choose_cases


def write(folder, rows, header="case,image,label,site"):
    folder.mkdir(exist_ok=True)
    (folder / "cohort.csv").write_text("\n".join([header, *rows]))
    return folder


@pytest.fixture
def cohort(tmp_path):
    rows = [f"x{n:02d},x{n}.nii.gz,x{n}_l.nii.gz,a" for n in range(10)]
    return write(
        tmp_path / "cohort", [*rows, "bare,bare.nii.gz,,a", "only,,only_l.nii.gz,b", "two,t.nii.gz,t_l.nii.gz,b"]
    )


def ids(cases):
    return [case.id for case in cases]


def test_fewer_labelled_cases_are_among_the_more_and_the_rest_are_images(cohort):
    four, eight = (choose_cases(cohort, ["a"], count, seed=3) for count in (4, 8))
    assert len(four.labelled) == 4
    assert set(ids(four.labelled)) < set(ids(eight.labelled))
    assert set(ids(four.unlabelled)) | set(ids(four.labelled)) == {"bare", *(f"x{n:02d}" for n in range(10))}
    assert ids(four.labelled) == sorted(ids(four.labelled))
    other = choose_cases(cohort, ["a"], 4, seed=4)
    assert ids(other.labelled) != ids(four.labelled)


def test_a_site_draws_the_same_whatever_other_sites_there_are(cohort):
    alone, both = choose_cases(cohort, ["a"], 3), choose_cases(cohort, (), (3, 1))
    assert [case for case in both.labelled if case.site == "a"] == list(alone.labelled)
    assert len(both.labelled) == 4
    assert "only" not in ids(both.unlabelled)  # it has no image to learn from


def test_the_tables_roles_keep_test_cases_out_and_validation_cases_apart(tmp_path):
    rows = ["t,t.nii,t_l.nii,a,train", "n,n.nii,n_l.nii,a,", "v,v.nii,v_l.nii,a,val", "q,q.nii,q_l.nii,a,test"]
    chosen = choose_cases(write(tmp_path / "c", rows, "case,image,label,site,split"))
    assert ids(chosen.labelled) == ["t", "n"]
    assert ids(chosen.held) == ["v"]
    assert chosen.unlabelled == ()
    assert chosen.forbidden == {"v", "q"}


def test_a_file_of_splits_decides_for_each_fold_and_in_its_order(cohort, tmp_path):
    path = tmp_path / "splits.json"
    rows = [row for row in (cohort / "cohort.csv").read_text().splitlines()[1:] if row.endswith(",a")]
    write(cohort, rows)
    splits = make_splits(read_cohort(cohort), seed=1, folds=5, labelled=[2, 4])
    write_splits(splits, path)
    for number, fold in enumerate(splits.sites["a"].folds):
        chosen = choose_cases(cohort, ["a"], 4, path, number)
        assert set(ids(chosen.labelled)) == set(fold.labelled[4])
        assert ids(chosen.held) == list(fold.val)
        assert chosen.forbidden == {*fold.val, *fold.test}
        assert set(ids(chosen.unlabelled)) == {"bare", *fold.train} - set(fold.labelled[4])
    with pytest.raises(InputError, match="5 folds, numbered from 0; there is no fold 5"):
        choose_cases(cohort, ["a"], 4, path, 5)
    with pytest.raises(InputError, match="9 labelled cases were asked of the site a, which trains on 6"):
        choose_cases(cohort, ["a"], 9, path, 0)
