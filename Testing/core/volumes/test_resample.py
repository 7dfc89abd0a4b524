import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.crop import crop_round_heart, heart_box_mm
from FedSimCore.volumes.nrrd import from_itk
from FedSimCore.volumes.resample import orientation, reorient, resample, resample_labels
from Testing.core.volumes.making import KINDS, a_volume, an_affine, to_itk


def grid_of(kind: str, shape=(40, 36, 30), spacing=None) -> Grid:
    affine = an_affine(kind)
    if spacing is not None:
        affine[:3, :3] *= np.asarray(spacing) / np.linalg.norm(affine[:3, :3], axis=0)
    return Grid(shape, affine)


def world_of(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))


def balls(grid: Grid, spheres: dict[int, tuple[np.ndarray, float]]) -> Volume:
    world, array = world_of(grid), np.zeros(grid.shape, np.uint8)
    for label, (middle, radius) in spheres.items():
        array[np.linalg.norm(world - middle, axis=-1) < radius] = label
    return Volume(array, grid)


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_function_of_the_world_survives_any_change_of_grid(kind):
    slope = np.array([1.5, -2.0, 0.7])
    old = grid_of(kind)
    new = Grid.centered(16, 0.8, old.center_mm)
    sampled = resample(Volume((world_of(old) @ slope).astype(np.float32), old), new)
    np.testing.assert_allclose(sampled.array, world_of(new) @ slope, atol=2e-3)


@pytest.mark.parametrize("kind", ["flipped", "permuted", "oblique"])
def test_interpolation_agrees_with_simpleitk(kind):
    volume = a_volume(kind, (20, 21, 22))
    new = Grid.centered(12, 0.9, volume.grid.center_mm)
    reference = sitk.Resample(
        to_itk(volume), to_itk(Volume(np.zeros(new.shape), new)), sitk.Transform(), sitk.sitkLinear
    )
    np.testing.assert_allclose(resample(volume, new).array, from_itk(reference).array, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 3.0])
def test_a_marked_voxel_comes_back_to_its_millimetre(kind, spacing_mm):
    old = grid_of(kind, spacing=(1, 1, 1))
    marked = (17, 22, 12)
    array = np.zeros(old.shape, np.float32)
    array[marked] = 1000
    # A mark of a few voxels: one voxel's centre of mass is only as sharp as the coarser grid.
    array = ndimage.gaussian_filter(array, 1.8, mode="constant")
    new = Grid.centered(round(60 / spacing_mm), spacing_mm, old.center_mm)
    sampled = resample(Volume(array, old), new)
    middle = np.average(world_of(new).reshape(-1, 3), axis=0, weights=sampled.array.ravel())
    np.testing.assert_allclose(middle, old.to_world(marked), atol=0.02)


@pytest.mark.parametrize("target", ["RAS", "LPS", "SAR", "PIL"])
@pytest.mark.parametrize("kind", KINDS)
def test_reorienting_moves_no_voxel(kind, target):
    volume = a_volume(kind)
    turned = reorient(volume, target)
    assert orientation(turned.grid) == target
    index = turned.grid.to_index(world_of(volume.grid))
    np.testing.assert_allclose(index, np.round(index), atol=1e-9)
    np.testing.assert_array_equal(turned.array[tuple(np.moveaxis(np.round(index).astype(int), -1, 0))], volume.array)


def test_axes_that_are_none_are_refused():
    for axes in ("RAX", "RLS", "RA", ""):
        with pytest.raises(InputError, match="names no axes"):
            reorient(a_volume(), axes)


