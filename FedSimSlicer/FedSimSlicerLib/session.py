"""The module's collaborators, made once and handed to the panels; and how they follow the scene."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.util import VTKObservationMixin

from FedSimSlicerLib.compare_layout import CompareLayout
from FedSimSlicerLib.heart_display import HeartDisplay
from FedSimSlicerLib.heart_editor import HeartEditor
from FedSimSlicerLib.heart_surface import HeartSurface
from FedSimSlicerLib.live_heart import LiveHeart
from FedSimSlicerLib.live_images import LiveImages
from FedSimSlicerLib.replaced_nodes import following_nodes, remove_replaced
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.state import ModuleState
from FedSimSlicerLib.view_centers import bring_3d_views_to
from FedSimSlicerLib.worker_client import WorkerClient, WorkerLaunch
from FedSimSlicerLib.worker_service import WorkerService


class Session(VTKObservationMixin):
    """Everything behind the panels, for one module widget.

    Attributes:
        surface: the shape model.
        worker: computes in another process.
        editor: the heart that is edited.
        display: its surfaces in the scene.
        live: what follows it.
        layout: views of our own in place of the user's layout.
        message: emitted with a sentence for the user; an empty one takes the last away.
        tab_wanted: emitted with the name of the panel that the user wants to go to, e.g. ``"ExplorePanel"``.
        fit_wanted: emitted with a segmentation node that the user wants the heart to be fitted to.
        model_wanted: emitted with the folder of a trained model whose hearts the user wants to see.
        segmenter_wanted: emitted with the folder of a run whose segmenter the user wants to segment with.
        state_changed: emitted when the scene's state is another one, or a value in it changed.

    Args:
        launch: how the worker is started.
        parameter_node: a function that gives the scene's parameter node of the module.
    """

    def __init__(self, launch: WorkerLaunch, parameter_node: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._parameter_node = parameter_node
        self._state: ModuleState | None = None
        self._replaceable: list[Any] = []
        self.message: Signal[[str]] = Signal()
        self.tab_wanted: Signal[[str]] = Signal()
        self.fit_wanted: Signal[[Any]] = Signal()
        self.model_wanted: Signal[[str]] = Signal()
        self.segmenter_wanted: Signal[[str]] = Signal()
        self.state_changed: Signal[[ModuleState | None]] = Signal()
        self.surface = HeartSurface()
        self.worker = WorkerService(WorkerClient(launch))
        self.editor = HeartEditor(self.surface)
        self.display = HeartDisplay(self.surface)
        self.live = LiveHeart(self.surface, self.editor, self.display, LiveImages(), self.worker)
        self.layout = CompareLayout()
        self.live.failed.connect(self.message.emit)
        self.state_changed.connect(lambda _state: self.live.follow_settings())
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_: self._set_state(None))
        self.addObserver(scene, scene.EndCloseEvent, lambda *_: self.use_scene())
        # While a scene is read, references to nodes that are not there yet are read as None, for good.
        self.addObserver(scene, scene.StartImportEvent, lambda *_: self._before_import())
        self.addObserver(scene, scene.EndImportEvent, lambda *_: self._after_import())

    @property
    def state(self) -> ModuleState | None:
        """The scene's state; None while the scene is being closed or read."""
        return self._state

    def use_scene(self) -> None:
        """Take heart and settings from the scene as it is now; a heart that it shows is shown on."""
        self._set_state(ModuleState(self._parameter_node()))
        self.layout.recover()
        if self.display.shown:
            self.live.show()

    def show_heart(self) -> None:
        """Show the heart in the scene, if it is not there yet."""
        if self._state is None:
            self.use_scene()
        if not self.display.shown:
            self.live.show()
            bring_3d_views_to(self.surface.middle(self.editor.heart))

    def close(self) -> None:
        """End the worker and forget the scene."""
        self._set_state(None)
        self.layout.close()
        self.removeObservers()
        self.worker.close()

    def _before_import(self) -> None:
        self._replaceable = following_nodes(self.display, self._state)
        self._set_state(None)

    def _after_import(self) -> None:
        self.use_scene()
        remove_replaced(self._replaceable, self._parameter_node())
        self._replaceable = []

    def _set_state(self, state: ModuleState | None) -> None:
        if self._state is not None:
            self.removeObserver(self._state.parameterNode, self._modified_event, self._on_modified)
        self._state = state
        self.live.bind(None)  # the editor's change of heart must not reach the scene
        self.editor.bind(state)
        self.live.bind(state)
        if state is not None:
            self.addObserver(state.parameterNode, self._modified_event, self._on_modified)
        self.state_changed.emit(state)

    @property
    def _modified_event(self) -> Any:
        import vtk

        return vtk.vtkCommand.ModifiedEvent

    def _on_modified(self, _caller: Any, _event: Any) -> None:
        self.state_changed.emit(self._state)
