"""A VTK render window in a Qt widget, drawn off screen.

Slicer's views are native OpenGL widgets. Here VTK renders into memory (EGL or OSMesa) and the widget paints the
picture, so it works without a screen and `QWidget.grab()` shows what a person would see.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import vtk
from PySide6.QtCore import Property, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget
from vtk.util.numpy_support import vtk_to_numpy

from Testing.host.pythonqt import private
from Testing.host.pythonqt.signals import record_slot_error

BUTTONS = {Qt.LeftButton: "LeftButton", Qt.RightButton: "RightButton", Qt.MiddleButton: "MiddleButton"}
KEYS = {Qt.Key_Left: "Left", Qt.Key_Right: "Right", Qt.Key_Up: "Up", Qt.Key_Down: "Down", Qt.Key_Escape: "Escape"}


class PaintedView(QWidget):
    """A render window in memory, painted; mouse and keys go to VTK."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        window = vtk.vtkRenderWindow()
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(0)
        window.SetSize(300, 300)
        renderer = vtk.vtkRenderer()
        window.AddRenderer(renderer)
        interactor = vtk.vtkGenericRenderWindowInteractor()
        interactor.SetRenderWindow(window)
        interactor.Initialize()
        private(
            self, window=window, renderer=renderer, interactor=interactor, image=None, pixels=None, enabled=True,
            pauses=0, frames=0, seconds=0.0, timer=QTimer(self),
        )  # fmt: skip
        timer = private(self).timer
        timer.setSingleShot(True)
        timer.interval = 0
        timer.timeout.connect(self._render_now)
        self.mouseTracking = True
        self.setFocusPolicy(Qt.StrongFocus)
        self.setMinimumSize(60, 60)

    def _schedule_render(self) -> None:
        """Render once control is back in the event loop, however often it is asked for."""
        state = private(self)
        if state.enabled and not state.pauses and not state.timer.isActive():
            state.timer.start()

    def _render_now(self) -> None:
        """Render now."""
        state = private(self)
        state.timer.stop()
        if not state.enabled or state.pauses or not self.isVisible():
            return
        begin = time.perf_counter()
        state.window.Render()
        self._take_picture()
        state.frames += 1
        state.seconds = time.perf_counter() - begin
        self.update()

    def _take_picture(self) -> None:
        state = private(self)
        width, height = state.window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        state.window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 1, pixels)
        # VTK's rows go up; the array is kept as long as the image that looks into it.
        state.pixels = np.ascontiguousarray(vtk_to_numpy(pixels).reshape(height, width, 4)[::-1])
        state.image = QImage(state.pixels.data, width, height, 4 * width, QImage.Format_RGBX8888)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        state, ratio = private(self), self.devicePixelRatioF()
        width, height = max(1, int(self.width * ratio)), max(1, int(self.height * ratio))
        state.window.SetSize(width, height)
        state.interactor.UpdateSize(width, height)
        state.interactor.ConfigureEvent()
        self._schedule_render()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._schedule_render()

    def paintEvent(self, _event: Any) -> None:
        state = private(self)
        if state.image is None:
            self._render_now()
        if state.image is not None:
            QPainter(self).drawImage(self.rect, state.image)

    def _pass_on(self, event: Any, name: str) -> None:
        """Give a mouse event to VTK."""
        ratio, modifiers = self.devicePixelRatioF(), event.modifiers()
        x, y = int(event.position().x() * ratio), int(event.position().y() * ratio)
        control, shift = bool(modifiers & Qt.ControlModifier), bool(modifiers & Qt.ShiftModifier)
        private(self).interactor.SetEventInformationFlipY(x, y, control, shift, "\0", 0, None)
        try:
            private(self).interactor.InvokeEvent(name)
        except Exception as error:
            record_slot_error(f"{name} in a view", error)
        self._schedule_render()

    def mousePressEvent(self, event: Any) -> None:
        if event.button() in BUTTONS:
            self._pass_on(event, f"{BUTTONS[event.button()]}PressEvent")

    def mouseReleaseEvent(self, event: Any) -> None:
        if event.button() in BUTTONS:
            self._pass_on(event, f"{BUTTONS[event.button()]}ReleaseEvent")

    def mouseMoveEvent(self, event: Any) -> None:
        self._pass_on(event, "MouseMoveEvent")

    def wheelEvent(self, event: Any) -> None:
        self._pass_on(event, "MouseWheelForwardEvent" if event.angleDelta().y() > 0 else "MouseWheelBackwardEvent")

    def keyPressEvent(self, event: Any) -> None:
        symbol = KEYS.get(event.key(), event.text())
        if not symbol:
            return
        private(self).interactor.SetKeyEventInformation(0, 0, symbol[0] if len(symbol) == 1 else "\0", 0, symbol)
        private(self).interactor.InvokeEvent("KeyPressEvent")
        private(self).interactor.InvokeEvent("CharEvent")
        self._schedule_render()


class RenderView(PaintedView):
    """What ctkVTKAbstractView offers. Left out: corner annotation, frames per second, cursors."""

    def renderWindow(self) -> Any:
        return private(self).window

    def interactor(self) -> Any:
        return private(self).interactor

    def interactorStyle(self) -> Any:
        return private(self).interactor.GetInteractorStyle()

    def scheduleRender(self) -> None:
        self._schedule_render()

    def forceRender(self) -> None:
        self._render_now()

    def pauseRender(self) -> None:
        private(self).pauses += 1

    def resumeRender(self) -> None:
        state = private(self)
        state.pauses = max(0, state.pauses - 1)
        if not state.pauses:
            self._schedule_render()

    def setBackgroundColor(self, color: QColor) -> None:
        private(self).renderer.SetBackground(color.redF(), color.greenF(), color.blueF())
        self._schedule_render()

    def _set_render_enabled(self, enabled: bool) -> None:
        private(self).enabled = enabled
        self._schedule_render()

    def _background(self) -> QColor:
        return QColor.fromRgbF(*private(self).renderer.GetBackground())

    renderEnabled = Property(bool, lambda self: private(self).enabled, _set_render_enabled)
    backgroundColor = Property(QColor, _background, setBackgroundColor)


def stack(frame: QWidget, bar: QWidget, view: QWidget) -> None:
    """Put a view under its bar, without gaps."""
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(bar)
    layout.addWidget(view, 1)


def label_bar(text: str, color: str) -> QLabel:
    """The bar of a view, with its label and nothing else."""
    label = QLabel(text)
    label.setStyleSheet(f"background:{color}; color:black; padding:1px 6px")
    return label


def displayable_managers(view: PaintedView, factory_class: Any, names: tuple[str, ...], application_logic: Any) -> Any:
    """A group of displayable managers that draws into a view."""
    import slicer

    factory = factory_class.GetInstance()
    factory.SetMRMLApplicationLogic(application_logic)
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(private(view).renderer)
    group.Initialize(factory, private(view).renderer)
    group.AddObserver("UpdateEvent", lambda *_: view._schedule_render())
    return group
