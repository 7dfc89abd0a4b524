"""A study on one machine: real processes on NVFlare, which may die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from FedSimCore.errors import CancelledError
from FedSimCore.federated.engine.one_machine import run_on_one_machine
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.ledger import read_ledger
from FedSimCore.federated.status import read_rounds
from FedSimCore.runs.control import request_stop
from FedSimCore.runs.events import Progressed, Started, read_events
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from FedSimCore.training.task import TrainingError
from Testing.core.federated.small_studies import SITES, assert_same, newest_state, shapes_study

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def assert_runs_are_the_same(one, other):
    assert_same(newest_state(one / "server"), newest_state(other / "server"))
    for site in SITES:
        assert_same(newest_state(one / "sites" / site / "small"), newest_state(other / "sites" / site / "small"))


def started(folder):
    return [event for event in read_events(folder / "events.jsonl")[0] if isinstance(event, Started)]


def test_processes_that_talk_over_the_engine_learn_the_same_as_one_process(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort)
    run_in_process(study, tmp_path / "one")
    run_on_one_machine(study, tmp_path / "with a space")
    assert_runs_are_the_same(tmp_path / "with a space", tmp_path / "one")
    folders = [tmp_path / "with a space" / "sites" / site for site in SITES]
    pids = [started(folder / "small")[0].pid for folder in folders] + [started(tmp_path / "with a space/server")[0].pid]
    assert len({*pids, os.getpid()}) == 4
    for folder in folders:
        # What the guard let through is what the ledger has, or the rounds would not have closed.
        assert [entry.message for entry in read_ledger(folder / "ledger.jsonl")].count("update") == 4


class AtRound:
    """Does something once when a run has told of a round."""

    def __init__(self, number, act):
        self.number, self.act, self.done = number, act, False

    def __call__(self, event):
        if isinstance(event, Progressed) and event.step >= self.number and not self.done:
            self.done = True
            self.act()


def slow_study(cohort, **changes):
    """Forty rounds, so that there is time to do harm; a checkpoint every third."""
    return shapes_study(cohort, rounds=40, checkpoint_every=3, evaluate_every=1000, **changes)


@pytest.fixture(scope="module")
def whole(ct_cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_in_process(slow_study(ct_cohort), folder)
    return folder


@pytest.mark.slow
def test_a_site_that_is_killed_comes_back_and_the_study_ends_as_if_nothing_had_happened(ct_cohort, tmp_path, whole):
    def kill():
        os.kill(started(tmp_path / "sites" / "b" / "small")[-1].pid, signal.SIGKILL)

    run_on_one_machine(slow_study(ct_cohort), tmp_path, AtRound(5, kill))
    assert len(started(tmp_path / "sites" / "b" / "small")) == 2
    assert status(RunFolder(tmp_path / "server")).state == "finished"
    assert_runs_are_the_same(tmp_path, whole)


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_from_its_last_checkpoint(ct_cohort, tmp_path, whole):
    def kill():
        os.kill(started(tmp_path / "server")[-1].pid, signal.SIGKILL)

    run_on_one_machine(slow_study(ct_cohort), tmp_path, AtRound(8, kill))
    sessions = started(tmp_path / "server")
    assert sessions[0].step == 0
    assert sessions[1].step >= 6
    assert_runs_are_the_same(tmp_path, whole)
    assert [record.round for record in read_rounds(tmp_path / "server" / "rounds.jsonl")] == list(range(1, 41))


@pytest.mark.slow
def test_a_site_that_is_not_heard_of_for_thirty_seconds_is_waited_for(ct_cohort, tmp_path, whole):
    """SIGSTOP stands for a cut network: nothing arrives, nothing is closed. The study waits, as it says."""
    pid = []

    def cut():
        pid.append(started(tmp_path / "sites" / "b" / "small")[-1].pid)
        os.kill(pid[0], signal.SIGSTOP)
        threading.Timer(30, os.kill, (pid[0], signal.SIGCONT)).start()

    began = time.monotonic()
    run_on_one_machine(slow_study(ct_cohort), tmp_path, AtRound(5, cut))
    assert time.monotonic() - began > 30
    assert_runs_are_the_same(tmp_path, whole)
    assert max(record.seconds for record in read_rounds(tmp_path / "server" / "rounds.jsonl")) > 25


@pytest.mark.slow
def test_a_study_that_is_stopped_is_resumed_to_the_same_end(ct_cohort, tmp_path, whole):
    server = RunFolder(tmp_path / "server")
    with pytest.raises(CancelledError, match="Stopped after round"):
        run_on_one_machine(slow_study(ct_cohort), tmp_path, AtRound(4, lambda: request_stop(server)))
    assert {status(RunFolder(tmp_path / "sites" / site / "small")).state for site in SITES} == {"stopped"}
    run_on_one_machine(slow_study(ct_cohort), tmp_path)
    assert_runs_are_the_same(tmp_path, whole)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of eight megabytes for the site b."""
    folder = tmp_path / "runs" / "sites" / "b"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_site_whose_disk_fills_ends_the_study_with_a_reason_and_once_there_is_room_it_goes_on(
    ct_cohort, tmp_path, whole, small_disk
):
    ballast = small_disk / "ballast"

    def fill():
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))

    with pytest.raises(TrainingError, match=": b: The site could not write its answer down"):
        run_on_one_machine(slow_study(ct_cohort), tmp_path / "runs", AtRound(4, fill))
    sent = [entry.round for entry in read_ledger(small_disk / "ledger.jsonl") if entry.message == "update"]
    assert sent == list(range(len(read_rounds(tmp_path / "runs" / "server" / "rounds.jsonl"))))
    ballast.unlink()
    run_on_one_machine(slow_study(ct_cohort), tmp_path / "runs")
    assert_runs_are_the_same(tmp_path / "runs", whole)
