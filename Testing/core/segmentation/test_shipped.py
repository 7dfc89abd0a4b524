"""The segmenter that ships: small, honest about itself, and able to find hearts that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore.cohorts.phantom import make_phantom
from FedSimCore.evaluation.segmentation import compare
from FedSimCore.segmentation.model_file import Segmenter, shipped_segmenter
from FedSimCore.segmentation.predict import Segmentation, segment
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import heart_box_mm
from FedSimCore.volumes.io import read_volume
from FedSimCore.volumes.resample import reorient, resample

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "ct_cptac"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(shipped_segmenter())


@pytest.fixture(scope="module")
def phantom():
    """An adult as the site's scanner sees it; its seed is far from those of the training."""
    return make_phantom("adult", 77, spacing_mm=1.5)


@pytest.fixture(scope="module")
def found(segmenter: Segmenter, phantom) -> Segmentation:
    return segment(phantom.image, segmenter)


def test_it_is_a_few_megabytes_and_has_seen_no_case_of_a_cohort(segmenter: Segmenter):
    assert shipped_segmenter().stat().st_size < 8e6
    assert segmenter.header.regions == "seven"
    assert segmenter.header.cases == ()


def test_its_card_says_what_it_saw_and_what_it_is_not_for():
    card = shipped_segmenter().with_suffix(".md").read_text()
    assert "Not for clinical use" in card
    assert "no real voxel" in card
    assert "chests made at random" in card
    assert "from the beginning ends with other weights" in card


def test_it_finds_the_heart_of_an_unseen_phantom(found: Segmentation, phantom):
    scores = compare(found.labels, phantom.label, metrics=["dice"])
    assert found.found
    assert scores.of("heart").dice > 0.85
    assert scores.mean() > 0.7


def test_a_turned_scan_gives_the_same_labels_in_the_world(segmenter: Segmenter, phantom, found: Segmentation):
    turned = segment(reorient(phantom.image, "SPR"), segmenter)
    assert np.array_equal(reorient(turned.labels, "LPS").array, reorient(found.labels, "LPS").array)


def test_an_oblique_finer_scan_gives_nearly_the_same_labels_in_the_world(segmenter: Segmenter, phantom, found):
    box = heart_box_mm(phantom.label)
    grid = Grid.centered(np.ceil((box[1] - box[0] + 80) / 1.2).astype(int).tolist(), 1.2, box.mean(0))
    angle = np.deg2rad(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ grid.affine
    affine[:3, 3] = box.mean(0) - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    oblique = segment(resample(phantom.image, Grid(grid.shape, affine), outside=-1000.0), segmenter)
    assert compare(oblique.labels, found.labels, metrics=["dice"]).of("heart").dice > 0.93


def test_a_scan_that_begins_elsewhere_gives_the_same_labels(segmenter: Segmenter, phantom, found: Segmentation):
    """Its windows lie where they lay, though the first voxel is another; the surface rounds to the same voxels."""
    whole, (i, j, k) = phantom.image, (7, 2, 3)
    cut = Volume(np.ascontiguousarray(whole.array[i:, j:, k:]), _from_voxel(whole.grid, (i, j, k)))
    again = segment(cut, segmenter).labels
    assert compare(again, found.labels, metrics=["dice"]).of("heart").dice > 0.995


def _from_voxel(grid: Grid, first: tuple[int, int, int]) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(first)
    i, j, k = (n - start for n, start in zip(grid.shape, first, strict=True))
    return Grid((i, j, k), affine)


def test_a_cylinder_of_water_has_no_heart(segmenter: Segmenter):
    grid = Grid.centered(100, 3.0)
    x, y = np.meshgrid(np.arange(100) - 50, np.arange(100) - 50, indexing="ij")
    disc = np.where(np.hypot(x, y) < 40, 0.0, -1000.0)[:, :, None]
    water = np.broadcast_to(disc, grid.shape) + np.random.default_rng(0).normal(0, 10, grid.shape)
    result = segment(Volume(water.astype(np.float32), grid), segmenter)
    assert not result.found
    assert not result.labels.array.any()


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data/ct_cptac is not there")
def test_it_finds_a_real_heart_it_was_never_trained_for(segmenter: Segmenter):
    """No ground truth: a venous-phase chest CT, whose heart's extent was read off the picture by eye."""
    scan = read_volume(REAL / "chest_2p5mm.nii.gz")
    result = segment(scan, segmenter)
    whole = sum(result.volumes_ml.values())
    assert result.found
    assert 450 < whole < 1300
    assert min(result.volumes_ml.values()) > 10
