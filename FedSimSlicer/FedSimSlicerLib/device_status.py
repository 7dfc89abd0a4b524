"""The line that tells which device computes, why, and whether its memory suffices; and the choice of another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.dependencies import RESOURCES
from FedSimSlicerLib.interpreter import worker_launch
from FedSimSlicerLib.worker_client import WorkerLaunch, WorkerState
from FedSimSlicerLib.worker_events import (
    Event,
    RequestDone,
    RequestFailed,
    WorkerCrashed,
    WorkerFailed,
    WorkerReady,
)

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import DeviceReport

SETTING = "FedSim/Device"
DEVICES = ("auto", "cpu", "cuda")
"""In the order of the combo box's items."""

CHANNEL = "device"
LOOK_AGAIN_MS = 10_000
UI_FILE = RESOURCES / "UI" / "DeviceStatus.ui"


class Settings(Protocol):
    """What a QSettings offers."""

    def value(self, key: str, default: Any = None) -> Any:
        """Return what is kept."""

    def setValue(self, key: str, value: Any) -> None:  # noqa: N802 (Qt's name)
        """Keep it."""


class Client(Protocol):
    """The part of :class:`FedSimSlicerLib.worker_client.WorkerClient` that is used here."""

    @property
    def state(self) -> WorkerState:
        """Where the worker stands."""

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function with every event."""

    def submit(self, channel: str, task: Mapping[str, Any]) -> int:
        """Ask for a task."""

    def restart(self, launch: WorkerLaunch | None = None) -> None:
        """End the worker and start another one."""


def device_setting(settings: Settings) -> str:
    """Return the device that the user has chosen: ``"auto"``, ``"cpu"`` or ``"cuda"``."""
    chosen = settings.value(SETTING, DEVICES[0])
    return chosen if chosen in DEVICES else DEVICES[0]


class DeviceStatus:
    """Status line of the worker.

    Free memory is asked for anew every ten seconds while the line is seen and the worker is ready.

    Attributes:
        widget: the line's qt.QWidget.

    Args:
        client: the worker's client, polled by somebody else.
        settings: where the choice is kept between sessions, e.g. ``slicer.app.userSettings()``.
        launch: makes the launch for a device.
    """

    def __init__(
        self, client: Client, settings: Settings, launch: Callable[[str], WorkerLaunch] = worker_launch
    ) -> None:
        self._client, self._settings, self._launch = client, settings, launch
        self.widget = slicer.util.loadUI(str(UI_FILE))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.deviceBox.currentIndex = DEVICES.index(device_setting(settings))
        self.ui.deviceBox.connect("currentIndexChanged(int)", self._choose)
        self.ui.restartButton.connect("clicked()", self._restart)
        self._tell_state()
        self._unsubscribe = client.subscribe(self._on_event)
        self._timer = qt.QTimer()
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._timer.connect("timeout()", self.look_again)
        self._timer.start()

    def look_again(self) -> None:
        """Ask the worker how much memory is free now, if it runs and anybody sees the answer."""
        if self._client.state is WorkerState.READY and self.widget.isVisible():
            self._client.submit(CHANNEL, {"kind": "describe"})

    def close(self) -> None:
        """Hear of no more events."""
        self._timer.stop()
        self._unsubscribe()

    def _choose(self, index: int) -> None:
        self._settings.setValue(SETTING, DEVICES[index])
        self._restart()

    def _restart(self) -> None:
        self._client.restart(self._launch(DEVICES[self.ui.deviceBox.currentIndex]))
        self._tell_state()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, WorkerReady):
            self._tell_device(event.device)
        elif isinstance(event, WorkerCrashed | WorkerFailed):
            self._tell(event.sentence, trouble=True)
        elif isinstance(event, RequestDone) and event.channel == CHANNEL:
            self._tell_device(event.result.device)  # type: ignore[union-attr]  # the answer to a DescribeTask
        elif isinstance(event, RequestFailed) and event.cause == "memory":
            self.look_again()

    def _tell_state(self) -> None:
        sentences = {
            WorkerState.STOPPED: _("The worker, which computes, is not running yet; it starts when it is needed."),
            WorkerState.STARTING: _("The worker, which computes, is starting..."),
            WorkerState.READY: _("The worker, which computes, is running."),
            WorkerState.FAILED: _("The worker, which computes, could not be started; restart it."),
        }
        state = self._client.state
        self._tell(sentences[state], trouble=state is WorkerState.FAILED)

    def _tell_device(self, report: DeviceReport) -> None:
        free, needed = report.free_mb, report.needed_mb
        if free is None:
            memory = _("A full rendering takes {needed} GB of memory.").format(needed=_gigabytes(needed))
        else:
            memory = _("Memory: {free} GB free, a full rendering takes {needed} GB.").format(
                free=_gigabytes(free), needed=_gigabytes(needed)
            )
        short = free is not None and free < needed
        # If memory is short the reason says so with the figures.
        self._tell(report.reason if short else f"{report.reason} {memory}", trouble=short)

    def _tell(self, sentence: str, trouble: bool) -> None:
        self.ui.statusLabel.text = sentence
        self.ui.statusLabel.setProperty("trouble", trouble)
        self.ui.statusLabel.styleSheet = self.ui.statusLabel.styleSheet  # applied anew for the property
        self.ui.restartButton.visible = trouble or self._client.state is WorkerState.FAILED


def _gigabytes(megabytes: int) -> str:
    return f"{megabytes / 1024:.1f}"
