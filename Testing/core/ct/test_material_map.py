"""The paper's coarse way: a learned 16^3 map of materials to a 16^3 CT."""

import numpy as np
import pytest
import torch

from FedSimCore.ct.material_map import MaterialMapRenderer
from FedSimCore.errors import InputError


@pytest.fixture(scope="module")
def renderer():
    return MaterialMapRenderer(dtype=torch.float64)


def cylinder(radius=6.0):
    index = torch.arange(16, dtype=torch.float64) - 7.5
    return (torch.hypot(index[:, None], index[None]) < radius).double()[..., None].expand(16, 16, 16)


def test_a_cylinder_of_water_is_0_hu_inside_and_air_is_minus_1000_outside(renderer):
    hu = renderer(cylinder()[None, None])[0, 0]
    assert float(hu[5:11, 5:11, 4:12].mean()) == pytest.approx(0, abs=25)
    assert float(hu[0, 0, 4:12].mean()) == pytest.approx(-1000, abs=60)


def test_iodine_and_bone_channels_raise_the_density(renderer):
    water = cylinder()
    core = cylinder(2.5)
    plain, iodine, bone = (
        renderer(torch.stack([water, b * core, i * core])[None])[0, 0, 7:9, 7:9, 6:10].mean()
        for b, i in ((0, 0), (0, 10), (0.1, 0))
    )
    assert float(iodine - plain) == pytest.approx(300, rel=0.2)  # 30 HU per mg/ml in 12 cm of water, smoothed
    assert float(bone - plain) > 100


def test_a_batch_is_rendered_as_its_samples_alone(renderer):
    maps = torch.stack([cylinder(4.0), cylinder(6.5)])[:, None]
    torch.testing.assert_close(renderer(maps), torch.cat([renderer(maps[:1]), renderer(maps[1:])]))


def test_the_gradient_reaches_every_voxel_and_is_right(renderer):
    generator = torch.Generator().manual_seed(0)
    material = torch.rand(2, 3, 16, 16, 16, generator=generator, dtype=torch.float64)
    material[:, 1] *= 0.05
    material[:, 2] *= 5
    weights = torch.randn(2, 1, 16, 16, 16, generator=generator, dtype=torch.float64)
    direction = torch.randn(material.shape, generator=generator, dtype=torch.float64)

    def loss(value):
        return (renderer(value) / 1000 * weights).square().sum()

    value = material.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(value), value)
    with torch.no_grad():
        difference = (loss(material + 1e-5 * direction) - loss(material - 1e-5 * direction)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-5)
    assert (gradient.abs().amax(dim=(0, 1)) > 0).all()


def test_a_map_can_be_learned_from_its_ct(renderer):
    truth = renderer((0.9 * cylinder(6.0) + 0.3 * cylinder(3.0))[None, None])
    learned = (0.5 * cylinder(7.0)[None, None]).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([learned], lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = ((renderer(learned) - truth) / 1000).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]


def test_maps_of_another_shape_are_refused(renderer):
    with pytest.raises(InputError, match=r"\(1, 1, 8, 8, 8\), but \(batch, 1 to 3, 16, 16, 16\) is needed"):
        renderer(torch.zeros(1, 1, 8, 8, 8, dtype=torch.float64))


def test_other_sizes_and_single_precision_work():
    hu = MaterialMapRenderer(size=24)(torch.ones(1, 1, 24, 24, 24))
    assert hu.shape == (1, 1, 24, 24, 24)
    assert hu.dtype == torch.float32
    assert np.isfinite(hu.numpy()).all()
