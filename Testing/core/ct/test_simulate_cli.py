"""`fedsim simulate`, from a seed, a parameter file and a label map to files that reproduce themselves."""

import json

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.cohorts.readers import read_cohort
from FedSimCore.errors import InputError
from FedSimCore.shape.model import builtin_model
from FedSimCore.shape.parameters import HeartParameters, write_parameters
from FedSimCore.volumes.io import read_label_map, read_volume

SMALL = ["--size", "32", "--spacing", "5", "--views", "40"]


def fedsim(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    result = fedsim("simulate", "-o", folder, "--seed", 7, "-n", 2, "--json", *SMALL)
    return folder, json.loads(result.stdout)["scans"]


def test_a_seed_gives_ct_labels_mesh_recipe_and_a_cohort(simulated):
    folder, scans = simulated
    assert [sorted(scan) for scan in scans] == [["image", "label", "mesh", "recipe"]] * 2
    image, labels = read_volume(scans[0]["image"]), read_label_map(scans[0]["label"])
    assert image.grid.same_as(labels.grid)
    assert nib.load(scans[0]["image"]).get_data_dtype() == np.int16
    blood = image.array[labels.array == 1]
    assert 250 < np.median(blood) < 600
    cohort = read_cohort(folder)
    assert [case.id for case in cohort.cases] == ["heart-0007", "heart-0008"]


def test_the_recipe_gives_the_same_voxels_again(simulated, tmp_path):
    _, scans = simulated
    fedsim("simulate", "-o", tmp_path, "--from", scans[1]["recipe"])
    for role in ("image", "label"):
        again = tmp_path / scans[1][role].rsplit("/", 1)[1]
        np.testing.assert_array_equal(nib.load(again).dataobj, nib.load(scans[1][role]).dataobj)


def test_the_same_heart_is_the_same_alone_as_in_a_batch(simulated, tmp_path):
    _, scans = simulated
    fedsim("simulate", "-o", tmp_path, "--seed", 8, *SMALL)
    alone = nib.load(tmp_path / "heart-0008_image.nii.gz")
    np.testing.assert_array_equal(alone.dataobj, nib.load(scans[1]["image"]).dataobj)


def test_a_label_map_is_scanned_in_its_place_and_written_as_nrrd(simulated, tmp_path):
    _, scans = simulated
    result = fedsim(
        "simulate", "-o", tmp_path, "--labels", scans[0]["label"], "--surroundings", "fat", "--scanner",
        "congenital-severe", "--format", "nrrd", "--no-noise", "--json", *SMALL,
    )  # fmt: skip
    (scan,) = json.loads(result.stdout)["scans"]
    assert "mesh" not in scan
    image, given = read_volume(scan["image"]), read_label_map(scans[0]["label"])
    # The crop is centred anew: a marked region is found at the same millimetres, within a voxel.
    labels = read_label_map(scan["label"])
    for volume in (given, labels):
        middle = volume.grid.to_world(np.argwhere(volume.array == 1)).mean(axis=0)
        assert np.abs(middle - given.grid.to_world(np.argwhere(given.array == 1)).mean(axis=0)).max() < 2.5
    assert image.array[labels.array == 1].mean() > 150


def test_options_change_the_protocol_in_the_recipe(tmp_path):
    result = fedsim(
        "simulate", "-o", tmp_path, "--kvp", 80, "--mas", 33, "--phase", "venous", "--kernel", "soft", "--slice", 6,
        "--surroundings", "none", "--json", *SMALL,
    )  # fmt: skip
    (scan,) = json.loads(result.stdout)["scans"]
    with open(scan["recipe"]) as file:
        protocol = json.load(file)["scanner"]
    assert (protocol["kvp"], protocol["mas"], protocol["phase"]) == (80, 33, "venous")
    assert (protocol["kernel"], protocol["slice_thickness_mm"]) == ("soft", 6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--kvp", "125"], "scanner adult: .*kvp 125 is none of 70"),
        (["--scanner", "ge"], "There is no scanner 'ge'"),
        (["--surroundings", "water"], "surroundings = 'water' cannot be used"),
        (["--format", "dicom"], "There is no format 'dicom'; choose nifti or nrrd"),
        (["--labels", "/nowhere/heart.nii.gz"], "/nowhere/heart.nii.gz does not exist"),
        (["--from", "/nowhere/x.json"], "/nowhere/x.json does not exist"),
        (["--spacing", "-1"], "spacing_mm = -1.0 cannot be used"),
        (["/nowhere/p.json"], "/nowhere/p.json does not exist"),
        (["/nowhere/p.json", "--from", "x.json"], "only one of them"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_nothing_is_written(arguments, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        fedsim("simulate", *arguments, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_label_map_that_changed_since_is_refused(simulated, tmp_path):
    _, scans = simulated
    labels = tmp_path / "heart.nii.gz"
    nib.save(nib.load(scans[0]["label"]), labels)
    fedsim("simulate", "-o", tmp_path / "a", "--labels", labels, "--surroundings", "none", *SMALL)
    nib.save(nib.load(scans[1]["label"]), labels)
    with pytest.raises(InputError, match=r"heart\.nii\.gz has changed since the recipe was written"):
        fedsim("simulate", "-o", tmp_path / "b", "--from", tmp_path / "a" / "heart.json")


def test_a_recipe_with_an_impossible_value_is_refused(simulated, tmp_path):
    _, scans = simulated
    with open(scans[0]["recipe"]) as file:
        content = json.load(file)
    path = tmp_path / "bad.json"
    for change, sentence in (
        ({"schema": "fedsim/simulation/9"}, "is no simulation of FedSim"),
        ({"parameters": None}, "either parameters of a shape model or a label map"),
        ({"model_sha256": "0" * 64}, "belong to shape model 000000000000"),
        ({"scanner": {**content["scanner"], "mas": 0}}, "scanner.mas = 0 cannot be used"),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=sentence):
            fedsim("simulate", "-o", tmp_path / "out", "--from", path)


def test_scanners_and_tissues_are_listed_for_people_and_machines():
    listed = json.loads(fedsim("scanners", "--json").stdout)["scanners"]
    assert {"adult", "congenital-mild", "congenital-severe"} <= {s["key"] for s in listed}
    entries = json.loads(fedsim("tissues", "--phase", "arterial", "--kvp", 100, "--json").stdout)["tissues"]
    blood = next(e for e in entries if e["key"] == "blood_left")
    assert blood["hu"] > 500
    assert "blood_left" in fedsim("tissues").stdout


@pytest.mark.parametrize(("weights", "fits"), [(3, True), (20, True), (400, False)])
def test_a_heart_may_have_any_number_of_weights_up_to_the_models_modes(tmp_path, weights, fits):
    path = tmp_path / "heart.json"
    write_parameters(path, HeartParameters(weights=(0.5,) * weights), builtin_model(None).checksum)
    arguments = ["simulate", path, "-o", tmp_path / "out", "--surroundings", "none", *SMALL]
    if fits:
        fedsim(*arguments)
        assert (tmp_path / "out" / "heart_image.nii.gz").is_file()
    else:
        with pytest.raises(InputError, match=r"heart\.json has 400 weights, but the model has 40 modes"):
            fedsim(*arguments)
