import json

import numpy as np
import pytest

from FedSimCore.cohorts import load_case, read_cohort
from FedSimCore.cohorts.cropping import crop_cohort
from FedSimCore.errors import CancelledError, InputError
from FedSimCore.volumes import Grid
from FedSimCore.volumes.crop import heart_box_mm
from Testing.core.cohorts.hearts import a_heart, write_hearts


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix in (".gz", ".nrrd")}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_crops_are_the_hearts_at_their_own_millimetres(tmp_path, suffix):
    write_hearts(tmp_path / "scans")
    made = crop_cohort(read_cohort(tmp_path / "scans"), tmp_path / "crops", size=64, spacing_mm=2.0, suffix=suffix)
    assert made.failures == {}
    cohort = read_cohort(tmp_path / "crops")
    assert [case.id for case in cohort.cases] == ["heart0", "heart1"]
    for number, case in enumerate(cohort.cases):
        loaded = load_case(case)
        assert loaded.image is not None
        assert loaded.label is not None
        assert loaded.image.grid.same_as(loaded.label.grid)
        assert loaded.image.grid.shape == (64, 64, 64)
        np.testing.assert_allclose(loaded.image.grid.spacing_mm, 2.0)
        _, truth = a_heart(loaded.label.grid, (10.0 * number, -20.0, 30.0))
        for label in range(1, 8):
            one, other = loaded.label.array == label, truth.array == label
            assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.9
        np.testing.assert_allclose(heart_box_mm(loaded.label).mean(0), loaded.label.grid.center_mm, atol=2.1)
        assert np.median(loaded.image.array[truth.array == 1]) == pytest.approx(310, abs=1)
        assert made.record[case.id]["covered"] > 0.5


def test_cropping_again_leaves_what_is_done_and_makes_what_changed(tmp_path):
    cohort = write_hearts(tmp_path / "scans")
    crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    before = stamps(tmp_path / "crops")
    crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    assert stamps(tmp_path / "crops") == before
    (tmp_path / "crops" / "heart1_label.nii.gz").unlink()
    crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    after = stamps(tmp_path / "crops")
    assert after["heart0_image.nii.gz"] == before["heart0_image.nii.gz"]
    assert after["heart1_image.nii.gz"] != before["heart1_image.nii.gz"]
    crop_cohort(cohort, tmp_path / "crops", size=64, spacing_mm=2.5)
    assert stamps(tmp_path / "crops")["heart0_image.nii.gz"] != before["heart0_image.nii.gz"]


def test_a_cancelled_crop_goes_on_where_it_stopped(tmp_path):
    cohort = write_hearts(tmp_path / "scans")

    def stop_after_one(done: int, total: int, stage: str, /) -> None:
        if done == 1:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0, progress=stop_after_one)
    first = stamps(tmp_path / "crops")
    assert set(first) == {"heart0_image.nii.gz", "heart0_label.nii.gz"}
    crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    assert stamps(tmp_path / "crops").items() > first.items()


def test_a_case_that_cannot_be_cropped_does_not_stop_the_others(tmp_path):
    cohort = write_hearts(tmp_path / "scans")
    (tmp_path / "scans" / "0_ct.nii.gz").write_bytes(b"")
    made = crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    assert list(made.failures) == ["heart0"]
    assert "0_ct.nii.gz is empty" in made.failures["heart0"]
    assert [case.id for case in read_cohort(tmp_path / "crops").cases] == ["heart1"]
    assert not (tmp_path / "crops" / "heart0_label.nii.gz").exists()


def test_a_heart_too_large_for_the_grid_is_told_with_its_id_and_the_spacing_that_would_do(tmp_path):
    made = crop_cohort(write_hearts(tmp_path / "scans", 1), tmp_path / "crops", size=32, spacing_mm=1.0)
    assert made.failures["heart0"].startswith("heart0: The heart reaches")
    assert "use a spacing of" in made.failures["heart0"]
    fitted = crop_cohort(write_hearts(tmp_path / "scans", 1), tmp_path / "crops", size=32, spacing_mm="fit")
    assert fitted.failures == {}


def test_an_unlabelled_case_is_cropped_round_its_image_and_says_so(tmp_path):
    cohort = write_hearts(tmp_path / "scans", 2, unlabelled=1)
    made = crop_cohort(cohort, tmp_path / "crops", size=48, spacing_mm=3.0)
    assert made.record["heart1"]["notes"] == ["unlabelled: cropped round the middle of the image"]
    np.testing.assert_allclose(made.record["heart1"]["center_mm"], (10, -20, 30), atol=1e-3)
    (case,) = [case for case in made.cohort.cases if case.id == "heart1"]
    assert case.label is None


def test_a_cohort_is_not_cropped_into_its_own_folder(tmp_path):
    cohort = write_hearts(tmp_path / "scans", 1)
    with pytest.raises(InputError, match=r"holds 0_ct\.nii\.gz of the cohort itself"):
        crop_cohort(cohort, tmp_path / "scans")


def test_a_damaged_record_is_refused(tmp_path):
    cohort = write_hearts(tmp_path / "scans", 1)
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "crops.json").write_text(json.dumps({"schema": "fedsim/crops/9", "crops": {}}))
    with pytest.raises(InputError, match="damaged or of another version"):
        crop_cohort(cohort, tmp_path / "crops")


def test_the_balls_of_the_made_up_heart_are_where_the_record_puts_the_crop(tmp_path):
    made = crop_cohort(write_hearts(tmp_path / "scans", 1), tmp_path / "crops", size=48, spacing_mm=3.0)
    _, label = a_heart(Grid.centered(70, 2.0, (0, -20, 30)), (0.0, -20.0, 30.0))
    np.testing.assert_allclose(made.record["heart0"]["center_mm"], heart_box_mm(label).mean(0), atol=2.0)
