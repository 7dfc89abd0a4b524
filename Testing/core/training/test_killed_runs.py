"""Whatever ends a run, what goes on from its last checkpoint ends with the same bits as an unbroken run."""

from __future__ import annotations

import random
import shutil
import signal

import pytest

from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Ended, Started, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from Testing.core.training.killing import Trainings
from Testing.core.training.small_runs import assert_same_bits, events_of, small_config, weights_of


@pytest.fixture(scope="module")
def trainings():
    return Trainings()


def content_of(run):
    """Everything of the newest checkpoint that is no tensor: step, random states of Python and NumPy, settings."""
    return CheckpointStore(RunFolder(run).checkpoints).stored()[0].content()


def kill_until_finished(trainings, config, run, rng, kills):
    """Begin a run, kill its sessions at random steps, and let it finish; returns how often it was killed."""
    killed = 0
    for _ in range(kills):
        reached = status(RunFolder(run)).step if (run / "config.json").exists() else 0
        step = rng.randint(min(reached, config.steps - 2), config.steps - 2)
        if trainings.kill_at_step(step, config, run, rng.uniform(0, 0.03)):
            break
        killed += 1
    trainings.kill_after(120, config, run)
    assert status(RunFolder(run)).state == "finished"
    return killed


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_random_steps_ends_with_the_bits_of_an_unbroken_one(
    trainings, cohort, unbroken, tmp_path, seed
):
    config, rng = small_config(cohort, checkpoint_every=3, report_every=1), random.Random(seed)
    assert kill_until_finished(trainings, config, tmp_path / "run", rng, 4) >= 1
    assert_same_bits(weights_of(tmp_path / "run"), weights_of(unbroken))
    assert content_of(tmp_path / "run") == content_of(unbroken)


@pytest.mark.slow
def test_a_hundred_kills_in_trainings_of_several_seeds_change_no_bit(trainings, cohort, tmp_path):
    rng, kills, seed = random.Random(0), 0, 0
    while kills < 100:
        config = small_config(cohort, seed=seed, checkpoint_every=rng.choice([1, 2, 5]), report_every=1)
        expected, run = tmp_path / f"unbroken{seed}", tmp_path / f"killed{seed}"
        assert trainings.kill_after(120, config, expected)
        kills += kill_until_finished(trainings, config, run, rng, 20)
        assert_same_bits(weights_of(run), weights_of(expected))
        assert content_of(run) == content_of(expected)
        seed += 1


def test_sigterm_saves_the_step_and_the_resumed_run_ends_with_the_same_bits(trainings, cohort, unbroken, tmp_path):
    config, run = small_config(cohort, checkpoint_every=1000), tmp_path / "run"
    process = trainings.start(config, run)
    trainings.wait_for(run / "summary.json")
    process.join(0.3)
    process.terminate()
    process.join()
    ended = events_of(run)[-1]
    assert isinstance(ended, Ended)
    assert ended.state == "stopped"
    assert signal.SIGTERM.name in ended.reason
    assert f"after step {CheckpointStore(run / 'checkpoints').stored()[0].step} of 24" in ended.reason
    assert process.exitcode == 130
    assert trainings.kill_after(60, config, run)
    assert_same_bits(weights_of(run), weights_of(unbroken))


def test_a_resumed_run_tells_from_which_step_it_goes_on_and_its_curves_have_each_step_once(
    trainings, cohort, unbroken, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(unbroken, run)
    newest = CheckpointStore(run / "checkpoints").stored()[0]
    for path in (newest.path, newest.tensors):
        path.unlink()  # as if the power had failed after step 20
    trainings.kill_after(60, small_config(cohort), run)
    started = [event for event in read_events(run / "events.jsonl")[0] if isinstance(event, Started)]
    assert [(event.session, event.step) for event in started] == [(1, 0), (2, 20)]
    from FedSimCore.runs.history import RunHistory

    assert RunHistory(RunFolder(run)).curve("loss")[0] == [1, 4, 8, 12, 16, 20, 24]
    assert_same_bits(weights_of(run), weights_of(unbroken))


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_word_and_no_bit_is_lost(
    trainings, cohort, unbroken, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(unbroken, run)
    newest = CheckpointStore(run / "checkpoints").stored()[0]
    content = bytearray(newest.tensors.read_bytes())
    content[len(content) // 2] ^= 1
    newest.tensors.write_bytes(content)
    trainings.kill_after(60, small_config(cohort), run)
    state = status(RunFolder(run))
    assert state.state == "finished"
    assert any("damaged" in warning and "before it is used" in warning for warning in state.warnings)
    assert_same_bits(weights_of(run), weights_of(unbroken))
