"""Loading and saving, by the logics and storage nodes of slicer-core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from Testing.host.pythonqt import cxx_class

SCENES, VOLUMES = (".mrb", ".mrml"), (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".dcm")
# File type by the end of the name; the longest end that fits wins.
FILE_TYPES: dict[str, str] = {
    **dict.fromkeys(SCENES, "SceneFile"),
    **dict.fromkeys(VOLUMES, "VolumeFile"),
    ".seg.nrrd": "SegmentationFile",
    **dict.fromkeys((".vtk", ".vtp", ".stl", ".obj", ".ply"), "ModelFile"),
    **dict.fromkeys((".h5", ".tfm"), "TransformFile"),
    **dict.fromkeys((".mrk.json", ".fcsv"), "MarkupsFile"),
    **dict.fromkeys((".tsv", ".csv"), "TableFile"),
}


def file_ending(name: str) -> str:
    """The known ending of a file name, with its dots; nothing if none is known."""
    return max((e for e in FILE_TYPES if name.lower().endswith(e)), key=len, default="")


@cxx_class("Base/QTGUI/qSlicerIOManager.h")
class qSlicerIOManager(QObject):
    """Readers and writers by file type.

    Left out: dialogs, options of readers, DICOM, file types that modules register.
    """

    newFileLoaded = Signal("QVariantMap")
    fileSaved = Signal("QVariantMap")

    def fileType(self, name: str) -> str:
        return FILE_TYPES.get(file_ending(name), "NoFile")

    def registeredFileReaderCount(self, file_type: str) -> int:
        return int(file_type in FILE_TYPES.values())

    def loadNodes(self, file_type: str, properties: Any, loaded: Any = None, messages: Any = None) -> bool:
        readers: dict[str, Callable[[str, dict[str, Any]], Any]] = {
            "VolumeFile": _load_volume,
            "SegmentationFile": _load_segmentation,
            "ModelFile": _load_model,
            "TransformFile": _load_transform,
            "MarkupsFile": _load_markups,
            "TableFile": _load_table,
        }
        name = str(properties["fileName"])
        if file_type == "SceneFile":
            return self.loadScene(name, bool(properties.get("clear", False)), messages)
        if file_type not in readers or not Path(name).exists():
            why = "no such file" if file_type in readers else f"the host reads no {file_type}"
            return _complain(messages, f"Could not load {name}: {why}")
        node = readers[file_type](name, dict(properties))
        if node is None:
            return _complain(messages, f"Could not load {name} as {file_type}")
        if loaded is not None:
            loaded.AddItem(node)
        return True

    def loadScene(self, name: str, clear: bool = True, messages: Any = None) -> bool:
        import slicer

        scene = slicer.mrmlScene
        if name.endswith(".mrb"):
            done = scene.ReadFromMRB(name, clear)
        else:
            scene.SetURL(name)
            done = scene.Connect() if clear else scene.Import()
        return bool(done) or _complain(messages, f"Could not load scene {name}")

    def fileWriterFileType(self, _node: Any, _format: str = "") -> str:
        return "NodeFile"

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        types = node.CreateDefaultStorageNode().GetSupportedWriteFileTypes()
        return tuple(types.GetValue(i) for i in range(types.GetNumberOfValues()))

    def extractKnownExtension(self, name: str, _node: Any) -> str:
        return file_ending(name)

    def saveNodes(self, file_type: str, properties: Any, messages: Any = None) -> bool:
        import slicer

        name = str(properties["fileName"])
        if file_type == "SceneFile":
            return self.saveScene(name, None, messages)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode(name):
            return _complain(messages, f"{node.GetName()} can't be saved")
        storage = node.GetStorageNode()
        storage.SetFileName(name)
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        return bool(storage.WriteData(node)) or _complain(messages, f"Could not write {name}")

    def exportNodes(
        self, node_ids: Any, names: Any, properties: Any, harden: bool = False, messages: Any = None
    ) -> bool:
        """Write copies: the nodes' own file names stay."""
        import slicer

        for node_id, name in zip(node_ids, names, strict=True):
            node = slicer.mrmlScene.GetNodeByID(node_id)
            copy = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName())
            copy.CopyContent(node, True)
            if harden and node.GetParentTransformNode() is not None:
                copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
                copy.HardenTransform()
            done = self.saveNodes("NodeFile", {**properties, "nodeID": copy.GetID(), "fileName": name}, messages)
            slicer.mrmlScene.RemoveNode(copy)
            if not done:
                return False
        return True

    def saveScene(self, name: str, _screenshot: Any, messages: Any = None) -> bool:
        import slicer

        scene = slicer.mrmlScene
        if name.endswith(".mrb"):
            done = scene.WriteToMRB(name)
        elif not name.endswith(".mrml"):
            Path(name).mkdir(parents=True, exist_ok=True)
            done = scene.SaveSceneToSlicerDataBundleDirectory(name)
        else:
            scene.SetURL(name)
            scene.SetRootDirectory(str(Path(name).parent))
            done = scene.Commit(name)
        return bool(done) or _complain(messages, f"Could not save scene {name}")


def _complain(messages: Any, text: str) -> bool:
    import vtk

    if messages is not None:
        messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
    return False


def _node_name(name: str, properties: dict[str, Any]) -> str:
    given = properties.get("name")
    return str(given) if given else Path(name).name.removesuffix(file_ending(name))


def _logic(module: str) -> Any:
    import slicer

    return getattr(slicer.modules, module).logic()


def _load_volume(name: str, properties: dict[str, Any]) -> Any:
    options = (1 if properties.get("labelmap") else 0) | (8 if properties.get("singleFile") else 0)
    node = _logic("volumes").AddArchetypeVolume(name, _node_name(name, properties), options)
    if node is not None and properties.get("show", True):
        selection = _application_logic().GetSelectionNode()
        if node.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(node.GetID())
        else:
            selection.SetActiveVolumeID(node.GetID())
        _application_logic().PropagateVolumeSelection()
    return node


def _application_logic() -> Any:
    import slicer

    return slicer.app.applicationLogic()


def _load_segmentation(name: str, properties: dict[str, Any]) -> Any:
    return _logic("segmentations").LoadSegmentationFromFile(name, True, _node_name(name, properties))


def _load_model(name: str, properties: dict[str, Any]) -> Any:
    node = _logic("models").AddModel(name)
    if node is not None and properties.get("name"):
        node.SetName(str(properties["name"]))
    return node


def _load_transform(name: str, _properties: dict[str, Any]) -> Any:
    import slicer

    return _logic("transforms").AddTransform(name, slicer.mrmlScene)


def _load_markups(name: str, properties: dict[str, Any]) -> Any:
    import slicer

    node_id = _logic("markups").LoadMarkups(name, _node_name(name, properties))
    return slicer.mrmlScene.GetNodeByID(node_id) if node_id else None


def _load_table(name: str, properties: dict[str, Any]) -> Any:
    return _logic("tables").AddTable(name, _node_name(name, properties))
