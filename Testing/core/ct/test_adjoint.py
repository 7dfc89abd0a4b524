import numpy as np
import pytest
import torch

from FedSimCore.ct.fdk import FDK
from FedSimCore.ct.geometry import ConeBeamGeometry
from FedSimCore.ct.projector import ConeBeamProjector
from FedSimCore.ct.ray_projector import RayProjector
from FedSimCore.volumes import Grid

FULL = ConeBeamGeometry(
    source_isocenter_mm=300, source_detector_mm=500, columns=40, rows=36, pixel_mm=(3.0, 2.5), views=20
)
SHORT = FULL.model_copy(update={"detector_offset_mm": (4.0, -3.0), "start_angle_deg": 31.0}).short_scan()
GRID = Grid.centered((24, 20, 16), (2.0, 2.5, 3.0), (5, -3, 2))
TINY = ConeBeamGeometry(
    source_isocenter_mm=60, source_detector_mm=100, columns=5, rows=4, pixel_mm=(6.0, 5.0), views=4, start_angle_deg=10
)
TINY_GRID = Grid.centered((5, 4, 3), (4.0, 5.0, 6.0))
MAPS = [ConeBeamProjector, FDK, RayProjector.circular]
NAMES = ["projector", "fdk", "rays"]


def noise(shape, dtype, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("make", MAPS, ids=NAMES)
@pytest.mark.parametrize("scan", [FULL, SHORT], ids=["full", "short"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_the_adjoint_is_the_transpose(make, scan, dtype, tolerance):
    linear_map = make(scan, GRID, dtype=dtype)
    x = noise((1, 2, *linear_map.domain_shape), dtype, 1)
    y = noise((1, 2, *linear_map.range_shape), dtype, 2)
    there = (linear_map(x).double() * y).sum()
    back = (x.double() * linear_map.adjoint(y)).sum()
    assert abs(there - back) / abs(there) < tolerance


@pytest.mark.parametrize("make", MAPS, ids=NAMES)
def test_first_and_second_derivatives_pass_gradcheck(make):
    linear_map = make(TINY, TINY_GRID, dtype=torch.float64)
    x = noise((1, 1, *linear_map.domain_shape), torch.float64, 3).requires_grad_()
    y = noise((1, 1, *linear_map.range_shape), torch.float64, 4).requires_grad_()
    assert torch.autograd.gradcheck(linear_map, (x,))
    assert torch.autograd.gradcheck(linear_map.adjoint, (y,))
    assert torch.autograd.gradgradcheck(lambda volume: linear_map(volume).square(), (x,))


@pytest.mark.parametrize("make", MAPS, ids=NAMES)
def test_the_gradient_of_a_misfit_agrees_with_central_differences(make):
    linear_map = make(SHORT, GRID, dtype=torch.float64)
    x = noise((1, 1, *linear_map.domain_shape), torch.float64, 5)
    target = noise((1, 1, *linear_map.range_shape), torch.float64, 6)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)

    def misfit(volume):
        return (linear_map(volume) - target).square().sum() + linear_map(volume).exp().mean()

    x.requires_grad_()
    slope = (torch.autograd.grad(misfit(x), x)[0] * direction).sum()
    with torch.no_grad():
        difference = (misfit(x + 1e-4 * direction) - misfit(x - 1e-4 * direction)) / 2e-4
    np.testing.assert_allclose(float(slope), float(difference), rtol=1e-6)
