"""Functions of Slicer's widget library."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QImage


class qMRMLUtils:
    """Conversions between Qt's and VTK's pictures."""

    def qImageToVtkImageData(self, image: QImage, target: Any) -> bool:
        """Copy a QImage into a vtkImageData, rows going up."""
        import vtk

        buffer = QBuffer()
        buffer.open(QIODevice.WriteOnly)
        image.convertToFormat(QImage.Format_RGBA8888).save(buffer, "PNG")
        encoded = buffer.data().data()
        reader = vtk.vtkPNGReader()
        reader.SetMemoryBuffer(encoded)
        reader.SetMemoryBufferLength(len(encoded))
        reader.Update()
        target.DeepCopy(reader.GetOutput())
        return target.GetNumberOfPoints() > 0


class qMRMLScreenShotDialog:
    """The kinds of screenshot that ScriptedLoadableModuleTest.takeScreenshot knows."""

    ThreeD, Red, Yellow, Green, FullLayout = range(5)