def test_beyond_the_old_volume_lies_what_was_asked_for():
    volume = a_volume("straight")
    far = Grid.centered(4, 1, volume.grid.center_mm + 500)
    np.testing.assert_array_equal(resample(volume, far, outside=-1000).array, -1000)
    edge = Grid((3, 1, 1), volume.grid.affine @ np.diag([0.5, 1, 1, 1]) + np.eye(4, k=3) * -0.4)  # -0.5, 0, 0.5 voxels
    sampled = resample(volume, edge, outside=-5000).array[:, 0, 0]
    assert (sampled > -1001).all(), "half a voxel beyond the outermost centre still belongs to the voxel"
    beyond = Grid((1, 1, 1), volume.grid.affine + np.eye(4, k=3) * -0.41)
    assert resample(volume, beyond, outside=-5000).array.item() == -5000


def test_coarser_sampling_of_fine_noise_averages_it_rather_than_picking_voxels():
    noise = np.random.default_rng(1).normal(size=(96, 96, 96)).astype(np.float32)
    fine = Volume(noise, Grid.centered(96, 0.5))
    coarse = resample(fine, Grid.centered(20, 2.0))
    # A Gaussian of sigma s leaves 1 / (2 s sqrt(pi)) of white noise's variance per axis.
    sigma = np.sqrt((4**2 - 1) / (8 * np.log(2)))
    expected = (1 / (2 * sigma * np.sqrt(np.pi))) ** 1.5
    assert coarse.array.std() == pytest.approx(expected, rel=0.1)
    constant = resample(Volume(np.full((96, 96, 96), 40, np.float32), fine.grid), Grid.centered(20, 2.0))
    np.testing.assert_allclose(constant.array, 40, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["linear", "nearest"])
def test_regions_keep_their_volume_and_place_on_another_grid(kind, order):
    old = grid_of(kind, (60, 60, 60), spacing=(0.7, 0.7, 0.7))
    middle = old.center_mm
    spheres = {2: (middle, 12.0), 1: (middle + np.array([1, 0, 0]), 8.0), 7: (middle + np.array([0, 13, 0]), 6.0)}
    label_map = balls(old, spheres)
    new = Grid.centered(48, 1.0, middle)
    sampled = resample_labels(label_map, new, order)
    assert sampled.array.dtype == np.uint8
    truth = balls(new, spheres)
    tolerance, apart = (0.03, 0.1) if order == "linear" else (0.05, 0.2)
    for label in spheres:
        volume = (sampled.array == label).sum() * new.voxel_volume_mm3
        assert volume == pytest.approx((label_map.array == label).sum() * old.voxel_volume_mm3, rel=tolerance)
        shift = np.subtract(*(ndimage.center_of_mass(m.array == label) for m in (sampled, truth)))
        assert np.abs(shift).max() < apart


def test_linear_labels_are_smoother_than_nearest_ones():
    old = Grid.centered(20, 2.0, (0.3, 0.2, 0.1))
    new = Grid.centered(60, 0.6)
    spheres = {1: (np.zeros(3), 14.0)}
    label_map, truth = balls(old, spheres), balls(new, spheres)
    wrong = {
        order: (resample_labels(label_map, new, order).array != truth.array).sum() for order in ("linear", "nearest")
    }
    assert wrong["linear"] < 0.8 * wrong["nearest"]


