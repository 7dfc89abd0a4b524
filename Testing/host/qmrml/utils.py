"""Functions of Slicer's widget library."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtGui import QImage


class qMRMLUtils:
    """Conversions between Qt's and VTK's pictures."""

    def qImageToVtkImageData(self, image: QImage, target: Any) -> bool:
        """Copy a QImage into a vtkImageData, rows going up."""
        from vtk.util.numpy_support import numpy_to_vtk

        converted = image.convertToFormat(QImage.Format_RGBA8888)
        width, height = converted.width(), converted.height()
        pixels = np.array([converted.pixel(x, y) for y in range(height) for x in range(width)], np.uint32)
        channels = np.stack([(pixels >> shift) & 255 for shift in (16, 8, 0, 24)], axis=-1).astype(np.uint8)
        flipped = np.ascontiguousarray(channels.reshape(height, width, 4)[::-1]).reshape(-1, 4)
        target.SetDimensions(width, height, 1)
        target.GetPointData().SetScalars(numpy_to_vtk(flipped, deep=True))
        return True


class qMRMLScreenShotDialog:
    """The kinds of screenshot that ScriptedLoadableModuleTest.takeScreenshot knows."""

    ThreeD, Red, Yellow, Green, FullLayout = range(5)
