"""The module in the host's window, driven as a user would, with clocks on what the user sees."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "FedSimSlicer"))

MODULE = ROOT / "FedSimSlicer" / "FedSimSlicer.py"
SLICE_VIEWS = ("Red", "Yellow", "Green")
HEARTBEAT_MS = 2


class Heartbeat:
    """A timer of the GUI thread that notes how long it had to wait: the longest pause is the longest freeze."""

    def __init__(self) -> None:
        import qt

        self.longest_s = 0.0
        self._last = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setInterval(HEARTBEAT_MS)
        self._timer.connect("timeout()", self._beat)

    def start(self) -> None:
        """Begin anew."""
        self.longest_s, self._last = 0.0, time.perf_counter()
        self._timer.start()

    def stop(self) -> float:
        """Return the longest pause in seconds."""
        self._timer.stop()
        return self.longest_s

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now


class ModuleDriver:
    """The window with the module, and what can be done and seen in it."""

    def __init__(self) -> None:
        from Testing.host import start_application

        self.application = start_application(testing=True)
        self.slicer = self.application.slicer
        self.application.load_module(MODULE)
        self.application.window.resize(1400, 900)
        self.application.window.show()
        self.application.window.moduleSelector().selectModule("FedSimSlicer")
        self.panel = self.slicer.modules.FedSimSlicerWidget.panel
        self.session = self.panel.session
        self.explore = self.panel.panels[0]
        layout = self.slicer.app.layoutManager()
        self.view_3d = layout.threeDWidget(0).threeDView()
        self.slices = [layout.sliceWidget(name).sliceView() for name in SLICE_VIEWS]
        self.until(lambda: self.session.state is not None and self.session.state.live_labels is not None)
        self.settle()

    def until(self, happened: Callable[[], Any], seconds: float = 300.0, pause_s: float = 0.0005) -> None:
        """Let the application go on until something has happened.

        Args:
            happened: is asked again and again.
            seconds: to wait at most.
            pause_s: between two questions; short ones keep a core busy that the worker could use.

        Raises:
            TimeoutError: it has not in time.
        """
        end = time.perf_counter() + seconds
        while not happened():
            if time.perf_counter() > end:
                raise TimeoutError("the module did not do what the benchmark waits for")
            self.application.process_events()
            time.sleep(pause_s)

    def settle(self, seconds: float = 0.05) -> None:
        """Wait until the worker has nothing to do and all is painted."""
        self.until(lambda: not any(map(self.session.worker.busy, ("labels", "measure", "preview", "modes"))))
        end = time.perf_counter() + seconds
        self.until(lambda: time.perf_counter() > end)

    def frames(self) -> list[int]:
        """Return how often each slice view has been painted."""
        from Testing.host.pythonqt import private

        return [private(view).frames for view in self.slices]

    def frames_3d(self) -> int:
        """Return how often the 3D view has been painted."""
        from Testing.host.pythonqt import private

        return int(private(self.view_3d).frames)

    def move_slider(self, mode: int, sigma: float) -> None:
        """Move a mode's slider."""
        self.explore.modes.sliders[mode].slider.value = sigma

    def seconds_to_3d(self, mode: int, sigma: float) -> float:
        """Return the seconds from a move of a slider to the repainted 3D heart."""
        before, began = self.frames_3d(), time.perf_counter()
        self.move_slider(mode, sigma)
        self.until(lambda: self.frames_3d() > before)
        self.view_3d.repaint()
        return time.perf_counter() - began

    def seconds_to_slices(self, mode: int, sigma: float, image: Any) -> float:
        """Return the seconds from a move of a slider until an image's new voxels are painted in three slice views."""
        painted_with: list[list[int]] = []
        event = self.slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        tag = image.AddObserver(event, lambda *_: painted_with.append(self.frames()))
        began = time.perf_counter()
        try:
            self.move_slider(mode, sigma)
            self.until(
                lambda: painted_with and all(n > old for n, old in zip(self.frames(), painted_with[0], strict=True))
            )
            for view in self.slices:
                view.repaint()
            return time.perf_counter() - began
        finally:
            image.RemoveObserver(tag)
