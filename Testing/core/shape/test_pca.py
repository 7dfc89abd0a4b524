from pathlib import Path

import numpy as np
import pytest

from FedSimCore.shape.pca import principal_modes

BIVME = Path(__file__).parents[4] / "shared/data/mesh_bivme/patient1_25frames_correspondence.npz"


def test_eigenvalues_and_modes_are_those_of_the_covariance_matrix():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(7, 5, 3)) * rng.uniform(0.1, 5, 3)
    found = principal_modes(shapes)
    values, vectors = np.linalg.eigh(np.cov(shapes.reshape(7, -1), rowvar=False))
    np.testing.assert_allclose(found.eigenvalues, values[::-1][:6], rtol=1e-9)
    overlap = np.abs(found.modes.reshape(6, -1) @ vectors[:, ::-1][:, :6])
    np.testing.assert_allclose(overlap, np.eye(6), atol=1e-7)


def test_one_known_mode_is_found_with_its_variance_and_sign():
    rng = np.random.default_rng(1)
    mean = rng.normal(0, 30, (40, 3))
    growth = mean / np.linalg.norm(mean)
    amounts = rng.normal(0, 4, 12)
    found = principal_modes(mean + amounts[:, None, None] * growth, 1)
    assert found.eigenvalues[0] == pytest.approx(amounts.var(ddof=1))
    assert found.total_variance == pytest.approx(found.eigenvalues[0])
    assert (found.modes[0] * growth).sum() > 0.99


@pytest.mark.real_data
def test_a_beating_heart_has_the_variance_profile_its_data_sheet_gives():
    if not BIVME.exists():
        pytest.skip(f"{BIVME} is not there")
    arrays = np.load(BIVME)
    parts = [arrays[f"V_{n}"] for n in ("EPICARDIAL", "LV_ENDOCARDIAL", "RV_ENDOCARDIAL") if f"V_{n}" in arrays]
    frames = np.concatenate(parts or [arrays[n] for n in arrays.files if n.startswith("V_")], axis=1).astype(float)
    found = principal_modes(frames)
    share = 100 * found.eigenvalues[:4] / found.total_variance
    # MANIFEST.md: 78.7 / 9.7 / 3.4 / 2.0 %.
    np.testing.assert_allclose(share, [78.7, 9.7, 3.4, 2.0], atol=0.1)
