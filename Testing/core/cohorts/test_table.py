from pathlib import Path

import pytest

from FedSimCore.cohorts import Case, Cohort, read_table, write_cohort
from FedSimCore.errors import InputError


def a_cohort(folder: Path) -> Cohort:
    return Cohort(
        name=folder.name,
        cases=(
            Case(
                id="a1",
                image=folder / "a1.nii.gz",
                label=folder / "labels" / "a1.nii.gz",
                site="CT20",
                group="VSD, PDA",
            ),
            Case(
                id="b2",
                image=folder.parent / "elsewhere" / "b2",
                site="MR",
                modality="MR",
                split="test",
                fold=3,
                series="1.2.840",
                center_mm=(1.25, -3.5, 7),
                spacing_mm=(0.5, 0.5, 1),
                hu_offset=-1024,
                extra={"kvp": "100"},
            ),
        ),
    )


def test_a_written_table_reads_back_the_same(tmp_path):
    cohort = a_cohort(tmp_path / "set")
    table = write_cohort(cohort, tmp_path / "set")
    assert table == tmp_path / "set" / "cohort.csv"
    back = read_table(table)
    assert back.case("b2") == cohort.case("b2")
    assert back.case("a1") == cohort.case("a1").model_copy(update={"extra": {"kvp": ""}})
    assert back.checksum() == cohort.checksum()


def test_paths_below_the_table_are_relative_so_that_the_folder_can_move(tmp_path):
    table = write_cohort(a_cohort(tmp_path / "set"), tmp_path / "set")
    moved = tmp_path / "moved"
    (tmp_path / "set").rename(moved)
    assert read_table(moved / table.name).case("a1").label == moved / "labels" / "a1.nii.gz"


def test_a_spreadsheets_semicolons_and_byte_order_mark_are_understood(tmp_path):
    (tmp_path / "cohort.csv").write_text("\ufeffcase;image;site\nx;x.nii.gz;Basel\n", encoding="utf-8")
    case = read_table(tmp_path / "cohort.csv").cases[0]
    assert (case.id, case.site, case.image) == ("x", "Basel", tmp_path / "x.nii.gz")


def test_a_case_without_id_is_named_after_its_image(tmp_path):
    (tmp_path / "cohort.csv").write_text("image\nscans/heart7.nii.gz\n")
    assert read_table(tmp_path / "cohort.csv").cases[0].id == "heart7"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither a column 'image' nor 'label'"),
        ("case,site\nx,y\n", "neither a column 'image' nor 'label'"),
        ("case,image\n", "lists no case"),
        ("case,image\nx,a.nii\nx,b.nii\n", "the id x occurs more than once"),
        ("case,image,fold\nx,a.nii,first\n", "line 2: fold 'first'"),
        ("case,image,modality\nx,a.nii,PET\n", "line 2: modality 'PET'"),
        ("case,image\n../x,a.nii\n", "line 2: id '../x'"),
        ("case,image,center_mm\nx,a.nii,1 2\n", "line 2: center_mm"),
        ("case,image,spacing_mm\nx,a.nii,1 2 0\n", "spacing_mm must be positive"),
        ("case,image\nx,a.nii,Basel\n", "more cells than the header"),
        ("case,image\nx,\n", "a case needs an image or a label map"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_why(tmp_path, text, words):
    (tmp_path / "cohort.csv").write_text(text)
    with pytest.raises(InputError, match=r"cohort\.csv") as refused:
        read_table(tmp_path / "cohort.csv")
    assert words in str(refused.value)


def test_the_checksum_changes_with_the_patients_but_not_with_their_order_or_place(tmp_path):
    here, there = a_cohort(tmp_path / "here"), a_cohort(tmp_path / "there")
    reversed_ = Cohort(cases=there.cases[::-1])
    assert here.checksum() == reversed_.checksum()
    assert Cohort(cases=here.cases[:1]).checksum() != here.checksum()
