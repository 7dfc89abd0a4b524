"""Hearts as mesh files that 3D Slicer, ParaView and MeshLab open in the right place.

Inside FedSim meshes are in RAS millimetres. Files are written in LPS, like Slicer's own, and say so the way
Slicer does (``vtkMRMLModelStorageNode``): a field array ``SPACE`` in VTP, ``SPACE=LPS`` in the header or a
comment of STL, OBJ and legacy VTK. A file that does not say is taken for LPS, as Slicer does. RAS and LPS differ by a
half turn about the S axis, which leaves the orientation of faces alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from FedSimCore import anatomy
from FedSimCore.errors import InputError
from FedSimCore.files import atomic_path
from FedSimCore.shape.mesh import HeartMesh, Topology

Space = Literal["RAS", "LPS"]
READABLE = (".vtp", ".vtk", ".stl", ".obj", ".ply")
WRITABLE = (".vtp", ".stl", ".obj")
REGION_ARRAY = "region"
# Cell arrays that tell regions: ours, and that of CARP and openCARP.
_KNOWN_TAGS = (REGION_ARRAY, "elemTag")
_HEADER = "FedSim heart, mm. SPACE=LPS"
_HALF_TURN = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class TaggedSurface:
    """Triangles as a file holds them.

    Attributes:
        vertices: (V, 3) RAS mm.
        faces: (F, 3) vertex indices.
        tags: (F,) the file's own region numbers, or None.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    tags: NDArray[np.int64] | None


def write_mesh(path: Path | str, mesh: HeartMesh, label: int | None = None) -> None:
    """Write a heart, or one region of it.

    VTP carries the regions (cell array ``region``, their colours as ``color``) and can be read back with
    :func:`read_mesh`; OBJ has a group for each region; STL has triangles alone.

    Args:
        path: ``.vtp``, ``.stl`` or ``.obj``.
        mesh: the heart, RAS mm.
        label: write only this region's surface.

    Raises:
        InputError: the suffix is another one, or the mesh has no such region.
        DiskError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise InputError(f"{path} is no mesh file that can be written; choose one of {', '.join(WRITABLE)}.")
    vertices, faces, region = mesh.vertices, mesh.topology.faces, mesh.topology.face_region
    if label is not None:
        if label not in mesh.topology.labels:
            raise InputError(f"The mesh has no region with label {label}, only {mesh.topology.labels}.")
        vertices, faces = mesh.surface(label)
        region = np.full(len(faces), label, dtype=np.uint8)
    content = _CONTENT[path.suffix.lower()](vertices * _HALF_TURN, faces, region)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_surface(path: Path | str, tag_array: str | None = None, untagged_space: Space = "LPS") -> TaggedSurface:
    """Read the triangles of a mesh file.

    Args:
        path: ``.vtp``, ``.vtk``, ``.stl``, ``.obj`` or ``.ply``.
        tag_array: name of the cell array with region numbers, e.g. ``GroupIds`` for an OBJ's groups; ``region`` or
            ``elemTag`` if None.
        untagged_space: the coordinates of a file that does not tell.

    Raises:
        InputError: the file is missing, damaged or empty, or has no such array.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path.")
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise InputError(f"{path} is no mesh file that can be read; known are {', '.join(READABLE)}.")
    vertices, faces, arrays, space = _read_ply(path) if suffix == ".ply" else _read_vtk(path, suffix)
    if not len(faces):
        raise InputError(f"{path} holds no triangles; check that it is a surface mesh.")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path} has vertices that are not finite numbers; export the mesh again.")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path} has faces that name vertices it does not have; export the mesh again.")
    if tag_array is not None and tag_array not in arrays:
        raise InputError(f"{path} has no cell array {tag_array!r}; it has {sorted(arrays) or 'none'}.")
    name = tag_array or next((known for known in _KNOWN_TAGS if known in arrays), None)
    turn = _HALF_TURN if (space or untagged_space) == "LPS" else np.ones(3)
    return TaggedSurface(vertices * turn, faces, None if name is None else _tags(path, name, arrays[name]))


