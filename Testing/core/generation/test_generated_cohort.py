"""Whole cohorts: what is written, what a second call does, and `fedsim generate`."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.cohorts import load_case, read_cohort
from FedSimCore.cohorts.check import check_case
from FedSimCore.errors import InputError
from FedSimCore.generation.cohort import CohortGenerator, read_record
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import HeartSampler, draw
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.shape.parameters import read_parameters
from Testing.core.evaluation.cohorts_on_disk import write_blobs
from Testing.core.generation.lively_model import write_lively_model


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_lively_model(folder)
    return folder


def maker(model_folder, folder, seed=0, site="a", **options):
    model = GenerativeModel.load(model_folder)
    sampler = HeartSampler(model, site, options.pop("blend", None))
    return CohortGenerator(model, sampler, TrustMeter(sampler.generator), folder, seed, **options)


@pytest.fixture(scope="module")
def cohort(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    maker(model_folder, folder).generate(2)
    return folder


def test_it_is_a_cohort_that_any_verb_reads(cohort):
    read = read_cohort(cohort)
    assert [case.id for case in read.cases] == ["a-s0-0000", "a-s0-0001"]
    assert read.sites == ("a",)
    report = check_case(read.cases[0])
    assert (report.shape, report.spacing_mm) == ((32, 32, 32), (5.0, 5.0, 5.0))
    assert report.regions_ml.keys() >= {"lv", "myo", "rv"}
    assert "nearest_shape_ratio" in read.cases[0].extra


def test_parameters_are_those_of_the_heart_and_belong_to_the_shape_model(cohort, model_folder):
    generator = GenerativeModel.load(model_folder).generator
    found = read_parameters(cohort / "a-s0-0001_parameters.json", 3, generator.model.checksum)
    assert found == draw(generator, 0, 1, population="a").heart


def test_the_record_tells_what_decides_the_heart_and_what_it_was_made_with(cohort, model_folder):
    record = read_record(cohort / "a-s0-0001.json")
    model = GenerativeModel.load(model_folder)
    assert record.recipe.generator_sha256 == model.generator.checksum
    assert record.recipe.enhancer_sha256 == model.enhancer("a").checksum
    assert (record.recipe.seed, record.recipe.number, record.recipe.variant) == (0, 1, "pre")
    assert record.recipe.population == "a"
    assert record.latent == tuple(draw(model.generator, 0, 1, population="a").latent[0].tolist())
    assert record.latent != tuple(draw(model.generator, 0, 1).latent[0].tolist())
    assert {"commit", "fedsim", "torch", "threads"} <= record.made_with.keys()
    assert record.seconds.keys() == {"shape and labels", "coarse CT", "enhancer", "trust", "writing"}


def test_more_hearts_leave_those_that_are_there_and_one_alone_is_the_same(cohort, model_folder, tmp_path):
    alone = tmp_path / "more"
    maker(model_folder, alone).generate(1)
    first = (alone / "a-s0-0000_image.nii.gz").stat().st_mtime_ns
    records = maker(model_folder, alone).generate(2)
    assert (alone / "a-s0-0000_image.nii.gz").stat().st_mtime_ns == first
    assert [record.recipe.number for record in records] == [0, 1]
    for case_id in ("a-s0-0000", "a-s0-0001"):
        ours, theirs = (load_case(read_cohort(folder).case(case_id)) for folder in (alone, cohort))
        np.testing.assert_array_equal(ours.image.array, theirs.image.array)
        np.testing.assert_array_equal(ours.label.array, theirs.label.array)


def test_an_interrupted_cohort_is_readable_and_goes_on(model_folder, tmp_path):
    class PowerFailureError(Exception):
        pass

    def interrupted(done, total, stage):
        if done == 1:
            raise PowerFailureError

    making = maker(model_folder, tmp_path)
    with pytest.raises(PowerFailureError):
        making.generate(2, interrupted)
    assert len(read_cohort(tmp_path).cases) == 1
    # A heart whose record is missing was not finished.
    (tmp_path / "a-s0-0000.json").unlink()
    assert len(making.generate(2)) == 2
    assert len(read_cohort(tmp_path).cases) == 2
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"site": "b"}, "enhancer"),
        ({"shape": "random"}, "shape"),
        ({"blend": "alpha"}, "blend"),
        ({"population": "all"}, "population"),
    ],
)
def test_a_folder_with_other_hearts_is_refused(cohort, model_folder, change, named):
    with pytest.raises(InputError, match=f"holds hearts with another {named} .case a-s0-0000"):
        maker(model_folder, cohort, **change)


def test_a_damaged_record_and_foreign_files_are_told_of(model_folder, tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(InputError, match="does not describe a generated heart"):
        maker(model_folder, tmp_path)


def test_the_command_generates_tells_trust_and_times(model_folder, tmp_path):
    training = write_blobs(tmp_path / "training", range(4))
    out = tmp_path / "out"
    arguments = ["generate", str(model_folder), "-o", str(out), "--site", "b", "-n", "1", "--seed", "5"]
    result = CliRunner().invoke(app, [*arguments, "--training-cohort", str(training), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["hearts"][0]["case"] == "b-s5-0000"
    assert told["hearts"][0]["trust"]["nearest_image"]["unit"] == "HU"
    assert told["seconds"]["enhancer"] > 0
    table = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "1 hearts; shape and labels" in table


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "has enhancers of a, b; choose one with --site"),
        (["--site", "c"], "no enhancer of a site 'c'"),
        (["--site", "a", "--population", "c"], "fewer than two hearts of 'c'; choose a population of a, b, all"),
        (["--site", "a", "--shape", "square"], "--shape 'square' is not known; choose one of learnt, random"),
        (["--site", "a", "--blend", "paint"], "--blend 'paint' is not known"),
        (["--site", "a", "--device", "abacus"], "--device 'abacus' is not known"),
    ],
)
def test_impossible_options_are_one_sentence_and_write_nothing(model_folder, tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        CliRunner().invoke(
            app, ["generate", str(model_folder), "-o", str(tmp_path / "out"), *options], catch_exceptions=False
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no generator\.safetensors"):
        CliRunner().invoke(app, ["generate", str(tmp_path), "-o", str(tmp_path / "out")], catch_exceptions=False)


def test_records_are_read_without_torch(cohort):
    import subprocess
    import sys

    code = (
        "import sys, json; from FedSimCore.generation.trust import Trust; "
        f"Trust.model_validate(json.load(open({str(cohort / 'a-s0-0000.json')!r}))['trust']); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
