"""The report on whole cohorts, and `fedsim quality`."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.errors import InputError
from FedSimCore.evaluation.hearts import read_hearts
from FedSimCore.evaluation.quality import compare_cohorts
from FedSimCore.networks.vgg import random_vgg19
from FedSimCore.volumes import Volume
from FedSimCore.volumes.io import read_label_map, write_label_map
from Testing.core.evaluation.cohorts_on_disk import write_blobs

ON_GRID = {"size": 32, "spacing_mm": 4.0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohorts")
    return {
        "real": write_blobs(root / "real", range(5)),
        "alike": write_blobs(root / "alike", range(10, 15)),
        "dark": write_blobs(root / "dark", range(10, 15), blood_hu=0.0),
        "unlabelled": write_blobs(root / "unlabelled", range(5), labelled=False),
    }


def compared(folders, generated, reference="real"):
    made, real = (read_hearts(folders[name], **ON_GRID) for name in (generated, reference))
    return compare_cohorts(made, real, random_vgg19(), spacing_mm=4.0, draws=30)


def test_a_cohort_beside_itself_is_perfect(folders):
    report = compared(folders, "real")
    assert report.fid.value == pytest.approx(0, abs=1e-6)
    assert report.precision.value == pytest.approx(1)
    assert report.recall.value == pytest.approx(1)
    assert all(distance.value == 0 for distance in report.hounsfield_hu.values())
    assert all(jumps["ratio"] == pytest.approx(1) for jumps in report.slice_jumps.values())
    assert report.ms_ssim_generated.value == report.ms_ssim_reference.value


def test_hearts_with_another_contrast_are_told_from_hearts_alike(folders):
    alike, dark = (compared(folders, name) for name in ("alike", "dark"))
    assert dark.fid.low > alike.fid.high
    assert dark.mmd.value > 3 * abs(alike.mmd.value)
    assert dark.hounsfield_hu["lv"].value == pytest.approx(300, abs=15)
    assert alike.hounsfield_hu["lv"].value < 15
    assert dark.ms_ssim_between.value < alike.ms_ssim_between.value
    assert alike.fid_of_reference_halves is not None


def test_the_report_names_its_features_and_tells_what_was_compared(folders):
    report = compared(folders, "alike")
    assert report.features == random_vgg19().name
    assert (report.generated.name, report.generated.hearts, report.reference.hearts) == ("alike", 5, 5)
    assert report.settings["size"] == 32
    assert json.loads(json.dumps(report.content()))["schema"] == "fedsim/cohort-quality/1"
    recall, precision = zip(*report.prd_curve, strict=True)
    assert recall[0] > recall[-1]
    assert precision[0] < precision[-1]


def test_without_labels_regions_are_left_out_and_the_report_says_so(folders):
    report = compared(folders, "unlabelled")
    assert report.hounsfield_hu == {}
    assert report.slice_jumps == {}
    assert "Only 0 of 5 hearts of unlabelled have labels" in report.notes[0]
    # The middle of the image is the middle of the blob, so that the images are still the same.
    assert report.ms_ssim_between.value > 0.2


def test_scans_that_end_within_the_grid_are_told(folders):
    made, real = (read_hearts(folder, 32, 5.0) for folder in (folders["alike"], folders["real"]))
    notes = compare_cohorts(made, real, random_vgg19(), 5.0, draws=20).notes
    assert made.hearts[0].covered == pytest.approx((128 / 160) ** 3, abs=0.03)
    assert len([note for note in notes if "of the grid; the rest counts as air" in note]) == 2


def test_one_heart_is_no_cohort_and_mr_has_no_hounsfield_units(folders, tmp_path):
    with pytest.raises(InputError, match="has 1 cases with an image; to compare cohorts each needs two"):
        read_hearts(write_blobs(tmp_path / "one", range(1)), **ON_GRID)
    table = folders["real"] / "mr.csv"
    table.write_text("case,image,modality\na,case0_image.nii.gz,MR\nb,case1_image.nii.gz,MR")
    with pytest.raises(InputError, match="a is an MR image"):
        read_hearts(table, **ON_GRID)


def test_a_site_alone_is_read_and_an_unknown_one_refused(folders):
    assert len(read_hearts(folders["real"], **ON_GRID, site="a").hearts) == 5
    with pytest.raises(InputError, match="no site 'b'"):
        read_hearts(folders["real"], **ON_GRID, site="b")


def test_the_command_writes_and_prints_the_same_report(folders, tmp_path):
    arguments = ["quality", str(folders["alike"]), str(folders["real"]), "--size", "32", "--spacing", "4"]
    out = tmp_path / "report.json"
    result = CliRunner().invoke(app, [*arguments, "--draws", "20", "--json", "-o", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(out.read_text())
    table = CliRunner().invoke(app, [*arguments, "--draws", "20"], catch_exceptions=False).stdout
    assert "FID" in table
    assert "Image features: VGG-19 layers, random weights" in table


def test_a_damaged_weights_file_is_refused_before_any_cohort_is_read(tmp_path):
    (tmp_path / "vgg.pth").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="damaged"):
        CliRunner().invoke(
            app, ["quality", "nowhere", "nowhere", "--vgg19", str(tmp_path / "vgg.pth")], catch_exceptions=False
        )
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    ("spoil", "options", "sentence"),
    [
        (lambda folder: (folder / "cohort.csv").write_text("case,image,label,site\n"), [], "lists no case"),
        (lambda folder: [file.unlink() for file in folder.iterdir()], [], "holds no cohort"),
        (lambda folder: (folder / "case1_image.nii.gz").unlink(), [], "case1"),
        (lambda folder: [blank(file) for file in folder.glob("*label*")], [], "only background"),
        (lambda folder: None, ["--site", "elsewhere"], "no site 'elsewhere'"),
        (lambda folder: None, ["--spacing", "0"], "spacing of 0.0 mm is impossible"),
    ],
)
def test_a_cohort_that_cannot_be_compared_is_one_sentence(folders, tmp_path, spoil, options, sentence):
    folder = write_blobs(tmp_path / "spoilt", range(2))
    spoil(folder)
    arguments = ["quality", str(folders["real"]), str(folder), "--size", "32", "--spacing", "4", *options]
    with pytest.raises(InputError, match=sentence) as told:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert str(told.value).count("\n") == 0


def blank(path):
    label = read_label_map(path)
    write_label_map(Volume(np.zeros_like(label.array), label.grid), path)
