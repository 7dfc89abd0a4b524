"""The panel in which a clinician moves a heart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer

from FedSimCore.errors import FedSimError
from FedSimSlicerLib.fit_section import FitSection
from FedSimSlicerLib.generator_section import GeneratorSection
from FedSimSlicerLib.heart_files import ask_what_to_load, ask_where_to_store, load_heart, store_heart
from FedSimSlicerLib.measurement_section import MeasurementSection
from FedSimSlicerLib.pose_section import PoseSection
from FedSimSlicerLib.region_section import RegionSection
from FedSimSlicerLib.shape_section import ShapeSection
from FedSimSlicerLib.view_centers import bring_views_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from FedSimCore.shape.parameters import HeartParameters
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState


class ExplorePanel:
    """Buttons for the whole heart, and sections for shape, pose, regions, measurements, fit and trained models.

    Attributes:
        widget: the panel's qt.QWidget.
        ui: its widgets by name.
        shape, pose, regions, measurements, fit, generator: the sections.

    Args:
        session: what is behind the panel.
        resource_path: gives the full path of a file in the module's Resources.
    """

    def __init__(self, session: Session, resource_path: Callable[[str], str]) -> None:
        self._session = session
        self._editor = session.editor
        self.widget = slicer.util.loadUI(resource_path("UI/ExplorePanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.shape = ShapeSection(session, self.ui)
        self.pose = PoseSection(session, self.ui)
        self.regions = RegionSection(session, self.ui)
        self.measurements = MeasurementSection(session, resource_path)
        self.ui.measureLayout.addWidget(self.measurements.widget)
        self.fit = FitSection(session, resource_path)
        self.ui.fitLayout.addWidget(self.fit.widget)
        self.generator = GeneratorSection(session, resource_path)
        self.ui.generatorLayout.addWidget(self.generator.widget)
        self.ui.generatorSection.connect("contentsCollapsed(bool)", self._on_generator_collapsed)
        self._connect()
        session.state_changed.connect(self._on_state)
        session.model_wanted.connect(self._show_model)
        session.fit_wanted.connect(self._fit_to)
        self._editor.changed.connect(self._on_heart)
        self._editor.history_changed.connect(self._on_history)
        self._on_heart(self._editor.heart)
        self._on_history()

    @property
    def modes(self) -> Any:
        """The sliders of the modes."""
        return self.shape.modes

    def close(self) -> None:
        """Stop what moves by itself, and let go of the scene."""
        self.shape.stop_animation()
        self.regions.close()
        self.measurements.close()
        self.fit.close()
        self.generator.close()

    def _connect(self) -> None:
        ui, editor = self.ui, self._editor
        ui.meanButton.connect("clicked()", self._as_one_step(editor.set_mean))
        ui.randomButton.connect("clicked()", self._as_one_step(self._draw))
        ui.resetButton.connect("clicked()", self._as_one_step(editor.reset))
        ui.undoButton.connect("clicked()", self._undo)
        ui.redoButton.connect("clicked()", self._redo)
        ui.showButton.connect("clicked()", self._bring_views)
        ui.storeButton.connect("clicked()", self._store)
        ui.loadButton.connect("clicked()", self._load)
        self._shortcuts = [
            self._shortcut(keys, action)
            for keys, action in (("Ctrl+Z", self._undo), ("Ctrl+Shift+Z", self._redo), ("Ctrl+Y", self._redo))
        ]

    def _shortcut(self, keys: str, action: Callable[[], None]) -> Any:
        """Make a shortcut that works while the panel has the focus, and leaves Slicer's own alone elsewhere."""
        shortcut = qt.QShortcut(qt.QKeySequence(keys), self.widget)
        shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        shortcut.connect("activated()", action)
        return shortcut

    def _as_one_step(self, change: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            self.shape.stop_animation()
            self._editor.as_one_step(change)

        return act

    def _undo(self) -> None:
        self.shape.stop_animation()
        self._editor.undo()

    def _redo(self) -> None:
        self.shape.stop_animation()
        self._editor.redo()

    def _on_heart(self, heart: HeartParameters) -> None:
        """Show the heart's numbers, without telling them back."""
        self.shape.show_heart(heart)
        self.pose.show_heart(heart)
        self.measurements.show_heart(heart)
        self.fit.show_heart(heart)
        self.generator.show_heart(heart)

    def _on_history(self) -> None:
        self.ui.undoButton.enabled = self._editor.can_undo
        self.ui.redoButton.enabled = self._editor.can_redo

    def _on_state(self, state: ModuleState | None) -> None:
        self.widget.enabled = state is not None
        self.shape.show_state(state)
        self.regions.show_state(state)
        self.measurements.show_state(state)
        self.fit.show_state(state)
        self.generator.show_state(state)

    def _on_generator_collapsed(self, collapsed: bool) -> None:
        """Open the model when somebody looks, not before: that starts to read files in the worker."""
        if not collapsed:
            self.generator.open()

    def _show_model(self, folder: str) -> None:
        self._session.tab_wanted.emit(type(self).__name__)
        self.ui.generatorSection.collapsed = False
        self.generator.ui.modelEdit.currentPath = folder
        self.generator.open()

    def _fit_to(self, patient: Any) -> None:
        self._session.tab_wanted.emit(type(self).__name__)
        self.ui.fitSection.collapsed = False
        self.fit.fit_to(patient)

    def _draw(self) -> None:
        self._editor.set_random(self.ui.seedBox.value, self._session.surface.header.limit_sigma)
        self.ui.seedBox.value += 1

    def _bring_views(self) -> None:
        self._session.show_heart()
        bring_views_to(self._session.surface.middle(self._editor.heart))

    def _store(self) -> None:
        self.shape.stop_animation()
        path = ask_where_to_store(self.widget)
        if path is not None:
            self._tell_errors(lambda: store_heart(path, self._editor.heart, self._session.surface))

    def _load(self) -> None:
        path = ask_what_to_load(self.widget)
        if path is not None:
            self._tell_errors(lambda: self._show(load_heart(path, self._session.surface)))

    def _show(self, heart: HeartParameters) -> None:
        self._as_one_step(lambda: self._editor.set(heart))()

    def _tell_errors(self, action: Callable[[], None]) -> None:
        try:
            action()
        except FedSimError as error:
            self._session.message.emit(str(error))
        else:
            self._session.message.emit("")
