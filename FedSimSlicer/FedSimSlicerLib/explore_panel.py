"""The panel in which a clinician moves a heart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from FedSimCore.errors import FedSimError
from FedSimCore.shape.parameters import HeartParameters, Pose, read_parameters, write_parameters
from FedSimCore.worker.protocol import ModeTableTask
from FedSimSlicerLib.heart_editor import WIDE_SIGMA
from FedSimSlicerLib.mode_animation import ModeAnimation
from FedSimSlicerLib.mode_sliders import ModeSliders
from FedSimSlicerLib.region_table import RegionTable
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import RequestDone

JSON_FILTER = "FedSim heart (*.json)"


class ExplorePanel:
    """Shape, pose and regions of the heart.

    Attributes:
        widget: the panel's qt.QWidget.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._editor = session.editor
        self.widget = slicer.util.loadUI(resource_path("UI/ExplorePanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.ui.modeCountBox.maximum = session.surface.mode_count
        self.modes = ModeSliders(
            self.ui.modeLayout, session.surface.explained.tolist(), self._editor.set_weight, self._animate
        )
        self.regions = RegionTable(
            self.ui.regionGrid, tuple(part.region for part in session.surface.parts), session.display
        )
        self._animation = ModeAnimation(self._editor)
        self._connect()
        session.state_changed.connect(self._on_state)
        self._editor.changed.connect(self._on_heart)
        self._editor.history_changed.connect(self._on_history)
        self._on_heart(self._editor.heart)
        self._on_history()
        self._ask_for_meanings()

    def close(self) -> None:
        """Stop what moves by itself."""
        self._animation.stop()

    def _connect(self) -> None:
        ui, editor = self.ui, self._editor
        ui.meanButton.connect("clicked()", editor.set_mean)
        ui.randomButton.connect("clicked()", self._draw)
        ui.undoButton.connect("clicked()", editor.undo)
        ui.redoButton.connect("clicked()", editor.redo)
        ui.storeButton.connect("clicked()", self._store)
        ui.loadButton.connect("clicked()", self._load)
        ui.modeCountBox.connect("valueChanged(int)", editor.set_mode_count)
        ui.wideRangeBox.connect("toggled(bool)", self._set_wide_range)
        ui.resetPoseButton.connect("clicked()", lambda: editor.set_pose(Pose()))
        ui.centerButton.connect("clicked()", self._move_to_slices)
        for slider in self._pose_sliders():
            slider.connect("valueChanged(double)", self._on_pose_moved)
        ui.regionSection.connect("contentsCollapsed(bool)", lambda _collapsed: self.regions.refresh())

    def _pose_sliders(self) -> tuple[Any, ...]:
        """Return rotation about R, A, S, translation along R, A, S, and scale: the order of a pose."""
        ui = self.ui
        return (
            ui.rotationRightSlider,
            ui.rotationAnteriorSlider,
            ui.rotationSuperiorSlider,
            ui.rightSlider,
            ui.anteriorSlider,
            ui.superiorSlider,
            ui.scaleSlider,
        )

    def _on_pose_moved(self, _value: float) -> None:
        values = [float(slider.value) for slider in self._pose_sliders()]
        rotation = tuple(math.radians(angle) for angle in values[:3])
        self._editor.set_pose(Pose(rotation_rad=rotation, translation_mm=tuple(values[3:6]), scale=values[6]))

    def _on_heart(self, heart: HeartParameters) -> None:
        """Show the heart's numbers, without telling them back."""
        self.modes.show(heart.weights)
        pose = heart.pose
        values = (*map(math.degrees, pose.rotation_rad), *pose.translation_mm, pose.scale)
        shown = ((self.ui.modeCountBox, len(heart.weights)), *zip(self._pose_sliders(), values, strict=True))
        for widget, value in shown:
            blocked = widget.blockSignals(True)
            widget.value = value
            widget.blockSignals(blocked)

    def _on_history(self) -> None:
        self.ui.undoButton.enabled = self._editor.can_undo
        self.ui.redoButton.enabled = self._editor.can_redo

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        if state is None:
            self._animation.stop()
            self.modes.stop_animations()
            return
        blocked = self.ui.wideRangeBox.blockSignals(True)
        self.ui.wideRangeBox.checked = state.wide_range
        self.ui.wideRangeBox.blockSignals(blocked)
        self.ui.rangeWarningLabel.visible = state.wide_range
        self.modes.set_limit(self._limit())
        self.regions.refresh()

    def _limit(self) -> float:
        state = self._session.state
        return WIDE_SIGMA if state is not None and state.wide_range else self._session.surface.header.limit_sigma

    def _set_wide_range(self, wide: bool) -> None:
        if self._session.state is not None:
            self._session.state.wide_range = wide

    def _draw(self) -> None:
        self._editor.set_random(self.ui.seedBox.value, self._session.surface.header.limit_sigma)
        self.ui.seedBox.value += 1

    def _animate(self, mode: int, on: bool) -> None:
        if on:
            self.modes.stop_animations(but=mode)
            self._animation.start(mode, self._limit())
        else:
            self._animation.stop()

    def _move_to_slices(self) -> None:
        """Move the middle of the heart to where the slice views cross."""
        offsets = [
            slicer.app.layoutManager().sliceWidget(name).sliceLogic().GetSliceNode().GetSliceToRAS().GetElement(row, 3)
            for name, row in (("Yellow", 0), ("Green", 1), ("Red", 2))
        ]
        heart = self._editor.heart
        vertices = self._session.surface.vertices(heart)
        shift = np.asarray(offsets) - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        moved = tuple((np.asarray(heart.pose.translation_mm) + shift).tolist())
        self._editor.set_pose(heart.pose.model_copy(update={"translation_mm": moved}))

    def _ask_for_meanings(self) -> None:
        self._session.worker.ask("modes", ModeTableTask(), Reply(self._take_meanings))

    def _take_meanings(self, event: RequestDone) -> None:
        self.modes.describe(event.result.modes)

    def _store(self) -> None:
        path = qt.QFileDialog.getSaveFileName(self.widget, _("Store the heart"), "heart.json", JSON_FILTER)
        if path:
            self._tell_errors(lambda p: write_parameters(p, self._editor.heart, self._session.surface.checksum), path)

    def _load(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.widget, _("Load a heart"), "", JSON_FILTER)
        if path:
            self._tell_errors(self._read, path)

    def _read(self, path: Any) -> None:
        heart = read_parameters(path, model_sha256=self._session.surface.checksum)
        self._session.surface.vertices(heart)  # refuses more weights than the model has modes
        self._editor.set(heart)
        self._editor.commit()

    def _tell_errors(self, action: Callable[[Any], None], path: str) -> None:
        from pathlib import Path

        try:
            action(Path(path))
        except FedSimError as error:
            self._session.message.emit(str(error))
        else:
            self._session.message.emit("")
