import pytest

from FedSimCore import anatomy
from FedSimCore.errors import InputError


def test_there_are_seven_regions_with_labels_one_to_seven():
    assert anatomy.labels() == (1, 2, 3, 4, 5, 6, 7)


def test_mmwhs_values_are_those_of_the_challenge_and_its_stray_left_atrium_value():
    values = {r.key: r.mmwhs for r in anatomy.regions()}
    assert values == {
        "lv": (500,),
        "myo": (205,),
        "rv": (600,),
        "la": (420, 421),
        "ra": (550,),
        "ao": (820,),
        "pa": (850,),
    }


def test_imagechd_values_are_those_of_the_data_set():
    values = {r.key: r.imagechd for r in anatomy.regions()}
    assert values == {"lv": (1,), "rv": (2,), "la": (3,), "ra": (4,), "myo": (5,), "ao": (6,), "pa": (7,)}


def test_every_region_has_its_own_priority_colour_and_code_and_the_myocardium_yields_to_all():
    regions = anatomy.regions()
    for attribute in ("priority", "color", "key", "name"):
        assert len({getattr(r, attribute) for r in regions}) == 7
    assert len({r.code.value for r in regions}) == 7
    assert max(regions, key=lambda r: r.priority).key == "myo"


def test_an_unknown_region_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(InputError, match="lv, myo, rv, la, ra, ao, pa"):
        anatomy.region("liver")
