import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from FedSimCore.anatomy import regions
from FedSimCore.ct.attenuation import elements, energy_range_kev, mass_attenuation
from FedSimCore.ct.attenuation_table import attenuation_table
from FedSimCore.ct.materials import (
    Tissue,
    changed_tissue,
    contrast_phases,
    read_tissues,
    region_tissues,
    tissue,
    tissues,
)
from FedSimCore.ct.schema import checked
from FedSimCore.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
ENERGIES = np.array([10.5, 25.0, 33.0, 33.3, 40.0, 60.0, 99.7, 140.0])


def test_the_table_of_elements_is_xraylibs():
    xraylib = pytest.importorskip("xraylib")
    truth = [
        [xraylib.CS_Total(xraylib.SymbolToAtomicNumber(symbol), energy) for energy in ENERGIES] for symbol in elements()
    ]
    np.testing.assert_allclose(mass_attenuation(elements(), ENERGIES), truth, rtol=2e-3)


def test_iodine_jumps_by_five_and_a_half_times_at_its_k_edge():
    below, above = mass_attenuation(["I"], [33.16, 33.18])[0]
    assert above / below == pytest.approx(35.7 / 6.55, rel=0.02)  # NIST XCOM: 6.553 and 35.82 cm2/g at 33.17 keV


def test_water_at_60_kev_is_nists():
    assert tissue("water").attenuation(60.0)[0] == pytest.approx(0.2059, rel=1e-3)  # NIST XCOM


def test_the_mixture_rule_holds_for_a_tissue_with_iodine():
    blood = tissue("blood_left").with_iodine(10.0)
    parts = sum(w * mass_attenuation([z], ENERGIES)[0] for z, w in blood.mass_fractions.items())
    truth = 1.06 * parts + 0.010 * mass_attenuation(["I"], ENERGIES)[0]
    np.testing.assert_allclose(blood.attenuation(ENERGIES), truth, rtol=1e-12)


def test_every_region_has_a_tissue_and_every_phase_names_known_ones():
    assert set(region_tissues()) == {region.label for region in regions()}
    assert set(region_tissues().values()) <= set(tissues())
    for phase in contrast_phases().values():
        assert set(phase.iodine_mg_ml) <= set(tissues())


def test_a_phase_changes_only_iodine():
    plain, arterial = tissue("blood_left"), tissue("blood_left", "arterial")
    assert arterial.iodine_mg_ml > 10
    assert arterial.model_copy(update={"iodine_mg_ml": 0.0}) == plain


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"density_g_cm3": -1.0}, "density_g_cm3 = -1.0 .* greater than or equal to 0"),
        ({"density_g_cm3": float("nan")}, "density_g_cm3 = nan .* finite"),
        ({"iodine_mg_ml": -3.0}, "iodine_mg_ml = -3.0 .* greater than or equal to 0"),
        ({"mass_fractions": {"H": 0.1, "O": 0.4}}, "sum to 0.5 instead of 1"),
        ({"mass_fractions": {"H": 1.2, "O": -0.2}}, "fraction of O is negative"),
        ({"mass_fractions": {"H": 0.5, "Xx": 0.5}}, "element 'Xx' is not in the attenuation table"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_impossible_tissue_is_refused_with_the_reason(change, reason):
    good = tissue("muscle").model_dump()
    with pytest.raises(InputError, match="my_tissues.json.*" + reason):
        checked(Tissue, {**good, **change}, "my_tissues.json")


def test_a_table_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "tissues.json"
    path.write_text(json.dumps({"schema": "fedsim/regions/1", "tissues": []}))
    with pytest.raises(InputError, match=r"tissues\.json says schema 'fedsim/regions/1'"):
        read_tissues(path)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="no tissue 'bolod'; the tissues are air, water"):
        tissue("bolod")
    with pytest.raises(InputError, match="no contrast phase 'late'; the phases are none, arterial"):
        tissues("late")


