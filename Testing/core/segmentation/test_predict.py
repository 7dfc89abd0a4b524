"""A scan of any spacing, orientation and size gives labels on its own grid, at the same place in the world."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from FedSimCore.errors import CancelledError, InputError
from FedSimCore.evaluation.segmentation import compare
from FedSimCore.segmentation.predict import segment
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.resample import reorient, resample, resample_labels
from Testing.core.segmentation.thresholds import Thresholds, heart_labels, painted, thresholds


@pytest.fixture(scope="module")
def labels() -> Volume:
    return heart_labels()


@pytest.fixture(scope="module")
def scan(labels: Volume) -> Volume:
    return painted(labels)


@pytest.fixture(scope="module")
def found(scan: Volume):
    return segment(scan, thresholds(spacing_mm=2.0))


def dice(found: Volume, reference: Volume) -> list[float]:
    return [s.dice for s in compare(found, reference, metrics=["dice"]).regions]


def test_every_region_is_found_where_it_is(found, labels: Volume):
    assert found.found
    assert found.labels.grid.same_as(labels.grid)
    assert min(dice(found.labels, labels)) > 0.99


def test_volumes_are_those_of_the_labels(found, labels: Volume):
    counts = np.bincount(found.labels.array.ravel(), minlength=8)
    assert found.volumes_ml["lv"] == pytest.approx(counts[1] * 8 / 1000)
    assert found.volumes_ml["myo"] == pytest.approx(np.count_nonzero(labels.array == 2) * 8 / 1000, rel=0.01)


@pytest.mark.parametrize("axes", ["LPS", "SRA", "AIL", "PSR"])
def test_a_flipped_and_transposed_scan_gives_the_same_heart_in_the_world(scan: Volume, found, axes: str):
    turned = reorient(scan, axes)
    result = segment(turned, thresholds(spacing_mm=2.0))
    assert result.labels.grid.same_as(turned.grid)
    assert np.array_equal(reorient(result.labels, "RAS").array, found.labels.array)


def test_an_oblique_scan_gives_the_same_heart_in_the_world(scan: Volume, labels: Volume, found):
    angle = np.deg2rad(25)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = np.append(scan.grid.center_mm, 0) * [1, 1, 1, 0]
    affine = turn @ scan.grid.affine
    affine[:3, 3] += (np.eye(3) - turn[:3, :3]) @ middle[:3]
    oblique = resample(scan, Grid(scan.grid.shape, affine), "nearest", outside=-1000.0)
    result = segment(oblique, thresholds(spacing_mm=2.0))
    truth = resample_labels(labels, oblique.grid, "nearest")
    # Between two regions this segmenter sees a third one's HU: only whole hearts can agree well.
    assert dice(result.labels, truth)[0] > 0.96
    assert dice(result.labels, found.labels)[0] > 0.96
    assert min(dice(result.labels, found.labels)) > 0.75


class Strides(Thresholds):
    """Tells regions at every second voxel of its window only, between them the left ventricle."""

    def forward(self, inputs):
        logits = super().forward(inputs)
        left = logits.clone()
        left[:, 1] = logits[:, 1:].amax(1)
        left[:, 2:] = -1e4
        left[..., ::2, ::2, ::2] = logits[..., ::2, ::2, ::2]
        return left


@pytest.mark.parametrize("patch", [32, 96])
def test_windows_lie_at_the_same_places_in_the_world_wherever_the_scan_begins(scan: Volume, patch: int):
    def found_in(part: Volume) -> np.ndarray:
        segmenter = thresholds(spacing_mm=2.0, patch=patch, channels=(4, 8, 16))
        segmenter.network = Strides()
        return segment(part, segmenter).labels.array

    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world((1, 2, 3))
    cut = np.ascontiguousarray(scan.array[1:, 2:, 3:])
    whole, again = found_in(scan), found_in(Volume(cut, Grid(cut.shape, affine)))
    assert len(np.unique(whole)) > 2  # at every second voxel there are other regions than at the rest
    assert np.array_equal(whole[1:, 2:, 3:], again)


def test_a_scan_of_thick_slices_gets_labels_in_these_slices(labels: Volume):
    coarse = Grid((90, 90, 36), labels.grid.affine @ np.diag([1, 1, 2.5, 1]))
    thick = painted(resample_labels(labels, coarse, "nearest"))
    result = segment(thick, thresholds(spacing_mm=2.0))
    assert result.labels.array.shape == (90, 90, 36)
    assert dice(result.labels, resample_labels(labels, coarse, "nearest"))[0] > 0.9


def test_a_scan_without_a_heart_gives_an_empty_label_and_says_so(scan: Volume):
    lungs = Volume(np.random.default_rng(0).normal(-800, 5, scan.grid.shape).astype(np.float32), scan.grid)
    result = segment(lungs, thresholds())
    assert not result.found
    assert not result.labels.array.any()
    assert result.confidence == 0
    assert "No heart was found" in result.warnings[0]


def test_islands_far_from_the_heart_are_taken_away(scan: Volume, found):
    spoiled = scan.array.copy()
    spoiled[2:8, 2:8, 2:8] = 500.0
    result = segment(Volume(spoiled, scan.grid), thresholds(spacing_mm=2.0))
    assert np.array_equal(result.labels.array, found.labels.array)


def test_a_heart_at_the_edge_is_told(scan: Volume):
    middle = scan.grid.shape[2] // 2
    half = Volume(scan.array[:, :, :middle], Grid((*scan.grid.shape[:2], middle), scan.grid.affine))
    assert any("edge of the scan" in sentence for sentence in segment(half, thresholds()).warnings)


@pytest.mark.parametrize(("margin", "is_told"), [(0, True), (6, False)])
def test_a_heart_is_told_to_be_at_the_edge_only_where_it_is_near(scan: Volume, labels: Volume, margin: int, is_told):
    first = int(np.flatnonzero(labels.array.any(axis=(1, 2)))[0]) - margin
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world((first, 0, 0))
    part = np.ascontiguousarray(scan.array[first:])
    warnings = segment(Volume(part, Grid(part.shape, affine)), thresholds(spacing_mm=4.0)).warnings
    assert any("edge of the scan" in sentence for sentence in warnings) == is_told


def test_a_binary_segmenter_gives_the_whole_heart_as_one(scan: Volume, labels: Volume):
    class Heart(torch.nn.Module):
        def forward(self, inputs):
            soft = (inputs[:, :1] > -0.5) * 10.0
            return torch.cat([5 - soft, soft - 5], 1)

    binary = thresholds(regions="heart", spacing_mm=2.0)
    binary.network = Heart()
    result = segment(scan, binary)
    assert list(result.volumes_ml) == ["heart"]
    assert compare(result.labels, labels, regions="heart", metrics=["dice"]).of("heart").dice > 0.95


def test_uncertainty_is_high_where_two_labels_are_alike_and_low_inside(scan: Volume):
    uncertain = scan.array.copy()
    uncertain[scan.array == 100.0] = 150.0  # half way between left ventricle and myocardium
    result = segment(Volume(uncertain, scan.grid), thresholds(spacing_mm=2.0), uncertainty=True)
    assert result.uncertainty.grid.same_as(scan.grid)
    in_ventricle, in_right = (float(np.median(result.uncertainty.array[scan.array == hu])) for hu in (100.0, 300.0))
    assert in_ventricle == pytest.approx(np.log(2) / np.log(8), abs=0.02)
    assert in_right < 0.01


def test_mirror_images_are_averaged_only_where_they_were_learnt(scan: Volume, found):
    with pytest.raises(InputError, match="has not seen mirrored hearts"):
        segment(scan, thresholds(), flips=True)
    flipped = segment(scan, thresholds(spacing_mm=2.0, flips=True), flips=True)
    assert np.array_equal(flipped.labels.array, found.labels.array)


def test_progress_is_told_window_by_window_and_can_cancel(scan: Volume):
    seen = []
    segment(scan, thresholds(), progress=lambda done, total, stage: seen.append((stage, done, total)))
    for stage in ("looking for the heart", "segmenting"):
        windows = [entry[1:] for entry in seen if entry[0] == stage]
        assert windows == sorted(windows)
        assert windows[-1][0] == windows[-1][1] >= 8

    def cancel(done: int, total: int, stage: str) -> None:
        if stage == "segmenting" and done == 3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        segment(scan, thresholds(), progress=cancel)


def test_values_that_are_no_hounsfield_units_are_told(scan: Volume):
    shifted = Volume(scan.array + 1024, scan.grid)
    assert any("looks like MR" in sentence for sentence in segment(shifted, thresholds()).warnings)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda a: a[:4], "4 x 90 x 90 voxels, 8 mm thin"),
        (lambda a: np.zeros_like(a), "Every voxel of the scan is 0"),
        (lambda a: np.where(a > 0, np.nan, a), "NaN or infinite"),
    ],
)
def test_a_scan_that_cannot_show_a_heart_is_refused(scan: Volume, spoil, sentence: str):
    array = spoil(scan.array)
    with pytest.raises(InputError, match=sentence):
        segment(Volume(array, Grid(array.shape, scan.grid.affine)), thresholds())


def test_a_liver_larger_than_the_heart_is_not_taken_for_it(scan: Volume, found):
    shape = (150, 90, 90)
    wide = np.full(shape, -1000.0, np.float32)
    wide[:90] = scan.array
    wide[95:145, 10:80, 10:80] = 300.0  # as bright as the right ventricle, and twice the heart
    result = segment(Volume(wide, Grid(shape, scan.grid.affine)), thresholds(spacing_mm=2.0))
    assert np.array_equal(result.labels.array[:90], found.labels.array)
    assert not result.labels.array[90:].any()


def test_what_lies_far_from_the_heart_changes_nothing(scan: Volume, found):
    """The second look is centred on the heart, whatever else the scan shows."""
    wide = np.pad(scan.array, ((40, 0), (0, 30), (0, 0)), constant_values=-800.0)
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world((-40, 0, 0))
    result = segment(Volume(wide, Grid(wide.shape, affine)), thresholds(spacing_mm=2.0))
    assert np.array_equal(result.labels.array[40:, :90], found.labels.array)
