"""Scores of label maps against a reference, checked where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from FedSimCore.evaluation.segmentation import balanced_average_hausdorff, compare, dice, implementations, summary
from FedSimCore.volumes import Grid, Volume


def cube(low: tuple[int, int, int], high: tuple[int, int, int], size: int = 30) -> np.ndarray:
    array = np.zeros((size, size, size), np.uint8)
    array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return array


def volume(array: np.ndarray, spacing=(1.0, 1.0, 1.0)) -> Volume:
    return Volume(array, Grid.centered(array.shape, spacing))


def test_a_label_map_agrees_with_itself():
    labels = cube((5, 5, 5), (15, 15, 15))
    labels[15:20, 5:15, 5:15] = 3
    scores = compare(volume(labels), volume(labels), "a")
    for key in ("heart", "lv", "rv"):
        score = scores.of(key)
        assert (score.dice, score.hd95_mm, score.assd_mm, score.bahd_mm) == (1.0, 0.0, 0.0, 0.0)
    assert scores.mean() == 1.0


def test_a_cube_moved_along_an_axis_has_known_dice_and_hausdorff_distance():
    spacing = (2.0, 1.0, 1.0)
    a, b = cube((5, 5, 5), (15, 15, 15)), cube((8, 5, 5), (18, 15, 15))
    score = compare(volume(a, spacing), volume(b, spacing), regions="heart").of("heart")
    assert score.dice == pytest.approx(0.7)
    # Both ends, 200 of 488 surface voxels of each cube with its rims, lie 6 mm from the other's surface or less.
    assert score.hd95_mm == pytest.approx(6.0)
    assert 0 < score.assd_mm < 6


def test_average_surface_distance_of_nested_cubes_is_that_of_their_faces():
    # The inner cube's surface voxels all lie 3 mm inside the outer's faces; the outer's 3 mm or more from the inner's.
    outer, inner = cube((4, 4, 4), (26, 26, 26)), cube((7, 7, 7), (23, 23, 23))
    score = compare(volume(inner), volume(outer), regions="heart").of("heart")
    inner_to_outer = 3.0
    faces = np.argwhere(outer - cube((5, 5, 5), (25, 25, 25)))
    outside = np.maximum(np.maximum(7 - faces, faces - 22), 0)
    outer_to_inner = np.linalg.norm(outside, axis=1)
    count = 16**3 - 14**3
    expected = (inner_to_outer * count + outer_to_inner.sum()) / (count + len(faces))
    assert score.assd_mm == pytest.approx(expected, rel=1e-6)


def test_the_balanced_distance_divides_both_sums_by_the_size_of_the_reference():
    reference = np.zeros((20, 3, 3), bool)
    reference[2:6, 1, 1] = True
    found = np.zeros_like(reference)
    found[4:12, 1, 1] = True
    # d(g, S) = 2, 1, 0, 0; d(s, G) = 0, 0, 1 to 6; four voxels in the reference, 3 mm apart.
    assert balanced_average_hausdorff(found, reference, (3.0, 1.0, 1.0)) == pytest.approx(3 * (3 + 21) / (2 * 4))


def test_more_false_voxels_never_better_the_balanced_distance():
    reference = np.zeros((40, 3, 3), bool)
    reference[10:14, 1, 1] = True
    far, near = reference.copy(), reference.copy()
    far[20, 1, 1] = True
    near[[14, 20], 1, 1] = True
    plain = [
        (np.array([min(abs(s - g) for g in range(10, 14)) for s in np.flatnonzero(m[:, 1, 1])])).mean()
        for m in (far, near)
    ]
    balanced = [balanced_average_hausdorff(m, reference, (1, 1, 1)) for m in (far, near)]
    assert plain[1] < plain[0] + 1e-9  # the plain mean calls the worse segmentation no worse
    assert balanced[1] > balanced[0]


def test_a_region_missing_in_one_has_dice_zero_and_no_distance():
    a, b = cube((5, 5, 5), (15, 15, 15)), cube((5, 5, 5), (15, 15, 15))
    b[16:20, 16:20, 16:20] = 5
    score = compare(volume(a), volume(b)).of("ra")
    assert score.dice == 0
    assert score.hd95_mm is None
    assert score.bahd_mm is None


def test_a_region_in_neither_has_no_figure_and_does_not_count():
    a = cube((5, 5, 5), (15, 15, 15))
    scores = compare(volume(a), volume(a))
    assert scores.of("pa").dice is None
    assert scores.mean() == 1.0
    assert dice(np.zeros(3, bool), np.zeros(3, bool)) is None


def test_what_touches_the_edge_of_the_image_has_a_surface_there():
    a = np.ones((10, 10, 10), np.uint8)
    b = np.ones((10, 10, 10), np.uint8)
    b[:3] = 0
    assert compare(volume(a), volume(b), regions="heart").of("heart").hd95_mm == pytest.approx(3.0)


def test_labels_on_another_grid_are_brought_onto_the_references():
    fine = np.zeros((40, 40, 40), np.uint8)
    fine[10:30, 10:30, 10:30] = 1
    coarse = Volume(np.ascontiguousarray(fine[::2, ::2, ::2]), Grid.centered(20, 2.0, (-0.5, -0.5, -0.5)))
    score = compare(coarse, volume(fine), regions="heart").of("heart")
    assert score.dice > 0.92  # a fine voxel is lost where 2 mm were marked by their first millimetre


@pytest.mark.parametrize("moved_mm", [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0)])
def test_labels_beyond_the_references_grid_count_as_false(moved_mm):
    reference = cube((5, 5, 5), (15, 15, 15))
    found = reference.copy()
    found[5:15, 5:15, 20:28] = 3
    whole = compare(volume(found), volume(reference))
    cut = Grid((30, 30, 17), volume(reference).grid.affine)
    away = volume(found)
    away = Volume(away.array, Grid(away.grid.shape, _shift(moved_mm) @ away.grid.affine))
    scores = compare(away, Volume(reference[:, :, :17], cut))
    for key in ("heart", "rv"):
        assert scores.of(key).dice == pytest.approx(whole.of(key).dice, abs=0.01)
        assert scores.of(key).found_ml == pytest.approx(whole.of(key).found_ml, rel=0.02)
    assert scores.of("heart").hd95_mm == pytest.approx(whole.of("heart").hd95_mm, abs=0.5)
    assert scores.of("heart").reference_ml == whole.of("heart").reference_ml


def test_labels_elsewhere_in_the_world_have_no_overlap_but_a_distance():
    a = volume(cube((5, 5, 5), (15, 15, 15)))
    b = Volume(a.array, Grid(a.grid.shape, _shift((50, 0, 0)) @ a.grid.affine))
    score = compare(a, b, regions="heart").of("heart")
    assert score.dice == 0
    assert score.found_ml == score.reference_ml == 1.0
    assert score.hd95_mm == pytest.approx(50, abs=5)


def _shift(by_mm) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix


def test_a_summary_has_mean_and_spread_of_the_cases_that_have_the_figure():
    a, b = cube((5, 5, 5), (15, 15, 15)), cube((8, 5, 5), (18, 15, 15))
    table = summary([compare(volume(a), volume(a), "1"), compare(volume(a), volume(b), "2")])
    assert table["lv"]["dice"] == pytest.approx({"mean": 0.85, "sd": 0.3 / np.sqrt(2), "n": 2})
    assert "dice" not in table["pa"]


def test_every_metric_names_its_implementation():
    assert set(implementations()) == {"dice", "hd95_mm", "assd_mm", "bahd_mm"}
    assert "MONAI" in implementations()["hd95_mm"]
