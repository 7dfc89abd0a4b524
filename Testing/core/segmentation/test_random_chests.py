"""Random chests and what is made of them: depends on a seed alone, and is anatomy under any change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore.errors import InputError
from FedSimCore.segmentation.anatomies import Anatomy, cached_anatomy, model_anatomy, phantom_anatomy
from FedSimCore.segmentation.appearance import STRUCTURES, draw_contrast, draw_look, structure_keys
from FedSimCore.segmentation.augmentation import TrainingVolume, augmentation, draw_sample
from FedSimCore.volumes import Grid


@pytest.fixture(scope="module")
def chest() -> Anatomy:
    return model_anatomy(5, 6.0)


@pytest.fixture(scope="module")
def phantom() -> Anatomy:
    return phantom_anatomy("adult", 11, 6.0)


def case_of(anatomy: Anatomy) -> TrainingVolume:
    parts = (torch.from_numpy(a) if a is not None else None for a in (anatomy.structures, anatomy.hounsfield))
    return TrainingVolume(anatomy.name, torch.from_numpy(anatomy.label), *parts)


def test_a_chest_of_the_shape_model_has_a_heart_within_lungs_bones_and_skin(chest: Anatomy):
    keys = {structure_keys()[value] for value in np.unique(chest.structures) if value}
    assert {"lung", "cortical_bone", "skin", "liver", "descending_aorta", "couch"} <= keys
    assert set(np.unique(chest.label)) == set(range(8))
    assert np.array_equal(np.where(chest.label > 0, chest.structures, 0), chest.label)


def test_a_phantoms_chest_is_whole_and_has_air_round_it(phantom: Anatomy):
    extent = np.array(phantom.label.shape) * 6.0
    assert (extent > [250, 200, 280]).all()
    for face in (phantom.hounsfield[0], phantom.hounsfield[-1], phantom.hounsfield[:, -1]):
        assert np.median(face) < -900
    blood = phantom.hounsfield[phantom.label == 1]
    assert 0 < np.median(blood) < 900


def test_the_same_seed_gives_the_same_chest_and_another_another(chest: Anatomy):
    assert np.array_equal(model_anatomy(5, 6.0).structures, chest.structures)
    assert not np.array_equal(model_anatomy(7, 6.0).label, chest.label)


def test_a_chest_is_kept_in_a_file_and_a_damaged_file_is_told(tmp_path: Path):
    made = cached_anatomy(tmp_path, "model", "", 3, 8.0)
    (file,) = tmp_path.iterdir()
    read = cached_anatomy(tmp_path, "model", "", 3, 8.0)
    assert (read.name, read.spacing_mm) == (made.name, 8.0)
    assert np.array_equal(read.structures, made.structures)
    file.write_bytes(b"no zip")
    with pytest.raises(InputError, match="delete it, and it is made again"):
        cached_anatomy(tmp_path, "model", "", 3, 8.0)


def test_looks_keep_the_order_of_air_fat_and_bone():
    labels = {key: label for label, key in structure_keys().items()}
    for seed in range(20):
        mean, texture = draw_look(np.random.default_rng(seed))
        assert mean.shape == texture.shape == (STRUCTURES,)
        assert mean[0] < mean[labels["lung"]] < mean[labels["subcutaneous_fat"]] < mean[labels["muscle"]]
        assert mean[labels["muscle"]] < mean[labels["cortical_bone"]]
        assert mean[labels["lv"]] == mean[labels["la"]] == mean[labels["descending_aorta"]]


def test_phases_range_from_no_contrast_to_dense_boluses():
    levels = [40 + c.slope * c.iodine["left"] for c in (draw_contrast(np.random.default_rng(s)) for s in range(200))]
    assert min(levels) < 50
    assert np.quantile(levels, 0.9) > 350
    venous = [draw_contrast(np.random.default_rng(s)) for s in range(200)]
    ratios = [c.iodine["rv"] / c.iodine["left"] for c in venous if c.phase == "venous"]
    assert len(ratios) > 30
    assert 0.8 < min(ratios) < max(ratios) < 1.2


def test_a_sample_is_a_function_of_case_and_seed(phantom: Anatomy):
    case, how = case_of(phantom), augmentation("wide")
    one, same, other = (
        draw_sample(case, case.heart_middle(), 32, 6.0, how, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one.hounsfield, same.hounsfield)
    assert torch.equal(one.label, same.label)
    assert not torch.equal(one.hounsfield, other.hounsfield)


def test_without_augmentation_a_patch_is_the_case_itself_round_the_heart(phantom: Anatomy):
    case = case_of(phantom)
    middle = case.heart_middle().round()
    sample = draw_sample(case, middle + 0.5, 16, 6.0, augmentation("none"), np.random.default_rng(0))
    low = (middle - 7).int().tolist()
    block = tuple(slice(a, a + 16) for a in low)
    assert torch.equal(sample.label, case.label[block])
    assert torch.allclose(sample.hounsfield, case.hounsfield[block].float(), atol=0.01)


def test_labels_stay_with_their_image_under_any_change(chest: Anatomy):
    # Blood that is brighter than everything: where it is in the image, the label must be.
    case, how = case_of(chest), augmentation("wide")
    only = TrainingVolume("blood", case.label, hounsfield=torch.where(case.label == 1, 3000, -1000).short())
    for seed in range(5):
        changes = {
            "noise_hu": (0, 0),
            "bias_hu": (0, 0),
            "blobs": 0,
            "streaks": 0,
            "field": 0,
            "anywhere": 0,
            "slices": 0,
        }
        sample = draw_sample(
            only, case.heart_middle(), 32, 6.0, how.model_copy(update=changes), np.random.default_rng(seed)
        )
        bright = sample.hounsfield > sample.hounsfield.max() / 3
        both = 2 * (bright & (sample.label == 1)).sum() / (bright.sum() + (sample.label == 1).sum())
        assert both > 0.75


def test_beyond_a_smaller_field_of_view_there_is_nothing_to_see_or_to_find(phantom: Anatomy):
    case = case_of(phantom)
    how = augmentation("none").model_copy(update={"field": 1.0, "field_mm": (60.0, 70.0)})
    sample = draw_sample(case, case.heart_middle(), 32, 6.0, how, np.random.default_rng(0))
    assert sample.hounsfield[0].max() <= -1000
    assert not sample.label[0].any()
    assert sample.label.any()


def test_flips_mirror_labels_and_image_together(phantom: Anatomy):
    case, how = case_of(phantom), augmentation("none")
    samples = [
        draw_sample(case, case.heart_middle(), 32, 6.0, how, np.random.default_rng(seed), flip=True)
        for seed in range(8)
    ]
    plain = draw_sample(case, case.heart_middle(), 32, 6.0, how, np.random.default_rng(0))
    mirrored = [
        axes
        for sample in samples
        for axes in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
        if torch.equal(sample.label, plain.label.flip(axes))
        and torch.allclose(sample.hounsfield, plain.hounsfield.flip(axes), atol=0.01)
    ]
    assert len(mirrored) >= 4


def test_a_case_smaller_than_the_patch_is_padded_with_air():
    label = torch.zeros(10, 10, 10, dtype=torch.uint8)
    case = TrainingVolume("small", label, hounsfield=torch.full((10, 10, 10), 50, dtype=torch.int16))
    sample = draw_sample(case, case.heart_middle(), 16, 3.0, augmentation("none"), np.random.default_rng(0))
    assert float(sample.hounsfield[0, 0, 0]) == -1000
    assert float(sample.hounsfield[8, 8, 8]) == 50
    assert Grid.centered(10, 3.0).shape == (10, 10, 10)
