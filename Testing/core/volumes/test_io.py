import gzip
import json
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid, Volume
from FedSimCore.volumes.io import count_file_labels, read_label_map, read_volume, write_label_map, write_volume
from FedSimCore.volumes.reading import VolumeWarning
from Testing.core.volumes.making import KINDS, a_volume, an_affine, to_itk


def saved(path: Path, array: np.ndarray, affine: np.ndarray | None = None, **header: object) -> Path:
    image = nib.Nifti1Image(array, an_affine("straight") if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def refusal(path: Path, read=read_volume) -> str:
    with pytest.raises(InputError) as refused:
        read(path)
    message = str(refused.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_what_is_written_is_read_back_at_the_same_millimetre(tmp_path, suffix, kind, dtype):
    volume = a_volume(kind)
    write_volume(volume, tmp_path / f"scan{suffix}", dtype)
    back = read_volume(tmp_path / f"scan{suffix}")
    assert back.array.dtype == np.float32
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.grid.same_as(volume.grid, tolerance_mm=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("kind", ["straight", "flipped", "permuted", "oblique"])
def test_simpleitk_and_nibabel_find_a_written_voxel_where_we_put_it(tmp_path, suffix, kind):
    volume, ijk = a_volume(kind), (5, 1, 3)
    path = tmp_path / f"scan{suffix}"
    write_volume(volume, path)
    world = volume.grid.to_world(ijk)
    itk = sitk.ReadImage(str(path))
    np.testing.assert_allclose(np.array(itk.TransformIndexToPhysicalPoint(ijk)) * (-1, -1, 1), world, atol=1e-4)
    assert itk[ijk] == volume.array[ijk]
    if suffix == ".nii.gz":
        image = nib.load(path)
        np.testing.assert_allclose(nib.affines.apply_affine(image.affine, ijk), world, atol=1e-4)
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [True, False])
def test_a_nrrd_that_itk_wrote_in_lps_is_read_at_its_millimetres(tmp_path, kind, packed):
    volume = a_volume(kind)
    sitk.WriteImage(to_itk(volume), str(tmp_path / "lps.nrrd"), useCompression=packed)
    assert b"left-posterior-superior" in (tmp_path / "lps.nrrd").read_bytes()
    back = read_volume(tmp_path / "lps.nrrd")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.grid.same_as(volume.grid, tolerance_mm=1e-6)


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    for suffix in (".nii.gz", ".nrrd"):
        for name in ("a", "b"):
            write_volume(a_volume(), tmp_path / f"{name}{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="a file size limit stands in for a full disk on Linux only")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_a_disk_that_fills_up_at_any_byte_leaves_nothing_half_written(tmp_path, suffix):
    write_volume(a_volume(shape=(20, 20, 20)), tmp_path / f"whole{suffix}")
    size = (tmp_path / f"whole{suffix}").stat().st_size
    code = f"""
import resource, signal, sys
from pathlib import Path
from FedSimCore.errors import DiskError
from FedSimCore.volumes.io import read_volume, write_volume
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
volume = read_volume(Path({str(tmp_path / f"whole{suffix}")!r}))
for limit in (100, {size // 2}, {size - 200}, {size - 1}):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_volume(volume, Path({str(tmp_path / "out")!r}) / "a{suffix}")
    except DiskError:
        continue
    sys.exit(f"no error at {{limit}} of {size} bytes")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_slope_and_intercept_are_applied_and_byte_order_does_not_matter(tmp_path):
    stored = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    image = nib.Nifti1Image(stored, np.eye(4), nib.Nifti1Header(endianness=">"))
    image.header.set_slope_inter(2, -1024)
    image.to_filename(tmp_path / "scan.nii")
    raw = (tmp_path / "scan.nii").read_bytes()
    np.testing.assert_array_equal(
        read_volume(tmp_path / "scan.nii").array, nib.load(tmp_path / "scan.nii").get_fdata(dtype=np.float32)
    )
    assert raw[:4] == b"\x00\x00\x01\x5c"


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001), ("unknown", 1.0)])
def test_lengths_in_other_units_become_millimetres(tmp_path, unit, factor):
    affine = an_affine("oblique")
    stored = affine / factor
    stored[3, 3] = 1
    image = nib.Nifti1Image(np.arange(24, dtype="i2").reshape(2, 3, 4), stored)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "scan.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").grid.affine, affine, rtol=1e-5)


def test_a_single_time_point_is_dropped_and_a_series_is_refused(tmp_path):
    array = np.arange(48, dtype="f4").reshape(2, 3, 4, 2)
    one = read_volume(saved(tmp_path / "one.nii", array[..., :1]))
    np.testing.assert_array_equal(one.array, array[..., 0])
    assert "is 4D (2, 3, 4, 2)" in refusal(saved(tmp_path / "cine.nii.gz", array))


def test_plain_data_called_gz_and_packed_data_called_nii_are_read_all_the_same(tmp_path):
    volume = a_volume()
    write_volume(volume, tmp_path / "a.nii")
    (tmp_path / "plain.nii.gz").write_bytes((tmp_path / "a.nii").read_bytes())
    (tmp_path / "packed.nii").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    for name in ("plain.nii.gz", "packed.nii"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, volume.array)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), "f4"), "is 2D (4, 4)"),
        (np.zeros((4, 4, 1), "f4"), "is 2D (4, 4, 1)"),
        (np.full((2, 2, 2), 7, "f4"), "is constant: every voxel is 7"),
        (np.array([np.nan, np.nan, np.inf, 1, 2, 3, 4, 5], "f4").reshape(2, 2, 2), "2 NaN and 1 infinite voxels of 8"),
        (np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colour or complex"),
        (np.ones((2, 2, 2), "c8"), "colour or complex"),
    ],
)
def test_an_image_that_is_no_scalar_volume_is_refused_in_words(tmp_path, array, words):
    assert words in refusal(saved(tmp_path / "scan.nii", array))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_a_truncated_file_is_refused_at_every_length(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write_volume(a_volume(), path)
    whole = path.read_bytes()
    for length in (0, 1, 3, 100, 347, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        refusal(path)


def test_a_flipped_bit_in_a_packed_file_is_noticed(tmp_path):
    path = tmp_path / "scan.nii.gz"
    write_volume(a_volume(shape=(20, 20, 20)), path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    path.write_bytes(damaged)
    assert "truncated or damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_header_that_claims_terabytes_is_refused_before_anything_is_allocated(tmp_path, suffix):
    path = saved(tmp_path / "bomb.nii", np.ones((2, 2, 2), "f8"))
    raw = bytearray(path.read_bytes())
    raw[42:48] = np.array([30000] * 3, "<i2").tobytes()
    bomb = tmp_path / f"bomb{suffix}"
    bomb.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else bytes(raw))
    assert "claims 2.7e+13 voxels" in refusal(bomb)
    raw[42:48] = np.array([900] * 3, "<i2").tobytes()
    bomb.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else bytes(raw))
    assert "is truncated: its header claims 5832000000 bytes" in refusal(bomb)


def test_a_nrrd_header_that_claims_terabytes_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "bomb.nrrd"
    write_volume(a_volume(), path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"sizes: 7 6 5", b"sizes: 30000 30000 30000"))
    assert "claims 2.7e+13 voxels" in refusal(path)
    path.write_bytes(raw.replace(b"sizes: 7 6 5", b"sizes: 900 900 900"))
    assert "is truncated: its header claims" in refusal(path)


def test_an_affine_that_cannot_be_inverted_is_refused_with_the_files_name(tmp_path):
    flat = an_affine("straight")
    flat[:3, 2] = flat[:3, 1]
    assert "cannot be inverted" in refusal(
        saved(tmp_path / "flat.nii", np.arange(8, dtype="f4").reshape(2, 2, 2), flat)
    )


def test_metres_called_millimetres_are_recognised(tmp_path):
    affine = np.diag([0.0005, 0.0005, 0.001, 1])
    message = refusal(saved(tmp_path / "scan.nii", np.arange(8, dtype="f4").reshape(2, 2, 2), affine))
    assert "0.0005 x 0.0005 x 0.001 mm; the unit in its header is wrong" in message


def test_disagreeing_qform_and_sform_are_told_with_their_distance(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype="f4").reshape(2, 2, 2), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 30
    image.set_sform(np.eye(4), 1)
    image.set_qform(shifted, 1)
    nib.save(image, tmp_path / "scan.nii")
    with pytest.warns(VolumeWarning, match=r"30\.0 mm apart"):
        volume = read_volume(tmp_path / "scan.nii")
    np.testing.assert_array_equal(volume.grid.affine, np.eye(4))


def test_a_file_that_does_not_say_where_left_is_is_read_with_a_warning(tmp_path):
    path = saved(tmp_path / "scan.nii", np.arange(8, dtype="f4").reshape(2, 2, 2), qform_code=0, sform_code=0)
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)  # nibabel sets the codes on saving
    path.write_bytes(raw)
    with pytest.warns(VolumeWarning, match="neither qform nor sform"):
        volume = read_volume(path)
    np.testing.assert_array_equal(volume.grid.affine, nib.load(path).affine)


@pytest.mark.parametrize("field", ["space", "space directions"])
def test_a_nrrd_that_does_not_say_how_its_axes_lie_is_read_with_a_warning(tmp_path, field):
    path = tmp_path / "scan.nrrd"
    write_volume(a_volume("straight"), path)
    header, data = path.read_bytes().split(b"\n\n", 1)
    gone = ("space:", "space directions:", "space origin:", "space units:") if field == "space" else (field + ":",)
    kept = [line for line in header.decode().splitlines() if not line.startswith(gone)]
    path.write_bytes("\n".join(kept).encode() + b"\n\n" + data)
    with pytest.warns(VolumeWarning, match="does not say how its axes lie"):
        np.testing.assert_array_equal(read_volume(path).array, a_volume("straight").array)


@pytest.mark.parametrize("name", ["scan.txt", "scan.mha", "scan"])
def test_an_unknown_format_is_named_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else")
    assert "give .nii, .nii.gz, .nrrd, or a folder" in refusal(tmp_path / name)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_label_maps_are_translated_from_mmwhs_and_imagechd(tmp_path, suffix):
    grid = Grid((3, 3, 1 + 1), an_affine("flipped"))
    mmwhs = np.array([0, 500, 205, 600, 420, 550, 820, 850, 421] * 2, np.int16).reshape(grid.shape)
    ours = np.array([0, 1, 2, 3, 4, 5, 6, 7, 4] * 2, np.uint8).reshape(grid.shape)
    imagechd = np.array([0, 1, 5, 2, 3, 4, 6, 7, 3] * 2, np.int16).reshape(grid.shape)
    for scheme, array in (("mmwhs", mmwhs), ("imagechd", imagechd), ("fedsim", ours)):
        path = tmp_path / f"{scheme}{suffix}"
        write_volume(Volume(array, grid), path, "int16")
        label_map = read_label_map(path, scheme)
        assert label_map.array.dtype == np.uint8
        np.testing.assert_array_equal(label_map.array, ours)
        assert label_map.grid.same_as(grid, 1e-4)
    write_label_map(Volume(ours, grid), tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(read_label_map(tmp_path / f"out{suffix}").array, ours)
    assert count_file_labels(tmp_path / f"mmwhs{suffix}")[421] == 2


def test_a_scheme_of_ones_own_maps_values_to_region_keys(tmp_path):
    path = saved(tmp_path / "label.nii", np.array([0, 10, 20, 99] * 2, "u1").reshape(2, 2, 2))
    (tmp_path / "scheme.json").write_text(json.dumps({"values": {"10": "lv", "20": "pa", "99": "background"}}))
    expected = np.array([0, 1, 7, 0] * 2).reshape(2, 2, 2)
    np.testing.assert_array_equal(read_label_map(path, tmp_path / "scheme.json").array, expected)
    np.testing.assert_array_equal(read_label_map(path, {10: "lv", 20: "pa", 99: "background"}).array, expected)


def test_unknown_label_values_are_named_with_their_counts(tmp_path):
    path = saved(tmp_path / "label.nii", np.array([0, 1, 9, 9, 9, 200, 0, 0], "i2").reshape(2, 2, 2))
    message = refusal(path, read_label_map)
    assert "9 (3 voxels), 200 (1 voxels)" in message


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2, 2), "u1"), "holds none of the seven regions"),
        (np.full((2, 2, 2), 0.5, "f4"), "holds 0.5, which is no whole number"),
        (np.full((2, 2, 2), np.nan, "f4"), "holds nan, which is no whole number"),
    ],
)
def test_a_label_map_without_regions_or_with_fractions_is_refused(tmp_path, array, words):
    assert words in refusal(saved(tmp_path / "label.nii", array), read_label_map)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"values": {"1": "left ventricle"}}, "There is no region 'left ventricle'"),
        ({"values": {"one": "lv"}}, "maps 'one', which is no whole number"),
        ({"1": "lv"}, "is no label scheme"),
        ([], "is no label scheme"),
    ],
)
def test_a_label_scheme_that_cannot_be_used_says_why(tmp_path, content, words):
    path = saved(tmp_path / "label.nii", np.ones((2, 2, 2), "u1"))
    (tmp_path / "scheme.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as refused:
        read_label_map(path, tmp_path / "scheme.json")
    assert words in str(refused.value)
    assert "scheme.json" in str(refused.value)


def test_an_unknown_scheme_is_refused_by_name(tmp_path):
    path = saved(tmp_path / "label.nii", np.ones((2, 2, 2), "u1"))
    with pytest.raises(InputError, match="no label scheme 'mm-whs'"):
        read_label_map(path, "mm-whs")


def test_nothing_is_written_where_values_do_not_fit(tmp_path):
    grid = Grid((2, 2, 2), np.eye(4))
    with pytest.raises(InputError, match="exceed int16"):
        write_volume(Volume(np.full((2, 2, 2), 40000.0), grid), tmp_path / "a.nii", "int16")
    with pytest.raises(InputError, match="8 voxels are NaN"):
        write_volume(Volume(np.full((2, 2, 2), np.nan), grid), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"no labels of ours: \{9: 8\}"):
        write_label_map(Volume(np.full((2, 2, 2), 9), grid), tmp_path / "a.nii")
    with pytest.raises(InputError, match="must end in one of"):
        write_volume(Volume(np.zeros((2, 2, 2)), grid), tmp_path / "a.mha")
    assert list(tmp_path.iterdir()) == []


def test_reading_emits_no_warning_on_a_sound_file(tmp_path):
    write_volume(a_volume(), tmp_path / "scan.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_volume(tmp_path / "scan.nii.gz")