def read_mesh(
    path: Path | str,
    labels: Mapping[int, int] | None = None,
    tag_array: str | None = None,
    untagged_space: Space = "LPS",
) -> HeartMesh:
    """Read a heart with its regions.

    Vertices that several regions share are doubled; those that no face uses are dropped. The order of a file
    written by :func:`write_mesh` is kept.

    Args:
        path: a file with region numbers.
        labels: from the file's region numbers to FedSim's labels, 0 for surfaces that are to be left out;
            the numbers are FedSim's labels if None.
        tag_array: see :func:`read_surface`.
        untagged_space: see :func:`read_surface`.

    Raises:
        InputError: the file cannot be read, tells no regions, or has one that is unknown.
    """
    surface = read_surface(path, tag_array, untagged_space)
    if surface.tags is None:
        raise InputError(
            f"{path} does not tell which region its faces belong to; use a VTP or VTK file with a cell array "
            f"{REGION_ARRAY!r}."
        )
    known = dict(labels) if labels is not None else {label: label for label in anatomy.labels()}
    counts = {int(tag): int(n) for tag, n in zip(*np.unique(surface.tags, return_counts=True), strict=True)}
    unknown = {tag: n for tag, n in counts.items() if tag not in known}
    if unknown:
        raise InputError(
            f"{path} has regions that are not known (faces by region number: {unknown}); tell their labels."
        )
    face_region = np.array([known[tag] for tag in counts], dtype=np.uint8)[np.searchsorted([*counts], surface.tags)]
    kept = face_region > 0
    if not kept.any():
        raise InputError(f"{path} has no face of a region of the heart.")
    faces, face_region = surface.faces[kept], face_region[kept]
    owner = np.column_stack((faces.ravel(), np.repeat(face_region, 3)))
    pairs, compact = np.unique(owner, axis=0, return_inverse=True)
    return HeartMesh(surface.vertices[pairs[:, 0]], Topology(compact.reshape(-1, 3), face_region))


def _obj(vertices: NDArray[np.float64], faces: NDArray[np.int64], region: NDArray[np.uint8]) -> bytes:
    keys = {r.label: r.key for r in anatomy.regions()}
    text = StringIO()
    text.write(f"# {_HEADER}\n")
    np.savetxt(text, vertices, fmt="v %.9g %.9g %.9g")
    for label in np.unique(region):
        text.write(f"g {keys.get(int(label), f'region_{label}')}\n")
        np.savetxt(text, faces[region == label] + 1, fmt="f %d %d %d")
    return text.getvalue().encode()


def _stl(vertices: NDArray[np.float64], faces: NDArray[np.int64], region: NDArray[np.uint8]) -> bytes:  # noqa: ARG001
    """Binary STL; a face's normal is left 0, which tells readers to compute it from the corners."""
    facets = np.zeros(len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets["corners"] = vertices[faces]
    return _HEADER.encode().ljust(80) + np.uint32(len(faces)).astype("<u4").tobytes() + facets.tobytes()


def _vtp(vertices: NDArray[np.float64], faces: NDArray[np.int64], region: NDArray[np.uint8]) -> bytes:
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(_polydata(vertices, faces, region))
    writer.WriteToOutputStringOn()
    writer.Write()
    return str(writer.GetOutputString()).encode()


_CONTENT = {".vtp": _vtp, ".stl": _stl, ".obj": _obj}


def _polydata(vertices: NDArray[np.float64], faces: NDArray[np.int64], region: NDArray[np.uint8]) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points, cells, polydata = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices), deep=True))
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces).ravel(), deep=True))
    polydata.SetPoints(points)
    polydata.SetPolys(cells)
    colors = np.full((256, 3), 128, dtype=np.uint8)
    for known in anatomy.regions():
        colors[known.label] = known.color
    for name, values in ((REGION_ARRAY, region), ("color", colors[region])):
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        polydata.GetCellData().AddArray(array)
    polydata.GetCellData().SetActiveScalars(REGION_ARRAY)
    names = [f"{r.label} {r.name}" for r in anatomy.regions() if r.label in region]
    for name, texts in (("SPACE", ["LPS"]), ("UNITS", ["mm"]), ("regions", names)):
        strings = vtkStringArray()
        strings.SetName(name)
        for text in texts:
            strings.InsertNextValue(text)
        polydata.GetFieldData().AddArray(strings)
    return polydata


