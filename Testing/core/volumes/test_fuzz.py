import warnings

import pytest
from hypothesis import given

from FedSimCore.volumes.io import read_label_map, read_volume, write_label_map, write_volume
from FedSimCore.volumes.reading import VolumeWarning
from Testing.core.volumes.fuzzing import assert_read_or_refused, bounded, damaged, damages
from Testing.core.volumes.making import a_label_map, a_volume, write_dicom_series


@pytest.fixture(autouse=True)
def _told_but_not_failed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VolumeWarning)
        yield


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
@bounded
@given(edits=damages)
def test_a_damaged_volume_is_read_or_refused_in_one_sentence(tmp_path, suffix, edits):
    sound, path = tmp_path / f"sound{suffix}", tmp_path / f"damaged{suffix}"
    if not sound.exists():
        write_volume(a_volume(), sound)
    path.write_bytes(damaged(sound.read_bytes(), edits))
    assert_read_or_refused(read_volume, path)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd"])
@bounded
@given(edits=damages)
def test_a_damaged_label_map_is_read_or_refused_in_one_sentence(tmp_path, suffix, edits):
    sound, path = tmp_path / f"sound{suffix}", tmp_path / f"damaged{suffix}"
    if not sound.exists():
        write_label_map(a_label_map(), sound)
    path.write_bytes(damaged(sound.read_bytes(), edits))
    assert_read_or_refused(read_label_map, path)


@bounded
@given(edits=damages)
def test_a_series_with_a_damaged_slice_is_read_or_refused_in_one_sentence(tmp_path, edits):
    folder = tmp_path / "series"
    if not folder.exists():
        write_dicom_series(folder, a_volume())
        (tmp_path / "sound").write_bytes((folder / "003.dcm").read_bytes())
    (folder / "003.dcm").write_bytes(damaged((tmp_path / "sound").read_bytes(), edits))
    assert_read_or_refused(read_volume, folder)


@bounded
@given(edits=damages)
def test_a_damaged_zip_is_read_or_refused_in_one_sentence(tmp_path, edits):
    import zipfile

    sound, path = tmp_path / "sound.zip", tmp_path / "damaged.zip"
    if not sound.exists():
        write_dicom_series(tmp_path / "series", a_volume())
        with zipfile.ZipFile(sound, "w", zipfile.ZIP_DEFLATED) as archive:
            for slice_ in (tmp_path / "series").iterdir():
                archive.write(slice_, slice_.name)
    path.write_bytes(damaged(sound.read_bytes(), edits))
    assert_read_or_refused(read_volume, path)
