import struct
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk

from FedSimCore.errors import InputError
from FedSimCore.volumes import Volume
from FedSimCore.volumes.dicom_elements import check_lengths
from FedSimCore.volumes.io import read_volume
from Testing.core.volumes.making import a_volume, in_its_locale, write_dicom_series


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as refused:
        read_volume(path, **options)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def assert_same_patient(read: Volume, written: Volume) -> None:
    """Every written voxel is found at its millimetre; the order of the slices is the reader's affair."""
    ijk = np.stack(np.meshgrid(*map(np.arange, written.grid.shape), indexing="ij"), -1)
    found = read.grid.to_index(written.grid.to_world(ijk))
    np.testing.assert_allclose(found, np.round(found), atol=1e-4)
    i, j, k = np.moveaxis(np.round(found).astype(int), -1, 0)
    np.testing.assert_array_equal(read.array[i, j, k], written.array)


@pytest.mark.parametrize("kind", ["straight", "flipped", "permuted", "oblique", "tilted"])
def test_a_series_is_read_in_hu_at_its_millimetres(tmp_path, kind):
    volume = a_volume(kind)
    write_dicom_series(tmp_path / "series", volume)
    read = read_volume(tmp_path / "series")
    assert read.array.dtype == np.float32
    assert_same_patient(read, volume)


def test_a_zip_of_a_series_is_read_and_its_names_cannot_leave_the_folder(tmp_path):
    volume = a_volume("oblique")
    write_dicom_series(tmp_path / "series", volume)
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for number, path in enumerate(sorted((tmp_path / "series").iterdir())):
            archive.write(path, f"../../escape/{number}.dcm")
        archive.writestr("__MACOSX/._1.dcm", "a resource fork")
    assert_same_patient(read_volume(tmp_path / "series.zip"), volume)
    assert not (tmp_path.parent / "escape").exists()


def test_of_several_series_one_must_be_chosen(tmp_path):
    first, second = a_volume("straight"), a_volume("oblique", seed=1)
    write_dicom_series(tmp_path / "study", first, uid="1.2.3.1", **{"0008|103e": "CTA 0.6"})
    write_dicom_series(tmp_path / "other", second, uid="1.2.3.2")
    for path in (tmp_path / "other").iterdir():
        path.rename(tmp_path / "study" / f"b{path.name}")
    message = refusal(tmp_path / "study")
    assert "holds 2 series" in message
    assert "1.2.3.1 (5 slices, CTA 0.6)" in message
    assert_same_patient(read_volume(tmp_path / "study", series="1.2.3.2"), second)
    assert "has no series 9.9" in refusal(tmp_path / "study", series="9.9")


def test_a_localizer_and_stray_files_beside_a_series_do_not_hinder(tmp_path):
    volume = a_volume("oblique")
    write_dicom_series(tmp_path / "study", volume, uid="1.2.3.1")
    write_dicom_series(tmp_path / "scout", a_volume(seed=3), uid="1.2.3.2")
    (tmp_path / "scout" / "001.dcm").rename(tmp_path / "study" / "scout.dcm")
    (tmp_path / "study" / "notes.txt").write_text("read me")
    assert_same_patient(read_volume(tmp_path / "study"), volume)


def test_a_missing_slice_is_noticed_rather_than_squeezed(tmp_path):
    write_dicom_series(tmp_path / "series", a_volume("oblique"))
    (tmp_path / "series" / "003.dcm").unlink()
    assert "slice distances vary from 2.50 to 5.00 mm" in refusal(tmp_path / "series")


def test_two_phases_in_one_series_are_refused(tmp_path):
    volume = a_volume("oblique")
    write_dicom_series(tmp_path / "series", volume)
    write_dicom_series(tmp_path / "late", volume, **{"0008|0018": "1.2.99"})
    for path in (tmp_path / "late").iterdir():
        path.rename(tmp_path / "series" / f"late{path.name}")
    assert "several images at one position" in refusal(tmp_path / "series")


def test_a_single_slice_is_said_to_be_2d(tmp_path):
    write_dicom_series(tmp_path / "series", a_volume("oblique"))
    assert "is a single 2D DICOM image; give the folder" in refusal(tmp_path / "series" / "002.dcm")


def test_a_folder_or_zip_without_dicom_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no DICOM series" in refusal(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "holds no DICOM series" in refusal(tmp_path / "notes.zip")
    (tmp_path / "broken.zip").write_bytes((tmp_path / "notes.zip").read_bytes()[:20])
    refusal(tmp_path / "broken.zip")


