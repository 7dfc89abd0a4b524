"""The slice views."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtCore import Property, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QWidget

from Testing.host.ctk.slider_widgets import ctkSliderWidget
from Testing.host.pythonqt import cxx_class, private
from Testing.host.views.render_view import RenderView, displayable_managers, stack

MANAGERS = tuple(
    f"vtkMRML{name}"
    for name in (
        "VolumeGlyphSliceDisplayableManager ModelSliceDisplayableManager CrosshairDisplayableManager "
        "OrientationMarkerDisplayableManager RulerDisplayableManager ScalarBarDisplayableManager "
        "SegmentationsDisplayableManager2D MarkupsDisplayableManager TransformsDisplayableManager2D "
        "LinearTransformsDisplayableManager ColorLegendDisplayableManager"
    ).split()
)


@cxx_class("Libs/MRML/Widgets/qMRMLSliceView.h")
class qMRMLSliceView(RenderView):
    """A slice of the scene, by Slicer's own logic and displayable managers. Left out: light boxes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        state = private(self)
        overlay = vtk.vtkRenderer()
        for renderer in (state.renderer, overlay):
            renderer.GetActiveCamera().ParallelProjectionOn()
        overlay.SetLayer(1)
        state.window.SetNumberOfLayers(2)
        state.window.SetAlphaBitPlanes(1)
        state.window.AddRenderer(overlay)
        mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        private(self, overlay=overlay, mapper=mapper, actor=actor, connection=None, group=None, logic=None)

    def _connect_to(self, slice_logic: Any, application_logic: Any) -> None:
        """Show what a vtkMRMLSliceLogic computes."""
        import slicer

        state = private(self)
        state.logic = slice_logic
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory
        state.group = displayable_managers(self, factory, MANAGERS, application_logic)
        state.style = slicer.vtkMRMLSliceViewInteractorStyle()
        state.style.SetSliceLogic(slice_logic)
        state.style.SetDisplayableManagers(state.group)
        state.group.SetMRMLDisplayableNode(slice_logic.GetSliceNode())
        state.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        state.style.SetInteractor(state.interactor)
        state.interactor.AddObserver("ConfigureEvent", lambda *_: self._fit_node())
        slice_logic.AddObserver("ModifiedEvent", lambda *_: self._show_image())
        self._show_image()

    def _fit_node(self) -> None:
        private(self).logic.ResizeSliceNode(*private(self).window.GetSize())

    def _show_image(self) -> None:
        state = private(self)
        connection = state.logic.GetImageDataConnection()
        if connection is not state.connection:
            state.connection = connection
            state.mapper.SetInputConnection(connection)
            if connection is not None and not state.renderer.HasViewProp(state.actor):
                state.renderer.AddViewProp(state.actor)
            state.actor.SetVisibility(connection is not None)
        self.scheduleRender()

    def mrmlSliceNode(self) -> Any:
        return private(self).logic.GetSliceNode()

    def sliceViewInteractorStyle(self) -> Any:
        return private(self).style

    def interactorObserver(self) -> Any:
        return private(self).style

    def displayableManagerByClassName(self, name: str) -> Any:
        return private(self).group.GetDisplayableManagerByClassName(name)

    def convertDeviceToXYZ(self, position: Any) -> tuple[float, ...]:
        """View coordinates (x right, y up, in pixels) of a mouse position in the widget."""
        return (float(position[0]), float(self.height - position[1] - 1), 0.0)

    def convertXYZToRAS(self, xyz: Any) -> tuple[float, ...]:
        """World coordinates, RAS mm."""
        return self.mrmlSliceNode().GetXYToRAS().MultiplyPoint([*xyz, 1.0])[:3]

    def convertRASToXYZ(self, ras: Any) -> tuple[float, ...]:
        """View coordinates of a world point, RAS mm."""
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return inverse.MultiplyPoint([*ras, 1.0])[:3]


class _OfSliceLogic(QFrame):
    """What a slice view and its bar say of the slice logic that they share, kept as `logic`."""

    def sliceLogic(self) -> Any:
        return private(self).logic

    def mrmlSliceNode(self) -> Any:
        return private(self).logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return private(self).logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """Show the whole volume, in the linked views too."""
        logic = private(self).logic
        logic.StartSliceNodeInteraction(logic.GetSliceNode().ResetFieldOfViewFlag)
        logic.FitSliceToBackground()
        logic.GetSliceNode().UpdateMatrices()
        logic.EndSliceNodeInteraction()


