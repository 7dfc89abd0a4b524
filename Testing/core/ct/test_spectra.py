from pathlib import Path

import numpy as np
import pytest

from FedSimCore.ct.materials import tissue
from FedSimCore.ct.spectra import Spectrum, hounsfield, monochromatic, tube_spectrum, tube_voltages_kvp
from FedSimCore.errors import InputError

XCIST = Path(__file__).resolve().parents[4] / "shared" / "data" / "physics_xcist"


def test_every_tenth_kilovolt_from_70_to_140_ships():
    assert tube_voltages_kvp() == tuple(range(70, 141, 10))


@pytest.mark.parametrize("kvp", tube_voltages_kvp())
def test_no_photon_has_more_energy_than_the_tube_gives(kvp):
    spectrum = tube_spectrum(kvp)
    assert spectrum.energies_kev.max() == kvp - 0.5
    assert spectrum.photons.min() > 0


def test_a_higher_voltage_is_brighter_and_harder():
    spectra = [tube_spectrum(kvp) for kvp in tube_voltages_kvp()]
    photons = [s.photons.sum() for s in spectra]
    mean_energy = [s.photons @ s.energies_kev / s.photons.sum() for s in spectra]
    assert np.all(np.diff(photons) > 0)
    assert np.all(np.diff(mean_energy) > 0)


@pytest.mark.real_data
@pytest.mark.parametrize(("kvp", "mu_water"), [(80, 0.2155), (100, 0.2011), (120, 0.1922), (140, 0.1850)])
def test_water_behind_20_cm_of_water_attenuates_as_with_xcists_spectra(kvp, mu_water):
    path = XCIST / f"spectrum_{kvp}kVp.dat"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    lines = path.read_text().split()
    energies, photons = np.array([line.split(",") for line in lines[1 : 1 + int(lines[0])]], dtype=float).T
    lit = photons > 0
    theirs = Spectrum("xcist", energies[lit], photons[lit])
    water = tissue("water")
    assert theirs.detected_attenuation(water) == pytest.approx(mu_water, abs=6e-5)
    assert tube_spectrum(kvp).detected_attenuation(water) == pytest.approx(mu_water, rel=0.01)
    assert tube_spectrum(kvp).photons.sum() == pytest.approx(theirs.photons.sum(), rel=0.25)


@pytest.mark.parametrize(("key", "hu"), [("water", 0), ("blood_left", 57), ("myocardium", 44), ("adipose", -108)])
def test_soft_tissues_have_their_hounsfield_units_at_120_kvp(key, hu):
    assert hounsfield(tissue(key), tube_spectrum(120)) == pytest.approx(hu, abs=1.0)


@pytest.mark.parametrize(("kvp", "per_mg_ml"), [(80, 45.4), (100, 34.5), (120, 28.3), (140, 23.8)])
def test_a_milligram_of_iodine_adds_what_it_should(kvp, per_mg_ml):
    blood = tissue("blood_left")
    rise = hounsfield(blood.with_iodine(10), tube_spectrum(kvp)) - hounsfield(blood, tube_spectrum(kvp))
    assert rise / 10 == pytest.approx(per_mg_ml, rel=0.03)


def test_a_monochromatic_beam_does_not_harden():
    beam, water = monochromatic(70.0), tissue("water")
    assert beam.detected_attenuation(water, 0.0) == pytest.approx(beam.detected_attenuation(water, 40.0))
    assert beam.detected_attenuation(water) == pytest.approx(0.1929, rel=2e-3)  # NIST XCOM between 60 and 80 keV


def test_voltages_and_energies_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match="no spectrum of 125 kVp; choose one of 70, 80"):
        tube_spectrum(125)
    with pytest.raises(InputError, match="10 to 150 keV, not 200 keV"):
        monochromatic(200.0)
