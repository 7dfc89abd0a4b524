"""Energy groups, basis materials and water correction against the full spectrum."""

import numpy as np
import pytest
import torch

from FedSimCore.ct.basis import basis_tissues, decompose
from FedSimCore.ct.energy_groups import gather
from FedSimCore.ct.materials import Tissue, tissue, tissues
from FedSimCore.ct.spectra import monochromatic, tube_spectrum, tube_voltages_kvp
from FedSimCore.ct.water_correction import WaterCorrection

# Paths through a thorax, cm: water, cortical bone, fat, blood with 16 mg/ml iodine.
PATHS = np.array(
    [(w, b, f, i) for w in (5, 15, 25, 35) for b in (0, 1, 3) for f in (0, 2, 6) for i in (0, 3, 8)], dtype=float
)


def mixture():
    return [tissue("water"), tissue("bone_cortical"), tissue("adipose"), tissue("blood_left").with_iodine(16)]


def readings(attenuation, signal):
    return -np.log(np.exp(-PATHS @ attenuation) @ signal / signal.sum())


def water_table(attenuation, signal):
    thickness = np.linspace(0, 100, 20001)
    return -np.log(np.exp(-np.outer(thickness, attenuation)) @ signal / signal.sum()), thickness


@pytest.mark.parametrize("kvp", tube_voltages_kvp())
def test_sixteen_groups_of_energies_see_a_thorax_as_the_full_spectrum_does(kvp):
    spectrum = tube_spectrum(kvp)
    signal = spectrum.photons * spectrum.energies_kev
    full = np.stack([t.attenuation(spectrum.energies_kev) for t in mixture()])
    groups = gather(spectrum)
    few = groups.tissue_attenuation(mixture()).numpy()
    assert groups.count <= 16
    # What counts is the water-equivalent thickness, after each has been corrected for water.
    truth = np.interp(readings(full, signal), *water_table(full[0], signal))
    found = np.interp(readings(few, groups.signal_kev), *water_table(few[0], groups.signal_kev))
    assert np.abs(found / truth - 1).max() < 2e-3
    assert np.abs(found / truth - 1).mean() < 3e-4


def test_no_photon_is_lost_in_the_groups():
    spectrum = tube_spectrum(120)
    groups = gather(spectrum)
    assert groups.signal_kev.sum() == pytest.approx(spectrum.photons @ spectrum.energies_kev)
    assert groups.variance_kev2.sum() == pytest.approx(spectrum.photons @ spectrum.energies_kev**2)
    np.testing.assert_allclose(groups.averaging.sum(axis=0), 1)


def test_the_k_edge_of_iodine_is_a_boundary_of_groups():
    groups = gather(tube_spectrum(100))
    for column in groups.averaging.T:
        energies = groups.energies_kev[column > 0]
        assert energies.max() < 33.17 or energies.min() > 33.17


@pytest.mark.parametrize("kvp", [80, 120])
@pytest.mark.parametrize("phase", ["none", "arterial"])
def test_three_basis_materials_make_every_tissue_of_the_body_within_half_a_percent(kvp, phase):
    groups = gather(tube_spectrum(kvp))
    body = [t for key, t in tissues(phase).items() if key not in ("titanium", "steel")]
    truth = groups.tissue_attenuation(body)
    found = decompose(body, groups) @ groups.tissue_attenuation(basis_tissues())
    weight = torch.from_numpy(groups.signal_kev / groups.signal_kev.sum())
    error = (((found / truth - 1) ** 2) @ weight).sqrt()
    assert error.max() < 0.005


def test_the_decomposition_of_a_basis_material_is_itself():
    groups = gather(tube_spectrum(120))
    materials = [tissue("water"), tissue("bone_cortical"), tissue("water").with_iodine(7.0)]
    expected = [[1, 0, 0], [0, 1, 0], [1, 0, 7]]
    np.testing.assert_allclose(decompose(materials, groups), expected, atol=1e-9)


@pytest.mark.parametrize("kvp", [70, 80, 100, 120, 140])
def test_the_water_correction_gives_back_the_thickness_of_water(kvp):
    groups = gather(tube_spectrum(kvp))
    water = groups.tissue_attenuation([tissue("water")])[0].numpy()
    thickness = np.linspace(0, 60, 997)
    signal = np.exp(-np.outer(thickness, water)) @ groups.signal_kev / groups.signal_kev.sum()
    found = WaterCorrection(groups)(torch.from_numpy(-np.log(signal)))
    np.testing.assert_allclose(found, thickness, atol=1e-5)


def test_the_water_correction_goes_on_beyond_its_table_and_below_zero():
    correction = WaterCorrection(gather(tube_spectrum(120)))
    reading = torch.tensor([-0.1, -0.05, 30.0, 31.0, 32.0], dtype=torch.float64, requires_grad=True)
    thickness = correction(reading).detach()
    assert thickness[0] < thickness[1] < 0
    assert thickness[4] - thickness[3] == pytest.approx(float(thickness[3] - thickness[2]))
    assert torch.autograd.gradcheck(correction, (reading,))


def test_a_beam_of_one_energy_needs_no_correction():
    groups = gather(monochromatic(70.0))
    attenuation = float(groups.tissue_attenuation([tissue("water")]))
    thickness = WaterCorrection(groups)(torch.tensor([0.5, 1.0, 5.0], dtype=torch.float64))
    np.testing.assert_allclose(thickness, np.array([0.5, 1.0, 5.0]) / attenuation, rtol=1e-9)


def test_groups_average_any_attenuation_between_its_lowest_and_highest():
    groups = gather(tube_spectrum(120))
    bone = Tissue(key="b", density_g_cm3=1.0, mass_fractions={"Ca": 1.0})
    per_energy = bone.attenuation(groups.energies_kev)
    found = groups.tissue_attenuation([bone])[0].numpy()
    for column, value in zip(groups.averaging.T, found, strict=True):
        inside = per_energy[column > 0]
        assert inside.min() <= value <= inside.max()
