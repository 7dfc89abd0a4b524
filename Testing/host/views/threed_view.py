"""The 3D view."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtWidgets import QFrame, QWidget

from Testing.host.pythonqt import cxx_class, private
from Testing.host.views.render_view import RenderView, displayable_managers, label_bar, stack

MANAGERS = tuple(
    f"vtkMRML{name}"
    for name in (
        "CameraDisplayableManager ViewDisplayableManager ModelDisplayableManager ThreeDReformatDisplayableManager "
        "CrosshairDisplayableManager3D OrientationMarkerDisplayableManager RulerDisplayableManager "
        "VolumeRenderingDisplayableManager SegmentationsDisplayableManager3D MarkupsDisplayableManager "
        "LinearTransformsDisplayableManager ColorLegendDisplayableManager"
    ).split()
)
SKY, HORIZON = (0.7569, 0.7647, 0.9098), (0.4549, 0.4706, 0.7451)


@cxx_class("Libs/MRML/Widgets/qMRMLThreeDView.h")
class qMRMLThreeDView(RenderView):
    """The scene in 3D, by Slicer's own displayable managers. Left out: shadows, stereo, spin and rock."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        renderer = private(self).renderer
        renderer.SetBackground(*SKY)
        renderer.SetBackground2(*HORIZON)
        renderer.GradientBackgroundOn()
        renderer.SetUseDepthPeeling(True)
        private(self, group=None, node=None)

    def _connect_to(self, view_logic: Any, application_logic: Any) -> None:
        """Draw the view node of a vtkMRMLViewLogic."""
        import slicer

        state, node = private(self), view_logic.GetViewNode()
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory
        state.group = displayable_managers(self, factory, MANAGERS, application_logic)
        state.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        state.style.SetDisplayableManagers(state.group)
        state.style.SetInteractor(state.interactor)
        state.interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        state.node = node
        state.group.SetMRMLDisplayableNode(node)

    def mrmlViewNode(self) -> Any:
        return private(self).node

    def cameraNode(self) -> Any:
        import slicer

        return slicer.modules.cameras.logic().GetViewActiveCameraNode(private(self).node)

    def interactorObserver(self) -> Any:
        return private(self).style

    def displayableManagerByClassName(self, name: str) -> Any:
        return private(self).group.GetDisplayableManagerByClassName(name)

    def resetFocalPoint(self) -> None:
        """Look at the middle of what is visible."""
        state = private(self)
        bounds = [0.0] * 6
        state.renderer.ComputeVisiblePropBounds(bounds)
        if bounds[0] <= bounds[1]:
            camera = state.renderer.GetActiveCamera()
            middle = [(bounds[2 * i] + bounds[2 * i + 1]) / 2 for i in range(3)]
            shift = [m - f for m, f in zip(middle, camera.GetFocalPoint(), strict=True)]
            camera.SetPosition(*(p + s for p, s in zip(camera.GetPosition(), shift, strict=True)))
            camera.SetFocalPoint(*middle)
            state.renderer.ResetCameraClippingRange()
        self.scheduleRender()

    def resetCamera(self) -> None:
        """Show everything that is visible."""
        private(self).renderer.ResetCamera()
        self.scheduleRender()

    def rotateToViewAxis(self, axis: Any) -> None:
        """Look from an axis: 0 to 5 for R, L, S, I, A, P -- as vtkMRMLCameraNode counts directions."""
        camera = self.cameraNode()
        camera.RotateTo(int(axis))
        self.scheduleRender()


@cxx_class("Libs/MRML/Widgets/qMRMLThreeDWidget.h")
class qMRMLThreeDWidget(QFrame):
    """A 3D view under its bar. Left out: the bar's controls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        label, view = label_bar("1", "#8a8fc0"), qMRMLThreeDView()
        stack(self, label, view)
        private(self, label=label, view=view, logic=None)

    def _connect_to(self, view_logic: Any, application_logic: Any) -> None:
        private(self).logic = view_logic
        private(self).label.text = view_logic.GetViewNode().GetLayoutLabel() or "1"
        private(self).view._connect_to(view_logic, application_logic)

    def threeDView(self) -> qMRMLThreeDView:
        return private(self).view

    def viewLogic(self) -> Any:
        return private(self).logic

    def mrmlViewNode(self) -> Any:
        return private(self).view.mrmlViewNode()
