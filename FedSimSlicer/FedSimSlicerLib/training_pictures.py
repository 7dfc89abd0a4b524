"""The pictures that a training makes on its way, with a slider over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FedSimSlicerLib.background import Background
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.widget_values import WheelGuard

if TYPE_CHECKING:
    from FedSimCore.runs.events import Pictured


LEAST_HEIGHT = 150
"""A wide picture is this high, if it is so high at all, and scrolls to and fro."""


class FittingPicture(qt.QScrollArea):
    """A picture as wide as there is room, never larger than it is; one that would be very low scrolls to and fro."""

    def __init__(self) -> None:
        qt.QScrollArea.__init__(self)
        self._label = qt.QLabel()
        self.setWidget(self._label)
        self.setFrameShape(qt.QFrame.NoFrame)
        self.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self._picture: Any = None

    def show_picture(self, picture: Any) -> None:
        """Show a qt.QPixmap; None for nothing."""
        self._picture = picture
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Fit the picture to the new width."""
        qt.QScrollArea.resizeEvent(self, event)
        self._fit()

    def _fit(self) -> None:
        if self._picture is None or self._picture.isNull():
            self._label.clear()
            self.setFixedHeight(1)
            return
        room, height = max(1, self.width), self._picture.height()
        fitting = room * height / self._picture.width()
        scaled = self._picture.scaledToHeight(
            round(min(height, max(fitting, LEAST_HEIGHT))), qt.Qt.SmoothTransformation
        )
        self._label.setPixmap(scaled)
        self._label.resize(scaled.width(), scaled.height())
        bar = self.horizontalScrollBar().sizeHint.height() if scaled.width() > room else 0
        self.setFixedHeight(scaled.height() + bar)


class TrainingPictures:
    """Shows one picture of a run; the newest as long as the slider is at its end.

    Args:
        ui: the panel's widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._run: Path | None = None
        self._all: tuple[Pictured, ...] = ()
        self._wanted: Path | None = None
        self._picture: Any = None
        self._window: Any = None
        self._background = Background()
        self._guard = WheelGuard()
        self._guard.protect(ui.pictureSlider)
        self.view = FittingPicture()
        ui.pictureLayout.addWidget(self.view)
        make_quiet(ui.pictureBox)
        ui.pictureBox.connect("activated(int)", lambda _index: self._refresh(follow=True))
        ui.pictureSlider.connect("valueChanged(int)", lambda _value: self._load())
        ui.enlargeButton.connect("clicked()", self._enlarge)
        self._refresh(follow=True)

    def show(self, run: Path | None, pictures: Sequence[Pictured]) -> None:
        """Show the pictures of a run, None for no run."""
        other = run != self._run
        if not other and tuple(pictures) == self._all:
            return
        slider = self._ui.pictureSlider
        follow = other or slider.value == slider.maximum
        self._run, self._all = run, tuple(pictures)
        names = list(dict.fromkeys(picture.name for picture in pictures))
        chosen = self._ui.pictureBox.currentData
        fill_combo_box(self._ui.pictureBox, [(name, name) for name in names])
        if names:
            choose(self._ui.pictureBox, chosen if chosen in names else names[0])
        self._refresh(follow)

    def close(self) -> None:
        """Load nothing more."""
        self._background.close()
        if self._window is not None:
            self._window.close()

    @property
    def _shown(self) -> list[Pictured]:
        name = self._ui.pictureBox.currentData
        return [picture for picture in self._all if picture.name == name]

    def _refresh(self, follow: bool) -> None:
        ui, shown = self._ui, self._shown
        slider = ui.pictureSlider
        blocked = slider.blockSignals(True)
        slider.maximum = max(0, len(shown) - 1)
        if follow:
            slider.value = slider.maximum
        slider.blockSignals(blocked)
        ui.pictureBox.visible = len({picture.name for picture in self._all}) > 1
        for widget in (slider, ui.enlargeButton, self.view):
            widget.setVisible(bool(shown))
        slider.enabled = len(shown) > 1
        if not shown:
            ui.pictureLabel.text = (
                _("No picture yet: one is made every “Picture every” steps.")
                if self._run is not None
                else _("Choose a run to see its pictures.")
            )
            self._wanted = self._picture = None
            self.view.show_picture(None)
        self._load()

    def _load(self) -> None:
        """Read the file in the thread; a folder may be slow to reach."""
        shown = self._shown
        if not shown or self._run is None:
            return
        picture = shown[min(self._ui.pictureSlider.value, len(shown) - 1)]
        self._ui.pictureLabel.text = _("After step {step}, picture {number} of {count}").format(
            step=picture.step, number=shown.index(picture) + 1, count=len(shown)
        )
        path = self._run / picture.file
        if path != self._wanted:
            self._wanted = path
            self._background.run(
                path.read_bytes, lambda content: self._take(path, content), lambda _e: self._miss(path)
            )

    def _take(self, path: Path, content: bytes) -> None:
        if path != self._wanted:
            return
        self._picture = qt.QPixmap()
        self._picture.loadFromData(qt.QByteArray(content))
        self.view.show_picture(self._picture)
        if self._window is not None and self._window.isVisible():
            self._show_large()

    def _miss(self, path: Path) -> None:
        if path == self._wanted:
            self._ui.pictureLabel.text = _("{file} is not there any more.").format(file=path.name)
            self.view.show_picture(None)

    def _enlarge(self) -> None:
        if self._picture is None:
            return
        if self._window is None:
            self._window = qt.QScrollArea(self._ui.pictureSlider.window())
            self._window.setWindowFlags(qt.Qt.Window)
            self._window.setWidget(qt.QLabel())
            self._window.setWidgetResizable(True)
        self._show_large()
        self._window.resize(self._picture.width() + 24, min(self._picture.height() + 24, 900))
        self._window.show()
        self._window.raise_()

    def _show_large(self) -> None:
        label = self._window.widget()
        label.setAlignment(qt.Qt.AlignCenter)
        label.setPixmap(self._picture)
        self._window.windowTitle = f"{self._ui.pictureBox.currentData}: {self._ui.pictureLabel.text}"
