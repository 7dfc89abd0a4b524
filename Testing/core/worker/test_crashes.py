"""What becomes of requests, processes and files when workers are killed, cannot start, or lose their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from FedSimCore.worker import PROTOCOL
from FedSimCore.worker import protocol as p
from FedSimSlicerLib.worker_client import CrashPolicy, WorkerState
from FedSimSlicerLib.worker_events import (
    RequestDone,
    RequestFailed,
    RequestProgress,
    WorkerCrashed,
    WorkerFailed,
    WorkerReady,
)
from Testing.core.worker.conversation import ROOT, Conversation, heart, is_alive, wait_until

COARSE = p.GridSpec.centered(40, 4.0)
LONG = p.RenderTask(
    parameters=heart(),
    surroundings="fat",
    grid=p.GridSpec.centered(64, 2.5),
    scanners=(p.ScannerChoice(changes={"views": 1500}),),
)
posix = pytest.mark.skipif(os.name != "posix", reason="signals and shell scripts of POSIX")


def kill(conversation: Conversation) -> int:
    """Kill the running worker as the system does when memory runs out; return its number."""
    pid = conversation.until(lambda: conversation.client.pid)
    os.kill(pid, signal.SIGKILL)
    return pid


def script(folder: Path, text: str) -> str:
    """Write an executable that stands in for Python and return its path."""
    path = folder / "python"
    path.write_text(textwrap.dedent(text).lstrip())
    path.chmod(0o755)
    return str(path)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


@posix
def test_a_kill_amid_a_rendering_is_told_and_another_worker_serves(own_conversation: Conversation) -> None:
    request = own_conversation.client.submit("render", LONG)
    own_conversation.until_told(RequestProgress)
    pid = kill(own_conversation)
    failed = own_conversation.end_of(request)
    assert (failed.cause, failed.channel) == ("lost", "render")
    assert "killed (SIGKILL)" in failed.sentence
    assert "memory" in own_conversation.told(WorkerCrashed)[0].sentence
    assert own_conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"].any()
    assert own_conversation.client.pid != pid
    assert not is_alive(pid)


@posix
def test_what_was_not_sent_before_a_kill_is_served_after_it(own_conversation: Conversation) -> None:
    own_conversation.client.start()
    kill(own_conversation)
    request = own_conversation.client.submit("labels", p.LabelsTask(parameters=heart(), grid=COARSE))
    assert isinstance(own_conversation.end_of(request), RequestDone)


@posix
def test_twenty_kills_in_a_row_leave_nothing_behind(temporary_folder: Path) -> None:
    threads, files = threading.active_count(), open_files()
    killed: list[int] = []
    with Conversation(CrashPolicy(most=21, within_s=600)) as conversation:
        conversation.client.start()
        for number in range(20):
            pid = conversation.until(lambda: conversation.client.pid not in (None, *killed) and conversation.client.pid)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            conversation.until_told(WorkerCrashed, number + 1)
        assert conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"].any()
        last = conversation.client.pid
    assert len(set(killed)) == 20
    assert not any(is_alive(pid) for pid in [*killed, last])
    assert list(temporary_folder.iterdir()) == []
    assert wait_until(lambda: threading.active_count() <= threads)
    assert open_files() <= files


@pytest.mark.slow
@posix
def test_twenty_kills_amid_renderings_lose_twenty_requests_and_nothing_else(temporary_folder: Path) -> None:
    threads, files = threading.active_count(), open_files()
    with Conversation(CrashPolicy(most=21, within_s=3600)) as conversation:
        for number in range(20):
            request = conversation.client.submit("render", LONG)
            conversation.until(
                lambda request=request: any(e.request == request for e in conversation.told(RequestProgress))
            )
            kill(conversation)
            assert conversation.end_of(request).cause == "lost"
            assert len(conversation.told(WorkerCrashed)) == number + 1
        assert conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)).arrays["labels"].any()
    assert list(temporary_folder.iterdir()) == []
    assert wait_until(lambda: threading.active_count() <= threads)
    assert open_files() <= files


def test_while_a_worker_lives_its_answers_leave_no_file_behind(
    own_conversation: Conversation, temporary_folder: Path
) -> None:
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    for number in range(30):
        own_conversation.client.submit("fit", p.FitTask(affine=COARSE.affine), {"labels": labels})
        task = p.LabelsTask(parameters=heart(number / 30), grid=COARSE)
        request = own_conversation.client.submit("labels", task, follow=number % 2 == 0)
        if number % 3 == 0:
            own_conversation.end_of(request)
    own_conversation.end_of(request)
    own_conversation.until(lambda: not own_conversation.client.busy("fit"))
    (exchange,) = temporary_folder.iterdir()
    assert wait_until(lambda: not list(exchange.iterdir()))


@posix
def test_after_three_crashes_it_gives_up_until_told_to_restart(temporary_folder: Path) -> None:
    with Conversation(CrashPolicy(most=3, within_s=600)) as conversation:
        conversation.client.start()
        killed: list[int] = []
        while not conversation.told(WorkerFailed):
            pid = conversation.until(
                lambda: (
                    conversation.told(WorkerFailed)
                    or (conversation.client.pid not in (None, *killed) and conversation.client.pid)
                )
            )
            if isinstance(pid, int):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        assert len(killed) == 3
        assert conversation.client.state is WorkerState.FAILED
        failed = conversation.ask(p.DescribeTask())
        assert failed.cause == "lost"
        assert "3 times" in failed.sentence
        conversation.client.restart()
        assert isinstance(conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)), RequestDone)


def test_a_python_that_does_not_exist_is_told_with_the_way_out(temporary_folder: Path) -> None:
    with Conversation(python=str(temporary_folder / "nowhere" / "python")) as conversation:
        failed = conversation.ask(p.DescribeTask())
        assert "nowhere" in failed.sentence
        assert "choose a Python that exists" in failed.sentence
        assert conversation.told(WorkerFailed)[0].sentence == failed.sentence
        assert [path.name for path in temporary_folder.iterdir()] == []


@posix
def test_a_python_without_fedsim_is_told_by_its_own_last_words(temporary_folder: Path) -> None:
    python = script(temporary_folder, "#!/bin/sh\necho 'No module named FedSimCore' >&2\nexit 1\n")
    with Conversation(python=python) as conversation:
        failed = conversation.ask(p.DescribeTask())
        assert "exit code 1: No module named FedSimCore" in failed.sentence
        assert "installed for" in failed.sentence


def test_a_missing_torch_is_named(temporary_folder: Path) -> None:
    (temporary_folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    with Conversation(python_path=(str(temporary_folder), str(ROOT))) as conversation:
        failed = conversation.ask(p.DescribeTask())
        assert "package 'torch' is missing" in failed.sentence
        assert sys.executable in failed.sentence


def test_a_graphics_card_that_is_not_there_is_told(temporary_folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with Conversation(device="cuda") as conversation:
        assert "CUDA was asked for, but" in conversation.ask(p.DescribeTask()).sentence


@posix
def test_a_worker_of_another_version_is_refused(temporary_folder: Path) -> None:
    hello = json.dumps(
        {"type": "hello", "protocol": PROTOCOL + 1, "fedsim": "9.9", "python": "3.12", "pid": 1, "new": 0}
    )
    python = script(temporary_folder, f"#!/bin/sh\necho '{hello}'\nexec sleep 60\n")
    with Conversation(python=python) as conversation:
        failed = conversation.ask(p.DescribeTask())
        assert "FedSim 9.9" in failed.sentence
        assert not is_alive(conversation.client.pid or 0)


@posix
def test_the_worker_stands_behind_the_application(temporary_folder: Path) -> None:
    with Conversation() as conversation:
        conversation.client.start()
        conversation.until_told(WorkerReady)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, conversation.client.pid or 0) == min(own + 5, 19)


@posix
def test_a_launcher_and_its_child_both_end(temporary_folder: Path) -> None:
    # PythonSlicer is such a launcher: the worker is its child.
    python = script(temporary_folder, f'#!/bin/sh\n{sys.executable} "$@"\n')
    with Conversation(python=python) as conversation:
        conversation.client.start()
        conversation.until_told(WorkerReady)
        launcher = conversation.client.pid
        assert launcher is not None
        children = subprocess.run(
            ["pgrep", "-P", str(launcher)], capture_output=True, text=True, check=True
        ).stdout.split()
    assert children
    assert wait_until(lambda: not any(is_alive(int(pid)) for pid in [launcher, *children]))
    assert [path.name for path in temporary_folder.iterdir()] == ["python"]


@posix
def test_the_worker_ends_and_cleans_up_when_its_parent_is_killed(temporary_folder: Path) -> None:
    parent = f"""
        import sys, time
        sys.path[:0] = {[str(ROOT), str(ROOT / "FedSimSlicer")]!r}
        from Testing.core.worker.conversation import Conversation
        from FedSimSlicerLib.worker_events import WorkerReady
        conversation = Conversation()
        conversation.client.start()
        conversation.until_told(WorkerReady)
        print(conversation.client.pid, flush=True)
        time.sleep(600)
    """
    environment = {**os.environ, "TMPDIR": str(temporary_folder)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert is_alive(worker)
        assert list(temporary_folder.glob("fedsim-worker-*"))
        process.kill()
    assert wait_until(lambda: not is_alive(worker))
    assert wait_until(lambda: not list(temporary_folder.glob("fedsim-worker-*")))


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
def test_too_little_memory_is_told_and_the_worker_goes_on(temporary_folder: Path) -> None:
    # Once the worker has loaded its libraries it may grow by 120 MB only.
    limit = """
        import resource, sys, threading, time
        def limit():
            while not hasattr(sys.modules.get("FedSimCore.worker.server"), "make_server"):
                time.sleep(0.01)
            size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + 120_000_000, resource.RLIM_INFINITY))
        threading.Thread(target=limit, daemon=True).start()
    """
    (temporary_folder / "sitecustomize.py").write_text(textwrap.dedent(limit))
    with Conversation(python_path=(str(temporary_folder), str(ROOT))) as conversation:
        huge = p.LabelsTask(parameters=heart(), grid=p.GridSpec.centered(512, 0.3))
        failed = conversation.ask(huge)
        assert isinstance(failed, RequestFailed)
        assert failed.cause == "memory"
        assert "coarser grid" in failed.sentence
        assert isinstance(conversation.ask(p.LabelsTask(parameters=heart(), grid=COARSE)), RequestDone)


@posix
def test_asking_never_waits_for_a_worker_that_does_not_read(own_conversation: Conversation) -> None:
    own_conversation.client.start()
    own_conversation.until_told(WorkerReady)
    pid = own_conversation.client.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    labels = np.zeros((64, 64, 64), dtype=np.uint8)
    for _ in range(300):  # far more than a pipe holds
        own_conversation.client.submit("fit", p.FitTask(affine=COARSE.affine, name="x" * 5000), {"labels": labels})
    last = own_conversation.client.submit("labels", p.LabelsTask(parameters=heart(), grid=COARSE))
    os.kill(pid, signal.SIGCONT)
    assert isinstance(own_conversation.end_of(last), RequestDone)
    assert len(own_conversation.told(RequestFailed)) <= 1  # of the fits, only the newest is still wanted
