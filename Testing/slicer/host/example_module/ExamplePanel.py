"""A scripted module as small as can be, written for Slicer and run in the host's own tests."""

from __future__ import annotations

import enum
import pathlib
from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLModelNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Decimals, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class Quality(enum.Enum):
    """How much work to do."""

    PREVIEW = 1
    FULL = 2


class ExamplePanel(ScriptedLoadableModule):
    """The entry."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Example panel")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data():
    """Sample data that is made, not downloaded."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataCategory("Example", title=_("Example"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Example",
        sampleName="ExampleBall",
        uris=[],
        fileNames=[],
        customDownloader=lambda _source: ExamplePanelLogic.add_ball(30.0),
    )


@parameterNodeWrapper
class ExampleState:
    """What the panel keeps."""

    volume: vtkMRMLScalarVolumeNode
    ball: vtkMRMLModelNode | None
    radius: Annotated[float, WithinRange(1, 100), Decimals(1)] = 20
    rounds: Annotated[int, WithinRange(1, 9)] = 3
    shown: bool = True
    title: str = "ball"
    site: Annotated[str, Choice(["A", "B"])] = "A"
    quality: Quality = Quality.PREVIEW
    folder: pathlib.Path
    weights: list[float]
    corner: tuple[int, str] = (0, "")
    limit: float | None


class ExamplePanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.state = None
        self.gui_tag = None
        self.log = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/ExamplePanel.ui"))
        self.layout.addWidget(panel)
        self.layout.addStretch(1)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = ExamplePanelLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, lambda *_: self.set_state(None))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.use_scene())
        # The wrapper keeps what it read in the midst of the import, when referenced nodes could not be found yet.
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, lambda *_: self.use_scene())
        self.ui.applyButton.connect("clicked(bool)", self.on_apply)
        self.use_scene()

    def cleanup(self):
        self.set_state(None)
        self.removeObservers()

    def enter(self):
        self.log.append("enter")

    def exit(self):
        self.log.append("exit")

    def use_scene(self):
        """Follow the scene's parameter node."""
        self.set_state(self.logic.getParameterNode())

    def set_state(self, state):
        """Bind the widgets to a state, or to none."""
        if self.state is not None:
            self.state.disconnectGui(self.gui_tag)
            self.removeObserver(self.state, vtk.vtkCommand.ModifiedEvent, self.on_state)
        self.state = state
        if state is not None:
            self.gui_tag = state.connectGui(self.ui)
            self.addObserver(state, vtk.vtkCommand.ModifiedEvent, self.on_state)

    def on_state(self, _caller=None, _event=None):
        self.ui.applyButton.enabled = self.state.volume is not None

    def on_apply(self):
        with slicer.util.tryWithErrorDisplay(_("Failed."), waitCursor=True):
            self.state.ball = self.logic.add_ball(self.state.radius)


class ExamplePanelLogic(ScriptedLoadableModuleLogic):
    """The work."""

    def getParameterNode(self):
        return ExampleState(super().getParameterNode())

    @staticmethod
    def add_ball(radius):
        """A ball as a model."""
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(radius)
        sphere.SetThetaResolution(60)
        sphere.SetPhiResolution(60)
        sphere.Update()
        model = slicer.modules.models.logic().AddModel(sphere.GetOutput())
        model.SetName("Ball")
        return model


class ExamplePanelTest(ScriptedLoadableModuleTest):
    """What users can run inside Slicer."""

    def runTest(self):
        slicer.mrmlScene.Clear(0)
        self.assertEqual(ExamplePanelLogic.add_ball(10.0).GetName(), "Ball")
