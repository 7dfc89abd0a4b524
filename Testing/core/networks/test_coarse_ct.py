"""Intensities, the coarse grid, and the two ways from a material map to a coarse CT."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from FedSimCore.ct.material_map import MaterialMapRenderer
from FedSimCore.errors import InputError
from FedSimCore.networks.coarse_ct import RenderedCoarseCT, coarse_slices, downsample, read_directly
from FedSimCore.networks.intensity import IntensityRange


def noise(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_air_water_and_twice_water_are_minus_1_0_and_1():
    hu = torch.tensor([-1000.0, 0.0, 300.0, 1000.0, 1700.0])
    scale = IntensityRange()
    torch.testing.assert_close(scale.scale(hu), torch.tensor([-1, 0, 0.3, 1, 1.7]))
    torch.testing.assert_close(scale.clip(hu), torch.tensor([-1, 0, 0.3, 1, 1.0]))
    torch.testing.assert_close(scale.hounsfield(scale.scale(hu)), hu)


@pytest.mark.parametrize("bounds", [(-1024, 1000), (200, 200), (0, float("nan"))])
def test_impossible_ranges_are_refused(bounds):
    with pytest.raises(InputError, match="must rise, from -1000"):
        IntensityRange(*bounds)


def test_downsampling_is_exact_for_linear_images_and_takes_the_eight_voxels_at_the_centre():
    i, j, k = torch.meshgrid(*[torch.arange(128, dtype=torch.float64)] * 3, indexing="ij")
    coarse = downsample((2 * i - 3 * j + 0.5 * k)[None, None])[0, 0]
    center = 8 * torch.arange(16, dtype=torch.float64) + 3.5
    expected = 2 * center[:, None, None] - 3 * center[:, None] + 0.5 * center
    torch.testing.assert_close(coarse, expected)
    image = noise(1, 1, 16, 16, 16)
    two = image.reshape(2, 8, 2, 8, 2, 8)[:, 3:5, :, 3:5, :, 3:5].mean((1, 3, 5))
    torch.testing.assert_close(downsample(image, 2)[0, 0], two)


def test_averaging_takes_all_voxels_that_a_coarse_one_covers():
    image = noise(2, 1, 16, 16, 16)
    blocks = image.reshape(2, 1, 4, 4, 4, 4, 4, 4).mean((3, 5, 7))
    torch.testing.assert_close(downsample(image, 4, average=True), blocks)


def test_slices_are_those_of_the_trilinearly_upsampled_volume():
    coarse = noise(2, 1, 4, 5, 6)
    shape = (12, 20, 30)
    index = torch.tensor([[0, 1, 2, 15], [29, 28, 7, 14]])
    slices = coarse_slices(coarse, index, shape)
    assert slices.shape == (2, 4, 1, 12, 20)
    places = [((np.arange(n) + 0.5) * m / n - 0.5) for n, m in zip(shape, coarse.shape[2:], strict=True)]
    for sample in range(2):
        where = np.stack(np.meshgrid(*places, indexing="ij"))
        volume = ndimage.map_coordinates(coarse[sample, 0].numpy(), where, order=1, mode="nearest")
        for number, k in enumerate(index[sample]):
            np.testing.assert_allclose(slices[sample, number, 0].numpy(), volume[:, :, k], atol=1e-12)


def test_a_map_of_water_in_air_renders_to_0_and_minus_1():
    axis = torch.arange(16, dtype=torch.float64) - 7.5
    water = (torch.hypot(axis[:, None], axis[None]) < 6)[..., None].expand(16, 16, 16)
    rendered = RenderedCoarseCT(MaterialMapRenderer(dtype=torch.float64))(water.double()[None, None] - 1)[0, 0]
    assert float(rendered[5:11, 5:11, 4:12].mean()) == pytest.approx(0, abs=0.025)
    assert float(rendered[0, 0, 4:12].mean()) == pytest.approx(-1, abs=0.06)


def test_with_another_range_the_same_density_renders_to_the_same_hounsfield_units():
    renderer = MaterialMapRenderer(dtype=torch.float64)
    hu = 300 * noise(1, 1, 16, 16, 16)
    scales = (IntensityRange(), IntensityRange(-600, 800))
    images = [scale.hounsfield(RenderedCoarseCT(renderer, scale)(scale.scale(hu))) for scale in scales]
    torch.testing.assert_close(images[0], images[1])
    torch.testing.assert_close(images[0], renderer(1 + hu / 1000))


def test_reading_directly_changes_nothing_and_flat_images_are_refused():
    map_ = noise(1, 1, 16, 16, 16)
    assert read_directly(map_) is map_
    with pytest.raises(InputError, match=r"The images are \(16, 16, 16\)"):
        downsample(map_[0, 0])