_Read = tuple[NDArray[np.float64], NDArray[np.int64], dict[str, NDArray[Any]], "Space | None"]


def _read_vtk(path: Path, suffix: str) -> _Read:
    """Read with VTK: vertices as in the file, triangles, cell arrays by name, and the space if told."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    readers = {".vtp": vtkXMLPolyDataReader, ".vtk": vtkPolyDataReader, ".stl": vtkSTLReader, ".obj": vtkOBJReader}
    reader: Any = readers[suffix]()
    reader.SetFileName(str(path))
    if suffix == ".vtk":
        reader.ReadAllScalarsOn()
        reader.ReadAllFieldsOn()
    triangles = vtkTriangleFilter()
    triangles.SetInputConnection(reader.GetOutputPort())
    triangles.PassVertsOff()
    triangles.PassLinesOff()
    with _vtk_messages() as messages:
        triangles.Update()
    if messages():
        raise InputError(f"{path} is damaged or no mesh ({messages()}); export it again.")
    surface = triangles.GetOutput()
    points, data = surface.GetPoints(), surface.GetCellData()
    vertices = vtk_to_numpy(points.GetData()).astype(np.float64) if points else np.empty((0, 3))
    faces = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    names = [data.GetArrayName(i) for i in range(data.GetNumberOfArrays()) if data.GetArray(i) is not None]
    arrays = {name: vtk_to_numpy(data.GetArray(name)) for name in names if name}
    return vertices, faces, arrays, _space_of(reader, surface)


def _space_of(reader: Any, surface: Any) -> Space | None:
    field = surface.GetFieldData().GetAbstractArray("SPACE")
    if field is not None and field.GetNumberOfValues():
        return _space_in("SPACE=" + _text(field.GetValue(0)))
    texts = (getattr(reader, name)() for name in ("GetHeader", "GetComment") if hasattr(reader, name))
    return next((space for text in texts if text and (space := _space_in(_text(text)))), None)


def _text(value: object) -> str:
    """VTK gives bytes where a string is not UTF-8, and a number where a file has one for a string."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _space_in(text: str) -> Space | None:
    return "RAS" if "SPACE=RAS" in text else "LPS" if "SPACE=LPS" in text else None


def _read_ply(path: Path) -> _Read:
    """Read with trimesh; VTK's PLY reader fills in what a truncated file lacks without a word."""
    import trimesh

    try:
        with path.open("rb") as file:
            header = file.read(1 << 16).split(b"end_header")[0].decode("ascii", "replace")
            file.seek(0)
            mesh = trimesh.load_mesh(file, file_type="ply", process=False)
            return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces), {}, _space_in(header)
    except Exception as error:  # trimesh raises whatever its parsing runs into
        raise InputError(f"{path} is damaged or no PLY mesh ({error}); export it again.") from error


def _tags(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    if values.ndim != 1 or not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise InputError(f"{path} has a cell array {name!r} that does not hold whole numbers.")
    return values.astype(np.int64)


@contextmanager
def _vtk_messages() -> Iterator[Any]:
    """Collect what VTK would print; gives a function that returns the first error's text, or ``""``."""
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow

    window, before = vtkStringOutputWindow(), vtkOutputWindow.GetInstance()
    verbosity = vtkLogger.GetCurrentVerbosityCutoff()

    def first_error() -> str:
        lines = _text(window.GetOutput()).splitlines()
        errors = (after for line, after in pairwise(lines) if line.startswith("ERROR:"))
        return next((text.split("): ", 1)[-1].strip(" .") for text in errors), "")

    vtkOutputWindow.SetInstance(window)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield first_error
    finally:
        vtkOutputWindow.SetInstance(before)
        vtkLogger.SetStderrVerbosity(verbosity)
