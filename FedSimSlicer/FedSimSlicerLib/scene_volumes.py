"""Volume nodes of the scene as arrays on grids in RAS mm, and back.

MRML says where a volume lies in two steps: IJK to RAS of the node itself, and the transforms that it hangs under. What
is read here is where the voxels are seen, transforms included; what is written is the node's own part, so that a
transform which somebody hangs an output under goes on moving it.

VTK keeps a volume's first axis fastest, so an array of Fortran order (i, j, k) is copied at the speed of memory and
any other about ten times slower. The worker's arrays are in C order: 10 ms for the HU of 128 voxels cubed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from FedSimCore.errors import InputError
from FedSimCore.volumes import Grid
from FedSimSlicerLib.scene_colors import region_colors

Matrix = NDArray[np.float64]


def grid_of(node: Any) -> Grid:
    """Return where the voxels of a volume node are in the world (RAS mm), its linear parent transforms included.

    The node stays as it is.

    Raises:
        InputError: no node, not one scalar 3D volume, no voxels, a transform that is not linear, or axes that cannot be
            inverted.
    """
    image = _scalar_image(node)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return grid_of_image(image, world_from_local(node) @ matrix_of(matrix), node)


def array_of(node: Any) -> NDArray[Any]:
    """Return the voxels of a volume node indexed (i, j, k): a view of the node's memory, in Fortran order.

    Copy it before it goes to another thread or outlives this call's event: the scene may change or free it.

    Raises:
        InputError: as :func:`grid_of`.
    """
    return array_of_image(_scalar_image(node))


def put_volume(
    hounsfield: NDArray[Any],
    grid: Grid,
    name: str,
    node: Any = None,
    window: tuple[float, float] | None = None,
) -> Any:
    """Show an image as a scalar volume node.

    Args:
        hounsfield: (i, j, k) on ``grid``, float32 or int16.
        grid: its place, RAS mm.
        name: of a new node; a given node keeps its name.
        node: update this one in place; its voxels are overwritten without new memory where shape and type are the same.
        window: width and level in HU of a new node; a given node keeps what its user has chosen.

    Returns:
        The vtkMRMLScalarVolumeNode.

    Raises:
        InputError: the array's shape is not the grid's.
    """
    return _put_voxels(node if node is not None else _new_volume(name, window), hounsfield, grid)


def put_label_map(labels: NDArray[np.uint8], grid: Grid, name: str, node: Any = None) -> Any:
    """Show a label map in the regions' colours.

    Args:
        labels: uint8 (i, j, k) on ``grid``, FedSim's labels.
        grid: its place, RAS mm.
        name: of a new node.
        node: update this one in place, as :func:`put_volume`.

    Returns:
        The vtkMRMLLabelMapVolumeNode.

    Raises:
        InputError: the array's shape is not the grid's.
    """
    return _put_voxels(node if node is not None else _new_label_map(name), labels, grid)


def put_image(image: Any, grid: Grid, name: str, node: Any = None, window: tuple[float, float] | None = None) -> Any:
    """Show a vtkImageData as a scalar volume node: as :func:`put_volume`, but without copying voxels.

    A thread can make the image with :func:`new_image`; handing it over takes no time, whatever its size.

    Raises:
        InputError: the image's shape is not the grid's.
    """
    return _put_image(node if node is not None else _new_volume(name, window), image, grid)


def put_label_image(image: Any, grid: Grid, name: str, node: Any = None) -> Any:
    """Show a vtkImageData of labels: as :func:`put_label_map`, but without copying voxels.

    Raises:
        InputError: the image's shape is not the grid's.
    """
    return _put_image(node if node is not None else _new_label_map(name), image, grid)


def world_from_local(node: Any) -> Matrix:
    """Return what the parent transforms of a node do to its coordinates, 4 x 4, RAS mm.

    Raises:
        InputError: they are not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        raise InputError(
            _("{node} hangs under the non-linear transform {transform}; harden it in the Data module first.").format(
                node=node.GetName(), transform=transform.GetName()
            )
        )
    return matrix_of(matrix)


def matrix_of(matrix: Any) -> Matrix:
    """Return a vtkMatrix4x4 as an array (4, 4)."""
    return np.array(matrix.GetData(), dtype=np.float64).reshape(4, 4)


