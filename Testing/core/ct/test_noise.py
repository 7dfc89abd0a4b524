import numpy as np
import pytest
import torch

from FedSimCore.ct.energy_groups import gather
from FedSimCore.ct.noise import FEWEST_QUANTA, noisy_signal
from FedSimCore.ct.spectra import tube_spectrum

DRAWS = 200_000


def draw(photons, seed=0, electronic_kev=0.0, draws=DRAWS):
    """Readings of an open 120 kVp beam of so many photons on average."""
    groups = gather(tube_spectrum(120))
    total = tube_spectrum(120).photons.sum()
    signal = torch.full((draws,), photons * groups.signal_kev.sum() / total, dtype=torch.float64)
    variance = torch.full((draws,), photons * groups.variance_kev2.sum() / total, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return signal[0], variance[0], noisy_signal(signal, variance, electronic_kev=electronic_kev, generator=generator)


@pytest.mark.parametrize("photons", [20, 300, 900, 1500, 1e5])
def test_mean_and_variance_are_those_of_photons_of_many_energies(photons):
    signal, variance, reading = draw(photons)
    spectrum = tube_spectrum(120)
    assert float(variance / signal) == pytest.approx(
        (spectrum.photons @ spectrum.energies_kev**2) / (spectrum.photons @ spectrum.energies_kev)
    )
    assert float(reading.mean() / signal) == pytest.approx(1, abs=4 * float(variance.sqrt() / signal) / DRAWS**0.5)
    assert float(reading.var() / variance) == pytest.approx(1, rel=0.02)


def test_the_equivalent_quanta_have_the_moments_of_a_photon_by_photon_draw():
    rng = np.random.default_rng(1)
    spectrum = tube_spectrum(120)
    expected = 50 * spectrum.photons / spectrum.photons.sum()
    truth = rng.poisson(expected, size=(DRAWS, len(expected))) @ spectrum.energies_kev
    _, _, reading = draw(50)
    assert float(reading.mean()) == pytest.approx(truth.mean(), rel=2e-3)
    assert float(reading.std()) == pytest.approx(truth.std(), rel=1e-2)


def test_electronic_noise_adds_its_variance():
    _, variance, reading = draw(2000, electronic_kev=3000.0)
    assert float(reading.var()) == pytest.approx(float(variance) + 3000.0**2, rel=0.02)


def test_the_same_seed_gives_the_same_noise_and_another_seed_another():
    first, again, other = (draw(500, seed=seed)[2] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_starved_ray_is_positive_and_finite(dtype):
    signal = torch.tensor([0.0, 1e-30, 1e-3, 1.0, 60.0], dtype=dtype).repeat(1000)
    reading = noisy_signal(signal, 60 * signal, electronic_kev=500.0, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(reading.log()).all()
    assert float(reading.min()) >= FEWEST_QUANTA


def test_the_gradient_passes_through_the_noise():
    signal = torch.tensor([100.0, 5e5], dtype=torch.float64, requires_grad=True)
    reading = noisy_signal(signal, 60 * signal.detach(), electronic_kev=0.0, generator=torch.Generator().manual_seed(0))
    reading.sum().backward()
    np.testing.assert_allclose(signal.grad, 1.0)
