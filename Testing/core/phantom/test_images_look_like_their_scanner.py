"""HU, noise, geometry and reproducibility of the images."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from FedSimCore import anatomy
from FedSimCore.cohorts.phantom import make_label_map, make_phantom
from FedSimCore.cohorts.phantom.artefacts import correlated_noise
from FedSimCore.cohorts.phantom.measure import volumes_ml
from FedSimCore.cohorts.phantom.patient import draw_patient
from FedSimCore.cohorts.phantom.sites import site

CASES = [("adult", 0), ("congenital-mild", 1), ("congenital-severe", 2)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0])
def scanned(request):
    name, seed = request.param
    return draw_patient(site(name), seed), make_phantom(name, seed, spacing_mm=1.3 if name == "adult" else 1.0)


def inner_hu(phantom, key, depth=2):
    region = ndimage.binary_erosion(phantom.label.array == anatomy.region(key).label, iterations=depth)
    return phantom.image.array[region]


def test_blood_and_muscle_have_the_hu_of_the_contrast_phase(scanned):
    patient, phantom = scanned
    assert np.median(inner_hu(phantom, "ao")) == pytest.approx(patient.scan.blood_hu("left"), abs=15)
    assert np.median(inner_hu(phantom, "la")) == pytest.approx(patient.scan.blood_hu("left"), abs=15)
    assert np.median(inner_hu(phantom, "pa")) == pytest.approx(patient.scan.blood_hu("pa"), abs=25)
    muscle = patient.scan.enhanced_hu("myocardium", "myocardium")
    assert np.median(inner_hu(phantom, "myo", 1)) == pytest.approx(muscle, abs=25)


def in_front_of_the_heart(phantom):
    """HU of the front of the chest, where nothing but bone is bright: sternum and ribs, no vessel with contrast."""
    count = phantom.label.array.shape[1]
    anterior = phantom.label.grid.to_world(np.outer(np.arange(count), (0, 1, 0)))[:, 1]
    heart = (phantom.label.array > 0).any(axis=(0, 2))
    return phantom.image.array[:, anterior > anterior[heart].max()]


def test_lung_fat_and_bone_are_there(scanned):
    _, phantom = scanned
    values, counts = np.unique(np.round(phantom.image.array, -1), return_counts=True)
    share = dict(zip(values, counts / counts.sum(), strict=True))
    assert sum(s for hu, s in share.items() if -900 < hu < -700) > 0.05
    assert sum(s for hu, s in share.items() if -150 < hu < -60) > 0.02
    assert (in_front_of_the_heart(phantom) > 200).mean() > 0.01


def test_noise_below_the_streaks_is_what_the_scanner_has(scanned):
    patient, phantom = scanned
    atrium = ndimage.binary_erosion(phantom.label.array == anatomy.region("la").label, iterations=2)
    atrium[:, :, int(np.median(np.nonzero(atrium)[2])) :] = False
    smooth, weight = (ndimage.gaussian_filter(part, 4) for part in (phantom.image.array * atrium, atrium * 1.0))
    noise = phantom.image.array[atrium] - smooth[atrium] / weight[atrium]
    # The look's noise is that of the middle of the field; slices vary by some 12 %.
    assert 0.7 < noise.std() / patient.scan.noise_hu < 1.35


def test_image_and_label_share_one_grid_in_the_orientation_of_the_scanner(scanned):
    patient, phantom = scanned
    assert phantom.image.grid.same_as(phantom.label.grid)
    assert phantom.image.array.dtype == np.float32
    assert phantom.label.array.dtype == np.uint8
    reversed_axes = np.sign(np.diag(phantom.image.grid.affine)[:3])
    np.testing.assert_array_equal(reversed_axes, (-1, -1, 1) if patient.scan.orientation == "LPS" else (1, 1, 1))


def test_bright_blood_lies_where_the_label_says(scanned):
    """Image and label are flipped together: shifting the label map breaks what is bright in it."""
    patient, phantom = scanned
    left = np.isin(phantom.label.array, [anatomy.region(key).label for key in ("la", "ao")])
    there = np.median(phantom.image.array[left])
    mirrored = np.median(phantom.image.array[left[::-1, ::-1]])
    assert there == pytest.approx(patient.scan.blood_hu("left"), abs=25)
    assert mirrored < there - 60


def test_papillary_muscles_and_trabeculae_darken_the_ventricle_but_not_the_atrium():
    phantom = make_phantom("adult", 3, spacing_mm=1.2)
    scan = draw_patient(site("adult"), 3).scan
    halfway = (scan.blood_hu("left") + scan.enhanced_hu("myocardium", "myocardium")) / 2
    dark = {key: float((inner_hu(phantom, key) < halfway).mean()) for key in ("lv", "la")}
    assert 0.01 < dark["lv"] < 0.15
    assert dark["la"] < 0.005


def test_the_same_seed_gives_the_same_voxels_and_another_seed_another_heart():
    first, again = (make_phantom("congenital-mild", 5, spacing_mm=3) for _ in range(2))
    np.testing.assert_array_equal(first.image.array, again.image.array)
    np.testing.assert_array_equal(first.label.array, again.label.array)
    assert first.facts == again.facts
    other = make_phantom("congenital-mild", 6, spacing_mm=3)
    assert other.facts["volumes_ml"] != first.facts["volumes_ml"]


def test_the_label_map_alone_is_that_of_the_phantom():
    np.testing.assert_array_equal(
        make_label_map("adult", 2, spacing_mm=2).array, make_phantom("adult", 2, spacing_mm=2).label.array
    )


def test_the_anatomy_does_not_depend_on_the_voxels():
    coarse, fine = (volumes_ml(make_label_map("adult", 4, spacing_mm=mm)) for mm in (1.8, 1.0))
    for key, volume in fine.items():
        assert coarse[key] == pytest.approx(volume, rel=0.03), key


def test_the_noise_spectrum_peaks_where_the_kernel_says():
    noise = correlated_noise((128, 128, 40), 0.4, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=1e-3)
    power = (np.abs(np.fft.fft2(noise, axes=(0, 1))) ** 2).mean(2)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128) * 2, np.fft.fftfreq(128) * 2))
    bins = np.arange(0.05, 1.0, 0.05)
    profile = [power[np.abs(frequency - f) < 0.025].mean() for f in bins]
    assert bins[int(np.argmax(profile))] == pytest.approx(0.4, abs=0.08)


def test_the_phantom_is_independent_of_simulator_and_shape_model():
    code = (
        "import sys, FedSimCore.cohorts.phantom;"
        "print([m for m in sys.modules if m.startswith(('FedSimCore.ct', 'FedSimCore.shape'))])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
