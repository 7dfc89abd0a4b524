from __future__ import annotations

import numpy as np
import pytest

from FedSimCore.errors import InputError
from FedSimCore.shape.measurements import Measurement, measure_mesh
from FedSimCore.shape.mode_descriptions import changes_percent, describe_modes, mode_words, phrases
from FedSimCore.shape.model import ShapeModel
from Testing.core.shape.small_model import small_arrays, small_header

CHAMBERS = ("lv_volume_ml", "lv_mass_g", "rv_volume_ml", "la_volume_ml", "ra_volume_ml")


def model_of(field: np.ndarray, sigma_mm: float) -> ShapeModel:
    """Return a model whose only mode moves vertices along ``field`` (V, 3), by ``sigma_mm`` times its norm."""
    arrays = small_arrays(1)
    arrays["modes"] = (field / np.linalg.norm(field)).astype(np.float32)[None]
    arrays["eigenvalues"] = np.array([(sigma_mm * np.linalg.norm(field)) ** 2])
    return ShapeModel(arrays, small_header())


def region_scaling(label: int) -> np.ndarray:
    """Return the field that lets one region of the small model grow about its own centre."""
    arrays = small_arrays(1)
    mean = arrays["mean"].astype(np.float64)
    own = np.unique(arrays["faces"][arrays["face_region"] == label])
    field = np.zeros_like(mean)
    field[own] = mean[own] - mean[own].mean(0)
    return field


def test_words_exist_for_measurements_that_exist() -> None:
    measured = measure_mesh(ShapeModel(small_arrays(1), small_header()).mesh())
    assert {word.key for word in mode_words()} <= set(measured)


def test_a_mode_that_scales_everything_is_the_whole_heart() -> None:
    (described,) = describe_modes(model_of(small_arrays(1)["mean"].astype(np.float64), 0.1), sigma=1.0)
    assert described.text == "whole heart larger"
    assert described.changes["lv_volume_ml"] == pytest.approx(100 * (1.1**3 - 0.9**3), rel=1e-3)
    assert described.changes["lv_length_mm"] == pytest.approx(20, rel=1e-3)


def test_the_sign_of_a_mode_is_the_sign_of_its_words() -> None:
    (described,) = describe_modes(model_of(-small_arrays(1)["mean"].astype(np.float64), 0.1), sigma=1.0)
    assert described.text == "whole heart smaller"


def test_a_mode_that_lets_one_atrium_grow_names_it_alone() -> None:
    (described,) = describe_modes(model_of(region_scaling(4), 0.1))
    assert described.phrases == ("LA larger",)
    assert described.explained == pytest.approx(
        0.01 * np.linalg.norm(region_scaling(4)) ** 2 / small_header().total_variance_mm2
    )


def test_a_pool_that_grows_within_its_wall_makes_the_wall_thinner() -> None:
    (described,) = describe_modes(model_of(region_scaling(1), 0.1))
    assert described.phrases == ("wall thinner", "LV cavity larger") or described.phrases == (
        "LV cavity larger",
        "wall thinner",
    )


def test_a_mode_that_moves_without_growing_says_so() -> None:
    (described,) = describe_modes(model_of(np.ones_like(small_arrays(1)["mean"], dtype=float), 0.1))
    assert described.phrases == ()
    assert described.text == "position and form rather than size"


def test_volumes_and_lengths_are_compared_as_lengths() -> None:
    # 12 % of volume is 4 % of length: less than 6 % of a diameter.
    assert phrases({"rv_volume_ml": 12.0, "pa_diameter_mm": -6.0}) == ("pulmonary artery narrower", "RV larger")
    assert phrases({"rv_volume_ml": 8.0}) == ()


def test_beside_the_whole_heart_only_what_goes_its_own_way_is_told() -> None:
    whole = dict.fromkeys(CHAMBERS, 30.0)
    assert phrases({**whole, "aorta_diameter_mm": 9.0}) == ("whole heart larger",)
    assert phrases({**whole, "aorta_diameter_mm": 2.0}) == ("whole heart larger",)
    assert phrases({**whole, "aorta_diameter_mm": -5.0}) == ("whole heart larger", "aorta narrower")
    assert phrases({**whole, "aorta_diameter_mm": 16.0}) == ("whole heart larger", "aorta wider")


def test_chambers_that_disagree_are_not_a_whole() -> None:
    told = phrases({**dict.fromkeys(CHAMBERS, 30.0), "rv_volume_ml": -20.0})
    assert "whole heart larger" not in told
    assert len(told) == 3


def test_what_is_missing_on_one_side_is_not_compared() -> None:
    def measured(**values: float) -> dict[str, Measurement]:
        return {key: Measurement(key, key, value, "ml") for key, value in values.items()}

    changes = changes_percent(measured(a=8, b=1), measured(a=10, b=1, c=3), measured(a=13, c=2))
    assert changes == {"a": pytest.approx(50)}


def test_no_sigma_no_description() -> None:
    with pytest.raises(InputError, match="0 sigma"):
        describe_modes(model_of(region_scaling(1), 0.1), sigma=0)