def test_energies_outside_the_table_are_refused():
    low, high = energy_range_kev()
    assert (low, high) == (pytest.approx(10.0), pytest.approx(150.0))
    with pytest.raises(InputError, match="between 10 and 150 keV"):
        mass_attenuation(["H"], [5.0])


def test_the_attenuation_of_many_tissues_is_differentiable_in_density_and_iodine():
    known = tissues("arterial")
    materials = [known["blood_left"], known["myocardium"], known["adipose"]]
    density = torch.tensor([t.density_g_cm3 for t in materials], dtype=torch.float64, requires_grad=True)
    iodine = torch.tensor([t.iodine_mg_ml for t in materials], dtype=torch.float64, requires_grad=True)
    table = attenuation_table(materials, ENERGIES, density_g_cm3=density, iodine_mg_ml=iodine)
    np.testing.assert_allclose(table.detach(), [t.attenuation(ENERGIES) for t in materials], rtol=1e-12)
    assert torch.autograd.gradcheck(
        lambda d, i: attenuation_table(materials, ENERGIES, density_g_cm3=d, iodine_mg_ml=i), (density, iodine)
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"density_g_cm3": 30.0}, "The density of the tissue cannot be 30 g/cm³; give 0 to 25 g/cm³ (water has 1,"),
        ({"density_g_cm3": -0.5}, "cannot be -0.5 g/cm³; give 0 to 25"),
        ({"density_g_cm3": float("nan")}, "cannot be nan g/cm³; give 0 to 25"),
        ({"density_g_cm3": "dense"}, "The density of the tissue is 'dense', which is no number; give 0 to 25 g/cm³"),
        ({"iodine_mg_ml": 401.0}, "The iodine of the tissue cannot be 401 mg/ml; give 0 to 400 mg/ml (blood has 0"),
        ({"iodine_mg_ml": ""}, "The iodine of the tissue is '', which is no number"),
        ({"base": "gold"}, "There is no tissue 'gold'; the tissues are air, water"),
        ({"phase": "late"}, "There is no contrast phase 'late'; the phases are none, arterial"),
    ],
)
def test_a_wrong_entry_for_a_tissue_is_refused_with_the_limits(given, words):
    with pytest.raises(InputError) as refused:
        changed_tissue(**{"base": "blood_left", **given})
    assert words in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_changed_tissue_keeps_what_is_not_given():
    plain = tissue("blood_left", "arterial")
    assert changed_tissue("blood_left", "arterial") == plain
    denser = changed_tissue("blood_left", "arterial", density_g_cm3="1,2")
    assert denser == plain.model_copy(update={"density_g_cm3": 1.2})
    assert changed_tissue("blood_left", "arterial", iodine_mg_ml=0) == tissue("blood_left")


def test_scanners_and_tissues_are_had_without_torch_or_scipy():
    code = """
        import sys
        from FedSimCore.ct.materials import changed_tissue, contrast_phases, region_tissues, tissue, tissues
        from FedSimCore.ct.scanners import scanner, scanners
        from FedSimCore.ct.spectra import hounsfield, tube_spectrum
        from FedSimCore.errors import InputError
        for chosen in scanners().values():
            for phase in contrast_phases():
                spectrum = chosen.with_changes(kvp=100).spectrum()
                known = {key: hounsfield(t, spectrum) for key, t in tissues(phase).items()}
                assert known["air"] < known["adipose"] < known["water"] < known["bone_cortical"] < known["steel"]
        changed_tissue("blood_left", "venous", iodine_mg_ml="4.5")
        try:
            scanner("adult").with_changes(kvp=93)
        except InputError as error:
            assert "kvp 93 is none of" in str(error)
        else:
            raise AssertionError("93 kVp was accepted")
        assert not {"torch", "scipy", "SimpleITK", "vtk"} & set(sys.modules), sorted(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)
