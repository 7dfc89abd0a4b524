"""Surfaces, measurements and comparisons of label maps, asked through a real worker."""

from __future__ import annotations

import numpy as np
import pytest

from FedSimCore.shape.surfaces import enclosed_volume_mm3
from FedSimCore.volumes import Grid
from FedSimCore.volumes.grid_spec import GridSpec
from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_events import RequestFailed
from Testing.core.worker.conversation import Conversation

GRID = Grid.centered(64, 1.25, (20.0, -10.0, 300.0))
AFFINE = GridSpec.of(GRID).affine
CENTER = np.array([20.0, -10.0, 300.0])


def ball(radius_mm: float, label: int = 1, grid: Grid = GRID) -> np.ndarray:
    """A ball in the middle of the grid."""
    index = np.stack(np.indices(grid.shape), -1).reshape(-1, 3)
    distance = np.linalg.norm(grid.to_world(index) - CENTER, axis=1).reshape(grid.shape)
    return (label * (distance <= radius_mm)).astype(np.uint8)


def test_a_ball_gets_a_smooth_surface_of_its_own_volume_in_its_place(conversation: Conversation) -> None:
    done = conversation.ask(p.SurfacesTask(affine=AFFINE), arrays={"labels": ball(20.0, 3)})
    assert done.result.labels == (3,)
    points, faces = done.arrays["points_3"], done.arrays["faces_3"]
    assert (points.dtype, faces.dtype) == (np.float32, np.int32)
    assert np.linalg.norm(points - CENTER, axis=1) == pytest.approx(20.0, abs=0.6)
    exact = 4 / 3 * np.pi * 20.0**3
    assert enclosed_volume_mm3(points.astype(float), faces.astype(np.int64)) == pytest.approx(exact, rel=0.01)


def test_distances_between_balls_are_the_difference_of_their_radii(conversation: Conversation) -> None:
    arrays = {"labels": ball(22.0, 1), "reference": ball(19.0, 1)}
    task = p.CompareLabelsTask(affine=AFFINE, reference_affine=AFFINE, regions="heart")
    done = conversation.ask(task, arrays=arrays)
    (score,) = done.result.scores
    assert (score.region, score.name) == ("heart", "Heart")
    assert score.dice == pytest.approx(2 * 19**3 / (19**3 + 22**3), abs=0.01)
    assert score.assd_mm == pytest.approx(3.0, abs=0.3)
    assert score.hd95_mm == pytest.approx(3.0, abs=0.8)
    assert score.found_ml == pytest.approx(4 / 3 * np.pi * 22**3 / 1000, rel=0.01)
    assert done.arrays["distance_1"] == pytest.approx(3.0, abs=0.7)
    assert done.arrays["distance_1"].mean() == pytest.approx(3.0, abs=0.1)
    assert "MONAI" in done.result.implementations["hd95_mm"]
    inside = conversation.ask(task, arrays={"labels": ball(19.0), "reference": ball(22.0)})
    assert inside.arrays["distance_1"].mean() == pytest.approx(-3.0, abs=0.1)


def test_a_reference_on_another_grid_is_compared_in_the_world(conversation: Conversation) -> None:
    other = Grid(GRID.shape, GRID.affine @ np.array([[0, -1, 0, 70], [1, 0, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1.0]]))
    task = p.CompareLabelsTask(affine=AFFINE, reference_affine=GridSpec.of(other).affine)
    done = conversation.ask(task, arrays={"labels": ball(20.0, 4), "reference": ball(20.0, 4, other)})
    scores = {score.region: score for score in done.result.scores}
    assert scores["la"].dice == pytest.approx(1.0, abs=0.005)
    assert scores["heart"].dice == scores["la"].dice
    assert scores["rv"].dice is None
    assert done.result.labels == (4,)


def test_what_lies_beside_a_small_reference_counts_too(conversation: Conversation) -> None:
    labels = ball(12.0)
    labels[8:14, 30:34, 30:34] = 1
    reference = ball(12.0)
    box = tuple(slice(side.min(), side.max() + 1) for side in np.nonzero(reference))
    affine = GRID.affine.copy()
    affine[:3, 3] = GRID.to_world([side.start for side in box])
    small = GridSpec.of(Grid(reference[box].shape, affine)).affine
    task = p.CompareLabelsTask(affine=AFFINE, reference_affine=small, regions="heart")
    (score,) = conversation.ask(task, arrays={"labels": labels, "reference": reference[box]}).result.scores
    inside = np.count_nonzero(reference)
    assert score.dice == pytest.approx(2 * inside / (2 * inside + 6 * 4 * 4), abs=1e-6)


def test_volumes_are_counted_on_all_voxels_and_compared_with_norms(conversation: Conversation) -> None:
    fine = Grid.centered(120, 0.5, CENTER)
    labels = ball(24.0, 2, fine)
    labels[ball(17.0, 1, fine) > 0] = 1
    task = p.MeasureLabelsTask(affine=GridSpec.of(fine).affine, sex="female", bsa_m2=1.7)
    rows = {row.key: row for row in conversation.ask(task, arrays={"labels": labels}).result.rows}
    ml = np.count_nonzero(labels == 1) * 0.125 / 1000
    assert rows["lv_volume_ml"].value == pytest.approx(ml / 1.7, rel=1e-6)
    assert (rows["lv_volume_ml"].unit, bool(rows["lv_volume_ml"].citation)) == ("ml/m2", True)
    assert rows["lv_wall_mean_mm"].value == pytest.approx(7.0, abs=0.3)
    assert rows["lv_length_mm"].value == pytest.approx(34.0, abs=1.0)


@pytest.mark.parametrize(
    ("task", "arrays", "said"),
    [
        (p.MeasureLabelsTask(name="Anna", affine=AFFINE), {"labels": np.zeros((9, 9, 9), np.uint8)}, "Anna"),
        (p.SurfacesTask(affine=AFFINE), {"labels": np.zeros((9, 9), np.uint8)}, "three dimensions"),
        (
            p.CompareLabelsTask(name="Anna", affine=AFFINE, reference_affine=AFFINE),
            {"labels": ball(9.0), "reference": np.zeros(GRID.shape, np.uint8)},
            "reference of Anna is empty",
        ),
    ],
)
def test_what_cannot_be_measured_is_told(conversation: Conversation, task, arrays, said) -> None:
    failed = conversation.ask(task, arrays=arrays)
    assert isinstance(failed, RequestFailed)
    assert failed.cause == "input"
    assert said in failed.sentence
