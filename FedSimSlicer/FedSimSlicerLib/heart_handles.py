"""Handles in the views that move, turn and scale the heart: those of Slicer's linear transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from scipy.spatial.transform import Rotation
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from FedSimCore.shape.parameters import HeartParameters, Pose
from FedSimSlicerLib.scene_volumes import Matrix, matrix_of, vtk_matrix

if TYPE_CHECKING:
    from FedSimSlicerLib.heart_editor import HeartEditor
    from FedSimSlicerLib.heart_surface import HeartSurface

SMALLEST, LARGEST = 0.3, 3.0
"""Limits of the heart's scale by hand."""


class HeartHandles(VTKObservationMixin):
    """Shows the handles and keeps them and the heart's pose the same.

    The transform node is there for its handles only; nothing hangs under it, and it is not saved.

    Args:
        editor: whose heart is moved.
        surface: the shape model; the handles are at the middle of its mean heart.
    """

    def __init__(self, editor: HeartEditor, surface: HeartSurface) -> None:
        VTKObservationMixin.__init__(self)
        self._editor = editor
        vertices = surface.vertices(surface.mean_heart())
        self._middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        self._node: Any = None
        self._writing = False
        editor.changed.connect(self._on_heart)

    @property
    def shown(self) -> bool:
        """Whether there are handles."""
        return self._node is not None and self._node.GetScene() is not None

    @property
    def node(self) -> Any:
        """The vtkMRMLLinearTransformNode with the handles; None while there are none."""
        return self._node if self.shown else None

    def show(self) -> None:
        """Put handles at the heart."""
        if self.shown:
            return
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLLinearTransformNode")
        node.UnRegister(None)  # CreateNodeByClass leaves the reference to its caller
        node.SetName(_("Heart handles"))
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        self._node = slicer.mrmlScene.AddNode(node)
        self._node.SetCenterOfTransformation(*self._middle)
        self._write(matrix_of_pose(self._editor.heart.pose))
        self._node.CreateDefaultDisplayNodes()
        display = self._node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetEditorTranslationEnabled(True)
        display.SetEditorRotationEnabled(True)
        display.SetEditorScalingEnabled(True)
        display.SetEditorSliceIntersectionVisibility(True)
        display.SetEditorVisibility(True)
        self.addObserver(self._node, self._node.TransformModifiedEvent, self._on_dragged)

    def hide(self) -> None:
        """Take the handles away; the heart stays where it is."""
        self.removeObservers()
        if self.shown:
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None

    def _on_dragged(self, _node: Any, _event: Any) -> None:
        if self._writing:
            return
        matrix = self._node_matrix()
        pose = pose_of_matrix(matrix)
        self._editor.set_pose(pose)
        # One handle stretches one axis; the heart has one scale.
        self._write(matrix_of_pose(pose))

    def _on_heart(self, heart: HeartParameters) -> None:
        if self.shown and not self._writing:
            self._write(matrix_of_pose(heart.pose))

    def _node_matrix(self) -> Matrix:
        matrix = vtk_matrix(np.eye(4))
        self._node.GetMatrixTransformToParent(matrix)
        return matrix_of(matrix)

    def _write(self, matrix: Matrix) -> None:
        if np.allclose(matrix, self._node_matrix(), atol=1e-9):
            return
        self._writing = True
        self._node.SetMatrixTransformToParent(vtk_matrix(matrix))
        self._writing = False


def matrix_of_pose(pose: Pose) -> Matrix:
    """Return the pose as a matrix (4, 4), RAS mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = pose.scale * Rotation.from_rotvec(pose.rotation_rad).as_matrix()
    matrix[:3, 3] = pose.translation_mm
    return matrix


def pose_of_matrix(matrix: Matrix) -> Pose:
    """Return the pose nearest to an affine matrix (4, 4), RAS mm.

    The rotation is the orthogonal factor of the polar decomposition, the scale the cube root of the determinant, kept
    within :data:`SMALLEST` and :data:`LARGEST`.
    """
    left, _stretch, right = np.linalg.svd(matrix[:3, :3])
    rotation = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    scale = float(np.clip(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))), SMALLEST, LARGEST))
    return Pose(
        rotation_rad=tuple(Rotation.from_matrix(rotation).as_rotvec().tolist()),
        translation_mm=tuple(matrix[:3, 3].tolist()),
        scale=scale,
    )
