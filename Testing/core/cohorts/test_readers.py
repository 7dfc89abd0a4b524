import csv
from pathlib import Path

import numpy as np
import pytest

from FedSimCore.cohorts import load_case, read_cohort
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import write_label_map, write_volume
from FedSimCore.volumes.reading import VolumeWarning
from Testing.core.volumes.making import a_label_map, a_volume, an_affine, write_dicom_series


def write_pair(folder: Path, stem: str, values: dict[int, int] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(a_volume(), folder / f"{stem}_image.nii.gz", "int16")
    label = a_label_map()
    table = np.array([(values or {}).get(value, value) for value in range(8)])
    write_volume(Volume(table[label.array], label.grid), folder / f"{stem}_label.nii.gz", "int16")


MMWHS = {1: 500, 2: 205, 3: 600, 4: 420, 5: 550, 6: 820, 7: 850}
IMAGECHD = {1: 1, 2: 5, 3: 2, 4: 3, 5: 4, 6: 6, 7: 7}


def test_mmwhs_is_read_as_distributed(tmp_path):
    write_pair(tmp_path / "ct_train", "ct_train_1002", MMWHS)
    write_pair(tmp_path / "ct_train", "ct_train_1001", MMWHS)
    write_pair(tmp_path / "mr_train", "mr_train_1001", MMWHS)
    write_volume(a_volume(), tmp_path / "ct_train" / "ct_test_2001_image.nii.gz")
    (tmp_path / "ReadMe.txt").write_text("terms of use")
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort.cases] == ["ct_test_2001", "ct_train_1001", "ct_train_1002", "mr_train_1001"]
    assert cohort.case("ct_test_2001").label is None
    assert [(case.site, case.modality) for case in cohort.cases[2:]] == [("CT20", "CT"), ("MR20", "MR")]
    loaded = load_case(cohort.case("ct_train_1001"))
    assert loaded.label is not None
    np.testing.assert_array_equal(loaded.label.array, a_label_map().array)


def write_imagechd(folder: Path) -> None:
    folder.mkdir()
    for number in (1001, 1017):
        stored = Volume(a_volume().array + 1024, Grid((7, 6, 5), np.eye(4)))
        write_volume(stored, folder / f"ct_{number}_image.nii.gz", "int16")
        label = np.array([IMAGECHD.get(value, 0) for value in range(8)])[a_label_map().array]
        write_volume(Volume(label, stored.grid), folder / f"ct_{number}_label.nii.gz", "int16")


DIAGNOSES = [
    ["index", "ASD", "VSD", "PDA", "NORMAL", "IGNORED"],
    ["1001", "1", "", "1", "", ""],
    ["1017", "", "", "", "1", "1"],
]
GEOMETRY = [
    [
        "idx",
        "1",
        "",
        "PatientBirthDate",
        "20101112",
        "",
        "",
        "",
        "PixelSpacing",
        "0.4",
        "0.3",
        "calculate_z_thick",
        "0.5",
    ],
    [
        "idx",
        "17",
        "",
        "PatientBirthDate",
        "20101112",
        "",
        "",
        "",
        "PixelSpacing",
        "0.25",
        "0.25",
        "calculate_z_thick",
        "0.6",
    ],
]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_imagechd_is_read_as_distributed_with_its_spacing_and_diagnoses_from_the_tables(tmp_path):
    write_imagechd(tmp_path / "set")
    write_csv(tmp_path / "set" / "imageCHD_dataset_info.csv", DIAGNOSES)
    write_csv(tmp_path / "imagechd_dataset_image_info.csv", GEOMETRY)
    cohort = read_cohort(tmp_path / "set")
    assert [(case.id, case.group, case.site) for case in cohort.cases] == [
        ("ct_1001", "ASD+PDA", "ImageCHD"),
        ("ct_1017", "NORMAL", "ImageCHD"),
    ]
    loaded = load_case(cohort.case("ct_1001"))
    assert loaded.image is not None
    assert loaded.label is not None
    np.testing.assert_allclose(loaded.image.grid.spacing_mm, (0.3, 0.4, 0.5))
    np.testing.assert_allclose(loaded.label.grid.spacing_mm, (0.3, 0.4, 0.5))
    np.testing.assert_array_equal(loaded.image.array, a_volume().array)
    np.testing.assert_array_equal(loaded.label.array, a_label_map().array)


