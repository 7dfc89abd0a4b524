import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from FedSimCore.cli.cohort import app
from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.splits import read_splits
from Testing.core.cohorts.hearts import write_hearts


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_show_lists_the_cases(tmp_path):
    write_hearts(tmp_path, 2, unlabelled=1)
    content = json.loads(run("show", tmp_path, "--json").stdout)
    assert [case["id"] for case in content["cases"]] == ["heart0", "heart1"]
    assert content["cohort_sha256"] == read_cohort(tmp_path).checksum()
    assert "heart1" in run("show", tmp_path).stdout


def test_check_prints_a_table_and_exits_with_3_on_a_problem(tmp_path):
    write_hearts(tmp_path)
    assert "heart1" in run("check", tmp_path).stdout
    (tmp_path / "1_regions.nrrd").write_bytes(b"")
    assert "heart1: problem: " in run("check", tmp_path, code=3).stdout
    content = json.loads(run("check", tmp_path, "--json", code=3).stdout)
    assert [len(case["problems"]) for case in content["cases"]] == [0, 1]


def test_split_writes_a_file_that_fits_the_cohort(tmp_path):
    write_hearts(tmp_path / "scans", 4)
    run("split", tmp_path / "scans", "-o", tmp_path / "splits.json", "--folds", 2, "--seed", 3)
    splits = read_splits(tmp_path / "splits.json", read_cohort(tmp_path / "scans"))
    assert splits.seed == 3
    assert len(splits.sites["here"].folds) == 2
    given = ("--folds", 2, "--val", 0, "--labelled", 1, "--labelled", 2, "--json")
    content = json.loads(run("split", tmp_path / "scans", "-o", tmp_path / "splits.json", *given).stdout)
    assert list(content["sites"]["here"]["folds"][0]["labelled"]) == ["1", "2"]


def test_crop_writes_a_cohort_and_exits_with_3_if_a_case_failed(tmp_path):
    write_hearts(tmp_path / "scans")
    options = ("-o", tmp_path / "crops", "--size", 48, "--spacing", "fit")
    content = json.loads(run("crop", tmp_path / "scans", *options, "--json").stdout)
    assert set(content["crops"]) == {"heart0", "heart1"}
    assert len(read_cohort(tmp_path / "crops").cases) == 2
    (tmp_path / "scans" / "0_ct.nii.gz").unlink()
    assert "heart0: not cropped: " in run("crop", tmp_path / "scans", *options, code=3).stderr
    assert run("crop", tmp_path / "scans", "-o", tmp_path / "crops", "--spacing", "wide", code=2)


@pytest.mark.parametrize("verb", ["show", "check"])
def test_a_cohort_that_is_not_there_is_one_sentence_and_exit_code_3(tmp_path, verb):
    command = [sys.executable, "-m", "FedSimCore.cli.main", "cohort", verb, str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == f"fedsim: {tmp_path / 'none'} does not exist; give a folder of volumes or a cohort.csv.\n"


def test_the_command_group_is_light_to_import():
    code = (
        "import sys, FedSimCore.cli.cohort; print(sorted({'numpy', 'torch', 'SimpleITK', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
