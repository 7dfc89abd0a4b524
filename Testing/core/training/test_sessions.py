"""Sessions: what a run records, and what stops it or keeps it from going on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time

import pytest
import torch

from FedSimCore.errors import CancelledError, DiskError, InputError
from FedSimCore.files import sha256_of
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Ended, Progressed, Saved, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.runs.lock import locked
from FedSimCore.training.recipes import ConfigError, checked_config, read_recipe, with_settings
from FedSimCore.training.session import begin, resume
from FedSimCore.training.task import TrainingError
from Testing.core.training.small_runs import assert_same_bits, events_of, small_config, weights_of
from Testing.core.training.test_tensor_files import Bomb


@pytest.fixture
def half(cohort, tmp_path):
    """A run that was stopped after 12 of 24 steps."""
    run = tmp_path / "half"

    def stop_at_twelve(event):
        if isinstance(event, Progressed) and event.step == 12:
            RunFolder(run).stop_file.touch()
            time.sleep(0.25)  # longer than a run looks away from the file

    with pytest.raises(CancelledError, match=r"Stopped after step 12 of 24 because it was asked to stop"):
        begin(small_config(cohort), RunFolder(run), stop_at_twelve)
    return run


def test_a_stopped_run_resumes_to_the_bits_of_an_unbroken_one(half, unbroken):
    assert status(RunFolder(half)).state == "stopped"
    resume(RunFolder(half))
    assert not RunFolder(half).stop_file.exists()
    assert_same_bits(weights_of(half), weights_of(unbroken))


def test_a_run_records_what_it_was_made_with(unbroken, cohort):
    summary = RunFolder(unbroken).summary()
    assert summary["seed"] == 0
    assert summary["data_sha256"]["heart3 label"] == sha256_of(cohort / "heart3_label.nii.gz")
    session = summary["sessions"][0]
    assert session["versions"]["torch"] == torch.__version__
    assert session["threads"] == 1
    made_of = session["commit"].removesuffix("+")
    assert made_of == "unknown" or subprocess.run(["git", "cat-file", "-e", made_of]).returncode == 0
    assert summary["outcome"]["files"] == ["shape_generator.safetensors"]
    assert RunFolder(unbroken).config()["steps"] == 24


def test_a_run_leaves_curves_for_tensorboard_that_are_the_events(unbroken):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = EventAccumulator(str(RunFolder(unbroken).tensorboard))
    seen.Reload()
    curve = {
        event.step: event.metrics["loss"]
        for event in events_of(unbroken)
        if isinstance(event, Progressed) and event.total
    }
    assert {point.step: point.value for point in seen.Scalars("loss")} == pytest.approx(curve)
    assert [picture.step for picture in seen.Images("hearts")] == [12, 24]
    assert "tensorflow" not in sys.modules


def test_two_runs_in_one_folder_are_refused_and_the_first_is_not_harmed(half, cohort):
    before = weights_of(half)
    with pytest.raises(InputError, match="holds a run already"):
        begin(small_config(cohort), RunFolder(half))
    with locked(RunFolder(half)), pytest.raises(InputError, match="Another process trains"):
        resume(RunFolder(half))
    assert_same_bits(weights_of(half), before)


def test_changed_data_is_refused_by_name_when_a_run_is_resumed(half, cohort, tmp_path):
    changed, run = tmp_path / "changed", RunFolder(half)
    shutil.copytree(cohort, changed)
    heart = (changed / "heart2_label.nii.gz").read_bytes()
    shutil.copy(cohort / "heart1_label.nii.gz", changed / "heart2_label.nii.gz")
    with pytest.raises(InputError, match=r"has changed since the run began \(heart2 label\)"):
        resume(run, [f"cohort={changed}"])
    (changed / "heart2_label.nii.gz").unlink()
    with pytest.raises(InputError, match="heart2_label"):
        resume(run)
    assert status(run).checkpoint_step == 12
    # Data that only moved is the same data.
    (changed / "heart2_label.nii.gz").write_bytes(heart)
    resume(run)
    assert status(run).state == "finished"


def test_rates_may_change_when_a_run_is_resumed_and_networks_may_not(half):
    with pytest.raises(ConfigError, match="hidden cannot change in a run that has begun"):
        resume(RunFolder(half), ["hidden=[4]"])
    with pytest.raises(ConfigError, match="learning_rate = -1 cannot be used") as caught:
        resume(RunFolder(half), ["learning_rate=-1"])
    assert caught.value.fields.keys() == {"learning_rate"}
    resume(RunFolder(half), ["learning_rate=1e-5", "steps=13", "constant_share=1"])
    started = [event for event in events_of(half) if isinstance(event, Started)][-1]
    assert started.changed == {"learning_rate": "1e-05", "steps": "13", "constant_share": "1.0"}
    stored = CheckpointStore(half / "checkpoints").stored()
    from FedSimCore.tensor_files import read_tensors

    new, old = (read_tensors(c.tensors)[0]["modules.generator.0.weight"] for c in stored)
    # Adam moves a weight by about its rate.
    assert float((new - old).abs().max()) == pytest.approx(1e-5, rel=0.5)


def test_a_pickle_in_a_checkpoints_place_is_not_loaded_even_with_a_right_checksum(half, tmp_path):
    from FedSimCore.files import read_json, write_json

    for stored in CheckpointStore(half / "checkpoints").stored():
        torch.save({"weight": Bomb(tmp_path / "ran")}, stored.tensors)
        write_json(stored.path, {**read_json(stored.path), "tensors_sha256": sha256_of(stored.tensors)})
    with pytest.raises(InputError, match="no safetensors file"):
        resume(RunFolder(half))
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_stops_the_run_in_one_sentence_and_freeing_it_goes_on_to_the_same_bits(
    cohort, unbroken, tmp_path, monkeypatch
):
    import errno

    import safetensors.torch
    from safetensors import SafetensorError

    run, real = tmp_path / "run", safetensors.torch.save_file

    def full(tensors, path, metadata=None):
        if "step-00000010" in str(path):
            path.write_bytes(b"half")
            raise SafetensorError(f"Error while serializing: I/O error: No space left (os error {errno.ENOSPC})")
        real(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(DiskError, match="The disk is full"):
            begin(small_config(cohort), RunFolder(run))
    ended = events_of(run)[-1]
    assert isinstance(ended, Ended)
    assert "disk is full" in ended.reason
    assert [event.step for event in events_of(run) if isinstance(event, Saved)] == [5]
    resume(RunFolder(run))
    assert_same_bits(weights_of(run), weights_of(unbroken))


def test_a_real_full_disk_leaves_a_run_that_goes_on(cohort, unbroken, tmp_path):
    """On a file system of 200 KiB, where one may be mounted."""
    small = tmp_path / "disk"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        with pytest.raises(DiskError, match="disk is full"):
            begin(small_config(cohort), RunFolder(small / "run"))
        assert CheckpointStore(small / "run" / "checkpoints").newest_good(pytest.fail) is not None
        subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
        resume(RunFolder(small / "run"))
        assert_same_bits(weights_of(small / "run"), weights_of(unbroken))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_nan_ends_the_run_as_failed_and_a_lower_rate_lets_it_go_on(cohort, tmp_path, monkeypatch):
    from FedSimCore.training import shape_generator

    real, calls = shape_generator.mean_iou, []

    def broken(made, wanted):
        calls.append(1)
        return real(made, wanted) * (float("nan") if len(calls) == 9 else 1.0)

    run = RunFolder(tmp_path / "run")
    monkeypatch.setattr(shape_generator, "mean_iou", broken)
    with pytest.raises(TrainingError, match=r"In step \d loss became nan.*step 5 is kept"):
        begin(small_config(cohort, evaluate_every=100), run)
    state = status(run)
    assert (state.state, state.checkpoint_step) == ("failed", 5)
    resume(run, ["learning_rate=1e-4", "steps=8"])
    assert status(run).state == "finished"


def test_a_run_in_a_thread_takes_no_signals_and_still_stops_by_file(cohort, tmp_path):
    run, caught = RunFolder(tmp_path / "run"), []

    def work():
        try:
            begin(small_config(cohort, steps=10_000), run, lambda e: e.kind == "started" and run.stop_file.touch())
        except CancelledError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert len(caught) == 1


def test_a_stop_while_the_data_is_read_leaves_the_folder_free(cohort, tmp_path):
    run = RunFolder(tmp_path / "run")

    def stop_at_once(event):
        run.stop_file.touch()
        time.sleep(0.25)

    with pytest.raises(CancelledError, match="before the first step"):
        begin(small_config(cohort), run, stop_at_once)
    assert not run.exists


def test_a_runs_paths_are_whole_so_that_it_resumes_from_anywhere(cohort, monkeypatch):
    monkeypatch.chdir(cohort.parent)
    assert small_config(cohort.relative_to(cohort.parent)).cohort == cohort


def test_slow_steps_are_saved_by_the_clock_too(cohort, tmp_path):
    begin(small_config(cohort, steps=3, checkpoint_every=100, checkpoint_minutes=1e-9), RunFolder(tmp_path / "run"))
    assert [event.step for event in events_of(tmp_path / "run") if isinstance(event, Saved)] == [1, 2, 3]


def test_every_wrong_field_is_told_at_once_by_name():
    fields, origin = read_recipe("shape-generator")
    with pytest.raises(ConfigError) as caught:
        checked_config(with_settings(fields, ["steps=0", "device=tpu", "size=many", "modez=3"]), origin)
    assert caught.value.fields.keys() == {"steps", "device", "size", "cohort", "modez"}
    assert str(caught.value).count("\n") == 0
    with pytest.raises(InputError, match="is not KEY=VALUE"):
        with_settings(fields, ["steps"])
    with pytest.raises(InputError, match=r"those that ship are .*generator"):
        read_recipe("paper")


def test_a_recipe_file_of_ones_own_finds_its_cohort_beside_itself(cohort, tmp_path):
    recipe = cohort.parent / "mine.json"
    recipe.write_text('{"schema": "fedsim/recipe/1", "recipe": "shape-generator", "cohort": "cohort"}')
    fields, origin = read_recipe(str(recipe))
    config = checked_config(fields, origin)
    assert config.model_dump()["cohort"] == cohort
    recipe.write_text('{"recipe": "shape-generator"}')
    with pytest.raises(InputError, match="no recipe of FedSim"):
        read_recipe(str(recipe))


def test_a_device_that_is_not_there_is_told_before_anything_is_written(cohort, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InputError, match="no NVIDIA graphics card"):
        begin(small_config(cohort, device="cuda"), RunFolder(tmp_path / "run"))
    with pytest.raises(ConfigError, match="batch_size = 3 is no multiple of 2 devices"):
        begin(small_config(cohort, devices=2), RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
