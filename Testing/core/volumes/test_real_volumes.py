"""The real scans beside the repository (../shared/data; sources and licences in its MANIFEST.md)."""

import numpy as np
import pytest
import SimpleITK as sitk

from FedSimCore.errors import InputError
from FedSimCore.volumes.crop import crop_round_heart
from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map, write_volume
from FedSimCore.volumes.nrrd import from_itk
from FedSimCore.volumes.resample import orientation, resample
from Testing.core.volumes.making import SHARED

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (SHARED / "ct_cptac").is_dir(), reason=f"{SHARED} is not there"),
]

NATIVE = SHARED / "ct_cptac" / "chest_heart_crop_native.nii.gz"
CHEST = SHARED / "ct_cptac" / "chest_2p5mm.nii.gz"
DICOM = SHARED / "ct_cptac" / "dicom_heart_20slices.zip"
MR = SHARED / "mri_bivme" / "mr_sax_ED.nii.gz"
MR_LABEL = SHARED / "mri_bivme" / "mr_sax_ED_biv_label.nii.gz"


@pytest.mark.parametrize(
    ("path", "shape", "spacing_mm"),
    [
        (NATIVE, (180, 190, 40), (0.883, 0.883, 3.0)),
        (CHEST, (141, 109, 102), (2.5, 2.5, 3.0)),
        (DICOM, (512, 512, 20), (0.883, 0.883, 3.0)),
        (MR, (256, 208, 6), (1.41, 1.41, 17.7)),
    ],
)
def test_the_scans_load_with_the_geometry_their_manifest_states(path, shape, spacing_mm):
    volume = read_volume(path)
    assert volume.grid.shape == shape
    np.testing.assert_allclose(volume.grid.spacing_mm, spacing_mm, atol=0.005)
    assert orientation(volume.grid) == "LPS"
    assert volume.array.dtype == np.float32


def test_the_dicom_slices_and_the_nifti_crop_of_one_patient_agree_at_every_shared_millimetre():
    nifti, dicom = read_volume(NATIVE), read_volume(DICOM)
    index = dicom.grid.to_index(nifti.grid.to_world((0, 0, 10)))
    np.testing.assert_allclose(index, (180, 135, 0), atol=1e-3)  # the manifest: crop [180:360, 135:325], slices 44..63
    np.testing.assert_array_equal(dicom.array[180:360, 135:325], nifti.array[:, :, 10:30])


def test_the_whole_chest_and_the_heart_crop_show_the_same_tissue_at_the_same_place():
    native = read_volume(NATIVE)
    chest = resample(read_volume(CHEST), native.grid)
    inner = (slice(15, -15), slice(15, -15), slice(2, -2))
    assert np.corrcoef(chest.array[inner].ravel(), native.array[inner].ravel())[0, 1] > 0.95
    flipped = chest.array[::-1][inner]
    assert np.corrcoef(flipped.ravel(), native.array[inner].ravel())[0, 1] < 0.8, "this test can tell left from right"


@pytest.mark.parametrize("path", [NATIVE, CHEST, MR])
def test_simpleitk_reads_the_same_values_at_the_same_millimetres(path):
    ours, itk = read_volume(path), from_itk(sitk.ReadImage(str(path)))
    assert ours.grid.same_as(itk.grid, tolerance_mm=1e-2)
    np.testing.assert_array_equal(ours.array, itk.array)


def test_the_mr_and_its_labels_share_a_grid_and_blood_is_brighter_than_muscle():
    image, label = read_volume(MR), read_label_map(MR_LABEL)
    assert image.grid.same_as(label.grid)
    assert sorted(np.unique(label.array)) == [0, 1, 2, 3]
    blood, muscle = image.array[label.array == 1].mean(), image.array[label.array == 2].mean()
    assert blood > 1.5 * muscle


def test_the_oblique_mr_is_cropped_without_losing_volume_or_contrast():
    image, label = read_volume(MR), read_label_map(MR_LABEL)
    crop = crop_round_heart(image, label, 128, 1.5, outside=0.0)
    assert crop.image is not None
    assert crop.label is not None
    for value in (1, 2, 3):
        before = (label.array == value).sum() * label.grid.voxel_volume_mm3
        after = (crop.label.array == value).sum() * crop.grid.voxel_volume_mm3
        assert after == pytest.approx(before, rel=0.06)
    assert crop.image.array[crop.label.array == 1].mean() == pytest.approx(
        image.array[label.array == 1].mean(), rel=0.06
    )


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_real_scans_survive_being_written(tmp_path, suffix):
    image, label = read_volume(MR), read_label_map(MR_LABEL)
    write_volume(image, tmp_path / f"image{suffix}", "int16")
    write_label_map(label, tmp_path / f"label{suffix}")
    again = read_volume(tmp_path / f"image{suffix}")
    np.testing.assert_array_equal(again.array, image.array)
    assert again.grid.same_as(image.grid, tolerance_mm=1e-3)
    np.testing.assert_array_equal(read_label_map(tmp_path / f"label{suffix}").array, label.array)


def test_the_single_cine_frame_is_refused_as_2d():
    with pytest.raises(InputError, match="is a single 2D DICOM image"):
        read_volume(SHARED / "mri_bivme" / "cine_4ch_frame.dcm")


def test_a_label_map_with_an_eighth_region_needs_a_scheme_that_names_it():
    path = SHARED / "mesh_cemrg" / "healthy_label8_1mm_approx.nii.gz"
    with pytest.raises(InputError, match=r"8 \(142979 voxels\)"):
        read_label_map(path)
    scheme = {1: "lv", 2: "rv", 3: "la", 4: "ra", 5: "ao", 6: "pa", 7: "myo", 8: "background"}
    label = read_label_map(path, scheme)
    volumes_ml = np.bincount(label.array.ravel(), minlength=8) * label.grid.voxel_volume_mm3 / 1000
    assert volumes_ml[1] == pytest.approx(162.3, rel=0.03)  # the closed cavities of its mesh, MANIFEST.md
    assert volumes_ml[3] == pytest.approx(175.6, rel=0.03)
