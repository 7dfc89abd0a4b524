"""Histograms of HU by region, against counting voxel by voxel."""

import numpy as np
import pytest

from FedSimCore.anatomy import region
from FedSimCore.ct.region_histogram import region_histograms
from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume

EDGES = np.arange(-200.0, 801.0, 5.0)
LV, MYO = region("lv").label, region("myo").label


def oblique(shape: tuple[int, int, int], spacing: tuple[float, float, float], flip: bool) -> Grid:
    """A grid turned about two axes, its first axis mirrored if asked for, its middle at the origin."""
    a, b = 0.4, -0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing) @ np.diag([-1 if flip else 1, 1, 1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def world_of(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def two_balls(grid: Grid) -> Volume:
    """A left ventricle at x = -15 mm and a myocardium at x = +15 mm, both of 12 mm radius."""
    x = world_of(grid)
    array = np.zeros(grid.shape, np.uint8)
    array[np.linalg.norm(x - [-15, 0, 0], axis=-1) < 12] = LV
    array[np.linalg.norm(x - [15, 0, 0], axis=-1) < 12] = MYO
    return Volume(array, grid)


@pytest.mark.parametrize("flip", [False, True])
def test_every_voxel_of_the_scan_counts_for_the_nearest_label(flip: bool) -> None:
    rng = np.random.default_rng(3)
    scan_grid = oblique((60, 50, 30), (1.1, 1.3, 2.9), flip)
    scan = Volume(rng.normal(300, 200, scan_grid.shape).astype(np.float32), scan_grid)
    labels = two_balls(Grid.centered((50, 40, 36), (1.7, 1.2, 1.4), (1.0, -2.0, 0.5)))
    found = {each.label: each for each in region_histograms(scan, labels, EDGES)}
    nearest = np.rint(labels.grid.to_index(world_of(scan_grid))).astype(int)
    within = np.all((nearest >= 0) & (nearest < labels.grid.shape), axis=-1)
    label_at = labels.array[tuple(np.where(within[..., None], nearest, 0).reshape(-1, 3).T)].reshape(within.shape)
    at = np.where(within, label_at, 0)
    assert set(found) == {LV, MYO}
    for label, each in found.items():
        values = scan.array[at == label].astype(float)
        assert len(values) > 500
        assert each.voxels == len(values)
        assert each.mean_hu == pytest.approx(values.mean())
        assert each.sd_hu == pytest.approx(values.std())
        quantiles = np.quantile(values, (0.05, 0.5, 0.95))
        assert (each.p05_hu, each.median_hu, each.p95_hu) == pytest.approx(tuple(quantiles))
        assert each.counts.sum() + each.below + each.above == each.voxels
        assert each.below == (values < -200).sum() > 0
        assert each.above == (values > 800).sum() > 0
        assert each.counts[100] == ((values >= 300) & (values < 305)).sum()
        assert each.outside_scan == 0


def test_a_mirrored_scan_gives_left_what_is_left() -> None:
    # HU is the R coordinate itself: wherever the scan's axes run, the ventricle lies at -15 mm.
    for flip in (False, True):
        grid = oblique((70, 60, 60), (1.0, 1.2, 1.2), flip)
        scan = Volume(world_of(grid)[..., 0], grid)
        lv, myo = region_histograms(scan, two_balls(Grid.centered(64, 1.0)), EDGES)
        assert lv.mean_hu == pytest.approx(-15, abs=0.2)
        assert myo.mean_hu == pytest.approx(15, abs=0.2)


def test_what_lies_beyond_the_scan_is_told() -> None:
    scan = Volume(np.full((20, 40, 40), 7, np.int16), Grid.centered((20, 40, 40), 1.0, (-15, 0, 0)))
    lv, myo = region_histograms(scan, two_balls(Grid.centered(64, 1.0)), EDGES)
    cap = np.pi * 2**2 * (3 * 12 - 2) / 3  # of 2 mm on either side of a ball of 12 mm
    assert lv.outside_scan == pytest.approx(2 * cap / (4 / 3 * np.pi * 12**3), abs=0.002)
    assert (myo.outside_scan, myo.voxels, myo.mean_hu, myo.counts.sum()) == (1, 0, None, 0)
    assert lv.mean_hu == 7


def test_values_that_are_no_numbers_are_left_out() -> None:
    labels = two_balls(Grid.centered(64, 1.0))
    array = np.where(labels.array == LV, np.nan, 50.0)
    array[labels.array == MYO] = 100.0
    array[40, 32, 32] = np.inf
    lv, myo = region_histograms(Volume(array, labels.grid), labels, EDGES)
    assert lv.voxels == 0
    assert myo.voxels == (labels.array == MYO).sum() - 1
    assert myo.mean_hu == 100.0


def test_label_maps_without_a_heart_or_far_from_the_scan_are_refused() -> None:
    grid = Grid.centered(64, 1.0)
    scan = Volume(np.zeros((20, 20, 20), np.int16), Grid.centered(20, 1.0, (0, 0, 500)))
    with pytest.raises(InputError, match="no voxel of any of the seven"):
        region_histograms(scan, Volume(np.full(grid.shape, 205, np.int16), grid), EDGES)
    with pytest.raises(InputError, match="do not overlap"):
        region_histograms(scan, two_balls(grid), EDGES)
