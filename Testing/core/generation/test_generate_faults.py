"""What `fedsim generate` says to models and folders that cannot be used, and what it leaves behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from FedSimCore.cli.main import app
from FedSimCore.cohorts import load_case, read_cohort
from FedSimCore.errors import DiskError, InputError
from FedSimCore.files import disk_errors
from FedSimCore.generation import cohort as cohort_module
from FedSimCore.generation.cohort import CohortGenerator
from FedSimCore.generation.model_folder import GenerativeModel
from FedSimCore.generation.sampling import HeartSampler
from FedSimCore.generation.trust_measures import TrustMeter
from FedSimCore.tensor_files import read_weights, write_weights
from Testing.core.generation.lively_model import write_lively_model

GENERATOR, ENHANCER = "generator.safetensors", "enhancer-a.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_lively_model(folder)
    return folder


@pytest.fixture
def model(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "model"))


def generate(model, out, *options):
    arguments = ["generate", str(model), "-o", str(out), "--site", "a", "-n", "2", *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def rewritten(model, tensors=None, **header):
    """Write the generator with another header or other tensors, and a right checksum."""
    kept, content = read_weights(model / GENERATOR, "heart generator")
    write_weights(model / GENERATOR, {**kept, **(tensors or {})}, {**content, **header})


class Hostile:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


FAULTS = {
    "another version": (lambda m: rewritten(m, version=2), "of version 2, this FedSim reads version 1"),
    "latents of another size": (lambda m: rewritten(m, latent_size=8), "its header tells of"),
    "latents of too few numbers": (lambda m: rewritten(m, {"latents": torch.zeros(4, 3)}), "don't fit 4 cases"),
    "a size that no memory holds": (lambda m: rewritten(m, hidden=[10**9]), "its header tells of"),
    "no numbers": (lambda m: rewritten(m, {"latents": torch.full((4, 4), torch.nan)}), "not finite"),
    "half a generator": (lambda m: cut(m / GENERATOR), "damaged or no safetensors"),
    "a flipped bit": (lambda m: flip(m / ENHANCER), "does not match its checksum"),
    "a pickled generator": (lambda m: torch.save(Hostile(m / "run"), m / GENERATOR), "damaged or no safetensors"),
    "a pickled enhancer": (lambda m: torch.save(Hostile(m / "run"), m / ENHANCER), "damaged or no safetensors"),
    "no generator": (lambda m: (m / GENERATOR).unlink(), "holds no generator"),
    "no enhancer": (lambda m: (m / ENHANCER).unlink(), "no enhancer of a site 'a'; it has those of b"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 0x40
    path.write_bytes(content)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_cannot_be_used_is_one_sentence_and_runs_and_writes_nothing(model, tmp_path, fault):
    spoil, sentence = FAULTS[fault]
    spoil(model)
    with pytest.raises(InputError, match=sentence) as told:
        generate(model, tmp_path / "out")
    assert str(told.value).count("\n") == 0
    assert not (tmp_path / "out").exists()
    assert not (model / "run").exists()


def test_a_training_cohort_of_other_cases_is_refused(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no cohort"):
        generate(model, tmp_path / "out", "--training-cohort", str(tmp_path / "empty"))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_sentence_and_the_cohort_goes_on_when_there_is_room(model, tmp_path, monkeypatch):
    write, out = cohort_module.write_label_map, tmp_path / "out"

    def full(volume, path):
        if "0001" in path.name:
            with disk_errors(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(volume, path)

    monkeypatch.setattr(cohort_module, "write_label_map", full)
    with pytest.raises(DiskError, match="a-s0-0001_label"):
        generate(model, out)
    assert [case.id for case in read_cohort(out).cases] == ["a-s0-0000"]
    monkeypatch.setattr(cohort_module, "write_label_map", write)
    generate(model, out)
    assert [case.id for case in read_cohort(out).cases] == ["a-s0-0000", "a-s0-0001"]


def test_other_hearts_that_another_process_begins_in_the_folder_are_noticed(model, tmp_path):
    opened = GenerativeModel.load(model)
    makers = []
    for seed in (0, 1):
        sampler = HeartSampler(opened, "a")
        makers.append(CohortGenerator(opened, sampler, TrustMeter(sampler.generator), tmp_path / "out", seed))
    makers[0].generate(1)
    with pytest.raises(InputError, match="holds hearts with another seed"):
        makers[1].generate(1)
    assert len(makers[0].generate(2)) == 2


@pytest.mark.slow
def test_kill_9_loses_no_finished_heart_and_changes_no_bit(model, tmp_path):
    out, count = tmp_path / "out", 12
    arguments = ["generate", str(model), "-o", str(out), "--site", "a", "-n", str(count)]
    process = subprocess.Popen([sys.executable, "-m", "FedSimCore.cli.main", *arguments], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not (out / "a-s0-0001.json").exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = len(list(out.glob("a-s0-????.json")))
    assert 2 <= finished < count
    generate(model, out, "-n", str(count))
    generate(model, tmp_path / "whole", "-n", str(count))
    assert [case.id for case in read_cohort(out).cases] == [f"a-s0-{number:04d}" for number in range(count)]
    for case in read_cohort(out).cases:
        again = load_case(read_cohort(tmp_path / "whole").case(case.id))
        np.testing.assert_array_equal(load_case(case).image.array, again.image.array)