def test_imagechd_tables_are_read_from_excel_too(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    write_imagechd(tmp_path / "set")
    for name, rows in (("imageCHD_dataset_info", DIAGNOSES), ("imagechd_dataset_image_info", GEOMETRY)):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([float(cell) if cell.replace(".", "").isdigit() else cell or None for cell in row])
        book.save(tmp_path / "set" / f"{name}.xlsx")
    case = read_cohort(tmp_path / "set").case("ct_1001")
    assert (case.group, case.spacing_mm) == ("ASD+PDA", (0.3, 0.4, 0.5))


def test_imagechd_without_its_tables_warns_that_spacing_is_unknown(tmp_path):
    write_imagechd(tmp_path / "set")
    with pytest.warns(VolumeWarning) as told:
        cohort = read_cohort(tmp_path / "set")
    assert any("voxel sizes are unknown" in str(one.message) for one in told)
    assert cohort.cases[0].spacing_mm is None


def test_a_folder_of_ones_own_files_is_matched_by_name(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    write_volume(a_volume(), tmp_path / "images" / "anna_0000.nii.gz")
    write_label_map(a_label_map(), tmp_path / "labels" / "anna.nii.gz")
    write_volume(a_volume(), tmp_path / "bert.nrrd")
    write_label_map(a_label_map(), tmp_path / "bert-label.nrrd")
    write_label_map(a_label_map(), tmp_path / "clara.nii")  # unmarked, but eight bits
    write_dicom_series(tmp_path / "Doe John", a_volume())
    cohort = read_cohort(tmp_path)
    found = {
        case.id: tuple(path and str(path.relative_to(tmp_path)) for path in (case.image, case.label))
        for case in cohort.cases
    }
    assert found == {
        "anna": ("images/anna_0000.nii.gz", "labels/anna.nii.gz"),
        "bert": ("bert.nrrd", "bert-label.nrrd"),
        "clara": (None, "clara.nii"),
        "Doe_John": ("Doe John", None),
    }
    assert load_case(cohort.case("Doe_John")).image is not None


def test_two_files_for_one_role_are_refused_by_name(tmp_path):
    write_volume(a_volume(), tmp_path / "anna.nrrd")
    write_volume(a_volume(), tmp_path / "anna.nii.gz")
    with pytest.raises(InputError, match="are both the image of anna"):
        read_cohort(tmp_path)


def test_a_name_that_cannot_be_an_id_asks_for_a_table(tmp_path):
    write_volume(a_volume(), tmp_path / "größe.nii.gz")
    with pytest.raises(InputError, match="can't be a case's name"):
        read_cohort(tmp_path)


def test_nothing_is_no_cohort(tmp_path):
    with pytest.raises(InputError, match="holds no cohort"):
        read_cohort(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_cohort(tmp_path / "missing")


def table_of(tmp_path: Path, **columns: str) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(",".join(columns) + "\n" + ",".join(columns.values()) + "\n")
    return path


def test_image_and_label_that_do_not_overlap_are_refused(tmp_path):
    write_volume(a_volume(), tmp_path / "image.nii.gz")
    far = an_affine("oblique")
    far[:3, 3] += 500
    write_label_map(Volume(a_label_map().array, Grid((7, 6, 5), far)), tmp_path / "label.nii.gz")
    case = read_cohort(table_of(tmp_path, image="image.nii.gz", label="label.nii.gz")).cases[0]
    with pytest.raises(InputError, match=r"label\.nii\.gz doesn't overlap with .*image\.nii\.gz"):
        load_case(case)


def test_a_spacing_that_contradicts_the_header_is_refused(tmp_path):
    write_volume(a_volume(), tmp_path / "image.nii.gz")
    case = read_cohort(table_of(tmp_path, image="image.nii.gz", spacing_mm="0.5 0.5 0.5")).cases[0]
    with pytest.raises(InputError, match=r"but its table says \[0\.5, 0\.5, 0\.5\] mm"):
        load_case(case)


def test_an_hu_offset_is_added(tmp_path):
    write_volume(a_volume(), tmp_path / "image.nii.gz")
    case = read_cohort(table_of(tmp_path, image="image.nii.gz", hu_offset="-24")).cases[0]
    image = load_case(case).image
    assert image is not None
    np.testing.assert_array_equal(image.array, a_volume().array - 24)