def vtk_matrix(matrix: Matrix) -> Any:
    """Return an array (4, 4) as a vtkMatrix4x4."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy([float(value) for value in np.asarray(matrix).ravel()])
    return result


def grid_of_image(image: Any, world_from_ijk: Matrix, node: Any) -> Grid:
    """Return the grid of a vtkImageData's array, whose extent need not begin at 0.

    Args:
        image: with three axes.
        world_from_ijk: from the image's structured indices to RAS mm.
        node: whose image it is, for the message.

    Raises:
        InputError: the matrix cannot be inverted.
    """
    first = np.eye(4)
    first[:3, 3] = image.GetExtent()[::2]
    try:
        return Grid(image.GetDimensions(), world_from_ijk @ first)
    except InputError as error:
        raise InputError(
            _("The axes of {node} cannot be used; load it again or repair it in the Volumes module: {reason}").format(
                node=node.GetName(), reason=error
            )
        ) from error


def array_of_image(image: Any) -> NDArray[Any]:
    """Return the voxels of a vtkImageData indexed (i, j, k), a view in Fortran order."""
    flat: NDArray[Any] = vtk_to_numpy(image.GetPointData().GetScalars())
    return flat.reshape(image.GetDimensions(), order="F")


def new_image(array: NDArray[Any], kind: type = vtk.vtkImageData) -> Any:
    """Return a vtkImageData (or a class of it) with its own copy of an array (i, j, k)."""
    image = kind()
    image.SetDimensions(*array.shape)
    image.AllocateScalars(get_vtk_array_type(array.dtype), 1)
    np.copyto(array_of_image(image), array)
    return image


def _new_volume(name: str, window: tuple[float, float] | None) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    if window is not None:  # before the voxels come, whose histogram would be made for a window of Slicer's own
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(*window)
    return node


def _new_label_map(name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(region_colors().GetID())
    return node


def _put_image(node: Any, image: Any, grid: Grid) -> Any:
    if image.GetDimensions() != grid.shape:
        raise InputError(f"The image is {image.GetDimensions()} but its grid is {grid.shape}.")
    was_modifying = node.StartModify()
    node.SetIJKToRASMatrix(vtk_matrix(grid.affine))
    node.SetAndObserveImageData(image)
    node.EndModify(was_modifying)
    return node


def _put_voxels(node: Any, array: NDArray[Any], grid: Grid) -> Any:
    if array.shape != grid.shape:
        raise InputError(f"The voxel array is {array.shape} but its grid is {grid.shape}.")
    was_modifying = node.StartModify()
    node.SetIJKToRASMatrix(vtk_matrix(grid.affine))
    image = node.GetImageData()
    if _has_room(image, array):
        np.copyto(array_of_image(image), array)
        image.GetPointData().GetScalars().Modified()
        image.Modified()
        node.Modified()  # the slice views render again for the node's sake, not for its image's
    else:
        node.SetAndObserveImageData(new_image(array))
    node.EndModify(was_modifying)
    return node


def _has_room(image: Any, array: NDArray[Any]) -> bool:
    return (
        image is not None
        and image.GetExtent() == tuple(v for size in array.shape for v in (0, size - 1))
        and image.GetNumberOfScalarComponents() == 1
        and image.GetPointData().GetScalars() is not None
        and image.GetScalarType() == get_vtk_array_type(array.dtype)
    )


def _scalar_image(node: Any) -> Any:
    if node is None:
        raise InputError(_("No volume is chosen; load one and choose it."))
    name = node.GetName()
    if node.IsA("vtkMRMLSequenceNode"):
        raise InputError(
            _("{node} is a sequence of volumes (4D); choose one of its time points in the Sequences module.").format(
                node=name
            )
        )
    if not node.IsA("vtkMRMLVolumeNode"):
        raise InputError(_("{node} is not a volume; choose a CT volume or a label map.").format(node=name))
    image = node.GetImageData()
    if image is None or image.GetPointData() is None or min(image.GetDimensions()) < 1:
        raise InputError(_("{node} has no voxels; load it again or choose another volume.").format(node=name))
    if node.IsA("vtkMRMLTensorVolumeNode") or image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            _(
                "{node} has several values a voxel (colour, vectors, tensors or time points); choose a volume with one."
            ).format(node=name)
        )
    if image.GetPointData().GetScalars() is None:
        raise InputError(_("{node} has no voxels; load it again or choose another volume.").format(node=name))
    return image
