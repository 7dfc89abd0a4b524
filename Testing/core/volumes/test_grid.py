import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid


def test_a_centered_grid_has_its_middle_where_it_was_asked():
    grid = Grid.centered(128, 1.25, (10, -20, 30))
    np.testing.assert_allclose(grid.center_mm, (10, -20, 30))
    np.testing.assert_allclose(grid.to_world((0, 0, 0)), (10 - 79.375, -20 - 79.375, 30 - 79.375))


def test_world_and_index_are_inverse_on_an_oblique_flipped_grid():
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag([-0.7, 1.3, 3.0])
    affine[:3, 3] = 12, -40, 7
    grid = Grid((5, 6, 7), affine)
    ijk = rng.uniform(0, 5, size=(10, 3))
    np.testing.assert_allclose(grid.to_index(grid.to_world(ijk)), ijk, atol=1e-10)


def test_a_grid_whose_affine_cannot_be_inverted_is_refused():
    with pytest.raises(InputError, match="cannot be inverted"):
        Grid((2, 2, 2), np.diag([1.0, 1.0, 0.0, 1.0]))
