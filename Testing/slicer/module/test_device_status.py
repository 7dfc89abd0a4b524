"""The status line tells the device, why it was chosen and its memory; it lets one choose another and start anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from FedSimSlicerLib.interpreter import python_interpreter, worker_launch
from FedSimSlicerLib.worker_client import WorkerClient, WorkerLaunch, WorkerState
from FedSimSlicerLib.worker_events import RequestDone, WorkerCrashed, WorkerFailed, WorkerReady

ROOT = Path(__file__).resolve().parents[3]
PICTURES = os.environ.get("FEDSIM_PICTURES")  # a folder, to look at what is tested


def report(free_mb=6144, needed_mb=2560, reason="The processor is used (2 threads), as chosen in the settings."):
    return SimpleNamespace(device="cpu", name="a processor", reason=reason, free_mb=free_mb, needed_mb=needed_mb)


class FakeClient:
    """A client that says what the test tells it."""

    def __init__(self):
        self.state = WorkerState.STOPPED
        self.launches, self.asked = [], []

    def subscribe(self, listener):
        self.tell = listener
        return lambda: setattr(self, "tell", lambda _event: None)

    def submit(self, channel, task):
        self.asked.append((channel, task))
        return len(self.asked)

    def restart(self, launch=None):
        self.launches.append(launch)
        self.state = WorkerState.STARTING


class FakeSettings(dict):
    """A QSettings."""

    def value(self, key, default=None):
        return self.get(key, default)

    def setValue(self, key, value):
        self[key] = value


@pytest.fixture
def client():
    return FakeClient()


@pytest.fixture
def settings():
    return FakeSettings()


@pytest.fixture
def status(application, client, settings):
    from FedSimSlicerLib.device_status import DeviceStatus

    line = DeviceStatus(client, settings)
    line.widget.show()
    application.process_events()
    yield line
    line.close()
    line.widget.close()


def text(status):
    return status.ui.statusLabel.text


def test_before_the_worker_runs_the_line_says_so(status):
    assert "is not running yet" in text(status)
    assert not status.ui.restartButton.isVisible()


def test_when_the_worker_is_ready_device_reason_and_memory_are_told(status, client):
    client.state = WorkerState.READY
    client.tell(WorkerReady(report()))
    assert text(status) == (
        "The processor is used (2 threads), as chosen in the settings. "
        "Memory: 6.0 GB free, a full rendering takes 2.5 GB."
    )
    assert not status.ui.restartButton.isVisible()


def test_where_the_system_does_not_tell_free_memory_the_need_is_told(status, client):
    client.tell(WorkerReady(report(free_mb=None)))
    assert text(status).endswith("A full rendering takes 2.5 GB of memory.")


def test_short_memory_stands_out(status, client):
    client.tell(WorkerReady(report(free_mb=900, reason="A full rendering needs 2560 MB, but only 900 MB are free.")))
    assert text(status) == "A full rendering needs 2560 MB, but only 900 MB are free."
    assert status.ui.statusLabel.property("trouble") is True


def test_a_crash_and_a_failure_are_told_and_offer_a_restart(status, client, application):
    for event in (WorkerCrashed("It crashed. It is being started again."), WorkerFailed("It cannot start.")):
        client.tell(event)
        application.process_events()
        assert text(status) == event.sentence
        assert status.ui.restartButton.isVisible()
    status.ui.restartButton.click()
    assert [launch.device for launch in client.launches] == ["auto"]
    assert "is starting" in text(status)
    client.state = WorkerState.READY
    client.tell(WorkerReady(report()))
    assert not status.ui.restartButton.isVisible()


def test_choosing_a_device_restarts_the_worker_with_it_and_is_kept(status, client, settings):
    status.ui.deviceBox.currentIndex = 2
    assert [launch.device for launch in client.launches] == ["cuda"]
    assert settings == {"FedSim/Device": "cuda"}


@pytest.mark.parametrize(("kept", "shown"), [("cpu", 1), ("cuda", 2), ("quantum", 0), (None, 0)])
def test_the_choice_of_the_last_session_is_shown_and_restarts_nothing(application, client, kept, shown):
    from FedSimSlicerLib.device_status import DEVICES, DeviceStatus, device_setting

    settings = FakeSettings() if kept is None else FakeSettings({"FedSim/Device": kept})
    line = DeviceStatus(client, settings)
    assert (line.ui.deviceBox.currentIndex, device_setting(settings)) == (shown, DEVICES[shown])
    assert client.launches == []
    line.close()


def test_the_choice_is_kept_in_slicers_settings(application, client):
    import slicer

    from FedSimSlicerLib.device_status import DeviceStatus, device_setting

    line = DeviceStatus(client, slicer.app.userSettings())
    line.ui.deviceBox.currentIndex = 1
    line.close()
    assert device_setting(slicer.app.userSettings()) == "cpu"
    slicer.app.userSettings().remove("FedSim/Device")


def test_free_memory_is_asked_for_only_while_the_worker_runs_and_the_line_is_seen(status, client):
    status.look_again()
    client.state = WorkerState.READY
    status.look_again()
    status.widget.hide()
    status.look_again()
    assert client.asked == [("device", {"kind": "describe"})]
    client.tell(RequestDone("device", 1, SimpleNamespace(device=report(free_mb=3072)), {}, 0.1))
    assert "3.0 GB free" in text(status)


def test_after_close_no_event_is_heard(status, client):
    before = text(status)
    status.close()
    client.tell(WorkerFailed("It cannot start."))
    assert text(status) == before


def test_the_launch_finds_the_core_in_this_checkout():
    launch = worker_launch("cpu")
    assert launch == WorkerLaunch(python=sys.executable, device="cpu", python_path=(str(ROOT),))


def test_without_an_interpreter_the_launch_names_pythonslicer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert python_interpreter() == "PythonSlicer"


def test_the_real_worker_reports_the_device_and_a_card_that_is_not_there(application, settings, wait_for):
    import torch

    from FedSimSlicerLib.device_status import DeviceStatus

    if torch.cuda.is_available():
        pytest.skip("this computer has the card that should be missing")
    client = WorkerClient(worker_launch("cpu"))
    line = DeviceStatus(client, settings)
    try:
        client.start()
        wait_for(lambda: client.poll() and client.state is WorkerState.READY)
        assert "as chosen in the settings" in text(line)
        line.ui.deviceBox.currentIndex = 2
        wait_for(lambda: client.poll() and client.state is WorkerState.FAILED)
        assert text(line).startswith("CUDA was asked for, but ")
        line.widget.show()
        assert line.ui.restartButton.isVisible()
    finally:
        line.close()
        line.widget.close()
        client.close(wait_s=10)


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_line_fits_400_pixels_at_any_font(status, client, application, factor):
    import qt

    small = qt.QApplication.font()
    font = qt.QFont(small)
    font.setPointSizeF(small.pointSizeF() * factor)
    qt.QApplication.setFont(font)
    try:
        client.tell(WorkerCrashed("The worker was killed (SIGKILL), as the system does when memory runs out."))
        status.widget.resize(400, 140)
        application.process_events()
        assert status.widget.minimumSizeHint.width() <= 400
        if PICTURES:
            status.widget.grab().save(f"{PICTURES}/device_crashed_{factor}.png")
            client.tell(WorkerReady(report()))
            application.process_events()
            status.widget.grab().save(f"{PICTURES}/device_{factor}.png")
    finally:
        qt.QApplication.setFont(small)
        application.process_events()