def test_a_truncated_slice_is_refused(tmp_path):
    write_dicom_series(tmp_path / "series", a_volume("oblique"))
    damaged = tmp_path / "series" / "002.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    refusal(tmp_path / "series")


@pytest.mark.parametrize("name", ["001.dcm", "003.dcm", "005.dcm"])
def test_a_slice_whose_header_is_cut_off_is_named_rather_than_left_out(tmp_path, name):
    write_dicom_series(tmp_path / "series", a_volume("oblique"))
    damaged = tmp_path / "series" / name
    damaged.write_bytes(damaged.read_bytes()[:400])
    assert name in refusal(tmp_path / "series")


def test_an_element_that_claims_gigabytes_is_refused_before_gdcm_allocates_them(tmp_path):
    write_dicom_series(tmp_path / "series", a_volume("oblique"))
    path = tmp_path / "series" / "003.dcm"
    raw = path.read_bytes()
    place = raw.index(b"\x08\x00\x60\x00")  # modality, implicit: tag, then four bytes of length
    path.write_bytes(raw[: place + 4] + b"\xf0\xff\xff\xff" + raw[place + 8 :])
    assert "(0008,0060) claims 4294967280 bytes" in refusal(tmp_path / "series")


def test_a_compressed_series_is_read_like_the_plain_one(tmp_path):
    write_dicom_series(tmp_path / "plain", a_volume("oblique", (40, 36, 4)), **{"0028|1052": "0"})
    (tmp_path / "packed").mkdir()
    for path in (tmp_path / "plain").iterdir():
        reader, writer = sitk.ImageFileReader(), sitk.ImageFileWriter()
        reader.SetFileName(str(path))
        writer.SetFileName(str(tmp_path / "packed" / path.name))
        writer.KeepOriginalImageUIDOn()
        writer.UseCompressionOn()
        with in_its_locale():
            writer.Execute(reader.Execute())
    plain, packed = read_volume(tmp_path / "plain"), read_volume(tmp_path / "packed")
    assert b"1.2.840.10008.1.2.4.90" in (tmp_path / "packed" / "001.dcm").read_bytes()[:600], "JPEG 2000"
    np.testing.assert_array_equal(packed.array, plain.array)
    assert packed.grid.same_as(plain.grid)


def test_a_multi_frame_file_is_refused_rather_than_taken_for_a_volume(tmp_path):
    with in_its_locale():
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((7, 20, 20), np.uint16)), str(tmp_path / "cine.dcm"))
    assert "is one multi-frame DICOM file of 7 frames" in refusal(tmp_path / "cine.dcm")


@pytest.mark.parametrize("kind", ["implicit", "explicit"])
def test_lengths_are_followed_through_sequences_and_fragments(tmp_path, kind):
    def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
        tag, size = struct.pack("<HH", group, number), len(value) if length is None else length
        if kind == "implicit" or group == 0xFFFE:
            return tag + struct.pack("<I", size) + value
        if vr in (b"SQ", b"OB", b"UN"):
            return tag + vr + b"\0\0" + struct.pack("<I", size) + value
        return tag + vr + struct.pack("<H", size) + value

    syntax = b"1.2.840.10008.1.2" + (b"\0" if kind == "implicit" else b".1\0")
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    inner = element(8, 0x1150, b"UI", b"1.2.3\0")
    item = element(0xFFFE, 0xE000, b"", inner)
    end = element(0xFFFE, 0xE00D, b"", b"") + element(0xFFFE, 0xE0DD, b"", b"")
    nested = element(8, 0x1140, b"SQ", item)
    open_ended = element(8, 0x1140, b"SQ", element(0xFFFE, 0xE000, b"", inner, 0xFFFFFFFF) + end, 0xFFFFFFFF)
    pixels = element(0xFFFE, 0xE000, b"", b"") + element(0xFFFE, 0xE000, b"", b"\xff" * 10)
    fragments = element(0x7FE0, 0x10, b"OB", pixels + element(0xFFFE, 0xE0DD, b"", b""), 0xFFFFFFFF)
    path = tmp_path / "x.dcm"
    whole = bytes(128) + b"DICM" + meta + nested + open_ended + element(0x20, 0xD, b"UI", b"1.2\0") + fragments
    path.write_bytes(whole)
    check_lengths(path)
    liar = element(0xFFFE, 0xE000, b"", element(8, 0x1150, b"UI", b"1.2.3\0", 60000))
    path.write_bytes(
        bytes(128) + b"DICM" + meta + element(8, 0x1140, b"SQ", liar) + element(0x20, 0xD, b"UI", b"1.2\0")
    )
    with pytest.raises(InputError, match=r"\(0008,1150\) claims 60000 bytes"):
        check_lengths(path)