def test_linear_labels_are_the_argmax_of_whole_volume_interpolation():
    rng = np.random.default_rng(5)
    smooth = ndimage.gaussian_filter(rng.normal(size=(5, 24, 24, 24)), (0, 3, 3, 3))
    label_map = Volume(smooth.argmax(0).astype(np.uint8), grid_of("oblique", (24, 24, 24), (1, 1, 1)))
    new = Grid.centered(20, 1.3, label_map.grid.center_mm + 2)
    shares = np.stack(
        [
            resample(Volume((label_map.array == v).astype("f4"), label_map.grid), new, outside=v == 0).array
            for v in range(5)
        ]
    )
    sampled = resample_labels(label_map, new).array
    clear = np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2] > 1e-3
    np.testing.assert_array_equal(sampled[clear], shares.argmax(0)[clear])
    assert clear.mean() > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_a_heart_is_centred_on_the_working_grid_though_image_and_label_have_other_grids(kind):
    label_grid = grid_of(kind, (60, 60, 60), spacing=(1, 1, 1))
    heart = label_grid.center_mm + np.array([3, -2, 5])
    label = balls(label_grid, {1: (heart, 15.0), 6: (heart + np.array([0, 0, 14]), 6.0)})
    image_grid = Grid(label_grid.shape, an_affine("flipped") @ np.diag([1.4, 1.1, 0.5, 1]))
    image_grid = Grid((70, 70, 70), _moved(image_grid.affine, (70, 70, 70), heart))
    array = np.full(image_grid.shape, -1000, np.float32)
    marked = np.round(image_grid.to_index(heart + np.array([4, 5, -6]))).astype(int)
    array[tuple(marked)] = 10000
    crop = crop_round_heart(Volume(array, image_grid), label, size=48, spacing_mm=1.0)
    assert crop.image is not None
    assert crop.label is not None
    assert crop.image.grid.same_as(crop.label.grid)
    np.testing.assert_allclose(heart_box_mm(crop.label).mean(0), crop.grid.center_mm, atol=0.75)
    weights = np.maximum(crop.image.array + 1000, 0).ravel()
    found = np.average(world_of(crop.grid).reshape(-1, 3), axis=0, weights=weights)
    np.testing.assert_allclose(found, image_grid.to_world(marked), atol=0.15)
    shift = np.subtract(*(world_of(g.grid)[g.array == 1].mean(0) for g in (crop.label, label)))
    assert np.abs(shift).max() < 0.1


def _moved(affine: np.ndarray, shape: tuple[int, int, int], middle: np.ndarray) -> np.ndarray:
    affine = affine.copy()
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def test_a_heart_that_does_not_fit_is_refused_with_the_spacing_that_would_do():
    label = balls(Grid.centered(100, 1.0), {1: (np.zeros(3), 30.0)})
    with pytest.raises(InputError, match=r"use a spacing of 2\.\d\d mm") as refused:
        crop_round_heart(None, label, size=32, spacing_mm=1.0)
    advised = float(str(refused.value).split("spacing of ")[1].split(" mm")[0])
    assert crop_round_heart(None, label, size=32, spacing_mm=advised).label is not None
    fitted = crop_round_heart(None, label, size=32, spacing_mm="fit")
    assert fitted.grid.spacing_mm[0] == pytest.approx(2 * 35 / 32, abs=0.04)
    assert fitted.label is not None
    assert not fitted.label.array[[0, -1]].any()


def test_an_unlabelled_case_needs_a_centre_and_is_cropped_round_it():
    image = a_volume("oblique", (40, 40, 40))
    with pytest.raises(InputError, match="needs the middle of its heart"):
        crop_round_heart(image, None)
    crop = crop_round_heart(image, None, size=16, spacing_mm=1.0, center_mm=image.grid.center_mm)
    np.testing.assert_allclose(crop.grid.center_mm, image.grid.center_mm)
    assert crop.covered == 1.0


def test_an_image_that_misses_the_grid_is_refused():
    image = a_volume("straight", (10, 10, 10))
    with pytest.raises(InputError, match="don't overlap"):
        crop_round_heart(image, None, center_mm=(900, 0, 0))


def test_an_empty_label_map_has_no_box():
    with pytest.raises(InputError, match="label map is empty"):
        heart_box_mm(Volume(np.zeros((3, 3, 3), np.uint8), Grid.centered(3, 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_hearts_box_is_the_box_of_its_voxels(kind):
    label = Volume((np.random.default_rng(2).random((9, 8, 7)) > 0.98).astype(np.uint8), grid_of(kind, (9, 8, 7)))
    corners = np.array([(i, j, k) for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    points = label.grid.to_world((np.argwhere(label.array)[:, None] + corners).reshape(-1, 3))
    np.testing.assert_allclose(heart_box_mm(label), [points.min(0), points.max(0)], atol=1e-9)