@cxx_class("Libs/MRML/Widgets/qMRMLSliceControllerWidget.h")
class qMRMLSliceControllerWidget(_OfSliceLogic):
    """The bar over a slice view: its label and the offset. Left out: everything behind the pin."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        label, slider = QLabel(), ctkSliderWidget()
        slider.suffix = " mm"
        slider.tracking = False
        layout.addWidget(label)
        layout.addWidget(slider, 1)
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        private(self, label=label, slider=slider, logic=None, updating=False)
        slider.connect("valueChanged(double)", self.setSliceOffsetValue)
        slider.connect("valueIsChanging(double)", self.trackSliceOffsetValue)

    def setSliceLogic(self, logic: Any) -> None:
        node = logic.GetSliceNode()
        private(self).logic = logic
        color = ",".join(str(int(255 * c)) for c in node.GetLayoutColor())
        private(self).label.setStyleSheet(f"background:rgb({color}); color:black; padding:1px 6px")
        node.AddObserver("ModifiedEvent", lambda *_: self.updateWidgetFromMRMLView())
        logic.GetSliceCompositeNode().AddObserver("ModifiedEvent", lambda *_: self.updateWidgetFromMRMLView())
        self.updateWidgetFromMRMLView()

    def updateWidgetFromMRMLView(self) -> None:
        state = private(self)
        if state.updating:
            return
        node = state.logic.GetSliceNode()
        state.label.text = node.GetLayoutLabel() or node.GetLayoutName()
        bounds, spacing = [0.0] * 6, state.logic.GetLowestVolumeSliceSpacing()[2]
        state.logic.GetLowestVolumeSliceBounds(bounds)
        state.updating = True
        offset = state.logic.GetSliceOffset()
        state.slider.minimum, state.slider.maximum = min(bounds[4], offset), max(bounds[5], offset)
        state.slider.singleStep = spacing or 1.0
        state.slider.value = offset
        state.updating = False

    def setSliceOffsetValue(self, offset: float) -> None:
        """Move the slice, and with it those of linked views."""
        self._move(offset)
        private(self).logic.EndSliceOffsetInteraction()

    def trackSliceOffsetValue(self, offset: float) -> None:
        """Move the slice while the slider is held; linked views follow now if they are hot-linked, else at the end."""
        self._move(offset)

    def _move(self, offset: float) -> None:
        state = private(self)
        if state.updating:
            return
        state.updating = True
        state.logic.StartSliceOffsetInteraction()
        state.logic.SetSliceOffset(offset)
        state.updating = False

    def sliceOffsetSlider(self) -> Any:
        return private(self).slider

    def setSliceVisible(self, visible: bool) -> None:
        private(self).logic.GetSliceNode().SetSliceVisible(visible)

    def setSliceLink(self, linked: bool) -> None:
        """Link all slice views of the scene, or none."""
        for node in _nodes("vtkMRMLSliceCompositeNode"):
            node.SetLinkedControl(linked)

    def setHotLinked(self, linked: bool) -> None:
        """Let linked views follow while the slider is held, and not only when it is let go."""
        for node in _nodes("vtkMRMLSliceCompositeNode"):
            node.SetHotLinkedControl(linked)


def _nodes(class_name: str) -> list[Any]:
    import slicer

    return slicer.util.getNodesByClass(class_name)


@cxx_class("Libs/MRML/Widgets/qMRMLSliceWidget.h")
class qMRMLSliceWidget(_OfSliceLogic):
    """A slice view under its bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        controller, view = qMRMLSliceControllerWidget(), qMRMLSliceView()
        stack(self, controller, view)
        private(self, controller=controller, view=view, logic=None)
        self.setFocusPolicy(Qt.NoFocus)

    def _connect_to(self, slice_logic: Any, application_logic: Any) -> None:
        private(self).logic = slice_logic
        private(self).view._connect_to(slice_logic, application_logic)
        private(self).controller.setSliceLogic(slice_logic)

    def sliceView(self) -> qMRMLSliceView:
        return private(self).view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return private(self).controller

    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = Property(
        str, lambda self: self.mrmlSliceNode().GetOrientation(), lambda self, o: self.setSliceOrientation(o)
    )
    sliceViewName = Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())
    sliceViewLabel = Property(str, lambda self: self.mrmlSliceNode().GetLayoutLabel())
