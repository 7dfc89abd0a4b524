"""The host as a window, for people without 3D Slicer: a scripted module on the left, four views on the right.

python -m Testing.host.desktop MODULE.py [--slicer-source CHECKOUT] [FILE ...]

`fedsim desktop` does the same with FedSim's own module.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NOTICE = (
    "This is not 3D Slicer. It is a small window that FedSim brings along, so that its Slicer module can be tried "
    "without installing Slicer: the data, the views and the file formats are Slicer's own (slicer-core), the rest is a "
    "stand-in. For everything else -- DICOM, segmentation, registration, extensions -- get 3D Slicer, free and open, "
    "from {page}."
)
LOADABLE = {
    "Volume": ("*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd", "VolumeFile"),
    "Segmentation": ("*.seg.nrrd", "SegmentationFile"),
    "Model": ("*.vtp *.vtk *.stl *.obj *.ply", "ModelFile"),
    "Scene": ("*.mrb *.mrml", "SceneFile"),
}


class Desktop:
    """The window with its menus.

    Args:
        application: the host that runs.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self.slicer, self.window = application.slicer, application.window
        self.window.windowTitle = "FedSim desktop (a stand-in for 3D Slicer)"
        self._module = ""
        self._set_icon()
        self._make_menus()
        self._make_notice()

    def _set_icon(self) -> None:
        import qt

        self.window.windowIcon = qt.QIcon(str(Path(__file__).parents[2] / "FedSim.png"))

    def _make_menus(self) -> None:
        import qt

        files = self.window.menuBar().addMenu("&File")
        for kind in LOADABLE:
            files.addAction(f"Load {kind.lower()}...").connect("triggered()", self._loader(kind))
        files.addSeparator()
        self._samples = files.addMenu("Sample data")
        files.addSeparator()
        files.addAction("Save node...").connect("triggered()", self.save_node)
        files.addAction("Save scene (.mrb)...").connect("triggered()", self.save_scene)
        files.addAction("Close scene").connect("triggered()", lambda: self.slicer.mrmlScene.Clear(False))
        files.addSeparator()
        files.addAction("Quit").connect("triggered()", self.window.close)
        views = self.window.menuBar().addMenu("&View")
        layouts = self.slicer.vtkMRMLLayoutNode
        for name, layout in (
            ("Four views", layouts.SlicerLayoutFourUpView),
            ("Conventional", layouts.SlicerLayoutConventionalView),
            ("3D only", layouts.SlicerLayoutOneUp3DView),
            ("Red slice only", layouts.SlicerLayoutOneUpRedSliceView),
            ("Four views and plot", layouts.SlicerLayoutFourUpPlotView),
        ):
            views.addAction(name).connect("triggered()", self._layout_setter(layout))
        views.addSeparator()
        views.addAction("Fit views to data").connect("triggered()", self.fit_views)
        about = self.window.menuBar().addMenu("&Help")
        about.addAction("What this is, and where to get 3D Slicer").connect("triggered()", self.show_about)
        self._message_box = qt.QMessageBox

    def _make_notice(self) -> None:
        import qt

        from Testing.host.application.app import DOWNLOAD_PAGE

        notice = qt.QLabel(
            f'Not 3D Slicer, but a stand-in for it. Get Slicer: <a href="{DOWNLOAD_PAGE}">{DOWNLOAD_PAGE}</a>'
        )
        notice.openExternalLinks = True
        self.window.statusBar().addPermanentWidget(notice)

    def fill_sample_menu(self) -> None:
        """List the sample data that modules have registered and can make themselves."""
        self._samples.clear()
        sources = getattr(self.slicer.modules, "sampleDataSources", {})
        for source in (s for some in sources.values() for s in some if s.customDownloader is not None):
            self._samples.addAction(source.sampleName).connect("triggered()", self._maker(source))
        self._samples.enabled = bool(self._samples.actions())

    def _maker(self, source: Any) -> Any:
        def make() -> None:
            with self.slicer.util.tryWithErrorDisplay(f"{source.sampleName} could not be made."):
                source.customDownloader(source)
                self.fit_views()

        return make

    def _loader(self, kind: str) -> Any:
        return lambda: self.load_with_dialog(kind)

    def _layout_setter(self, layout: int) -> Any:
        return lambda: self.slicer.app.layoutManager().setLayout(layout)

    def load_with_dialog(self, kind: str) -> None:
        """Ask for a file of a kind and load it."""
        import qt

        pattern, _file_type = LOADABLE[kind]
        path = qt.QFileDialog.getOpenFileName(self.window, f"Load {kind.lower()}", "", f"{kind} ({pattern})")
        name = path[0] if isinstance(path, (tuple, list)) else path
        if name:
            self.load(name, kind)

    def load(self, name: str, kind: str = "") -> bool:
        """Load a file by Slicer's own loaders and show it; say in a message why, if it can't be."""
        manager = self.slicer.app.ioManager()
        file_type = LOADABLE[kind][1] if kind else manager.fileType(name)
        loaders = {
            "VolumeFile": self.slicer.util.loadVolume,
            "SegmentationFile": self.slicer.util.loadSegmentation,
            "ModelFile": self.slicer.util.loadModel,
            "SceneFile": self.slicer.util.loadScene,
            "TransformFile": self.slicer.util.loadTransform,
            "MarkupsFile": self.slicer.util.loadMarkups,
            "TableFile": self.slicer.util.loadTable,
        }
        try:
            if file_type not in loaders:
                raise RuntimeError(f"{Path(name).name} is of no kind that this window reads")
            loaders[file_type](name)
        except RuntimeError as error:
            self.slicer.util.errorDisplay(f"{name} could not be loaded.\n\n{error}", windowTitle="Load")
            return False
        self.fit_views()
        return True

    def save_node(self) -> None:
        """Ask for a node and a file, and write it."""
        import qt

        nodes = [n for n in self.slicer.util.getNodesByClass("vtkMRMLStorableNode") if not n.GetHideFromEditors()]
        nodes = [n for n in nodes if not n.IsA("vtkMRMLColorNode") and not n.IsA("vtkMRMLScriptedModuleNode")]
        if not nodes:
            self.slicer.util.infoDisplay("There is nothing to save yet.", windowTitle="Save")
            return
        names = [n.GetName() for n in nodes]
        name = qt.QInputDialog.getItem(self.window, "Save", "What:", names, 0, False)
        chosen = name[0] if isinstance(name, (tuple, list)) else name
        if chosen in names:
            self._ask_and_write(nodes[names.index(chosen)])

    def _ask_and_write(self, node: Any) -> None:
        import qt

        ending = (
            node.GetDefaultStorageNodeClassName() and node.CreateDefaultStorageNode().GetDefaultWriteFileExtension()
        )
        path = qt.QFileDialog.getSaveFileName(self.window, "Save", f"{node.GetName()}.{ending}")
        name = path[0] if isinstance(path, (tuple, list)) else path
        if name and not self.slicer.util.saveNode(node, name):
            self.slicer.util.errorDisplay(f"{name} could not be written.", windowTitle="Save")

    def save_scene(self) -> None:
        """Ask for a file and write the whole scene into it."""
        import qt

        path = qt.QFileDialog.getSaveFileName(self.window, "Save scene", "scene.mrb", "Scene (*.mrb)")
        name = path[0] if isinstance(path, (tuple, list)) else path
        if name and not self.slicer.util.saveScene(name if name.endswith(".mrb") else f"{name}.mrb"):
            self.slicer.util.errorDisplay(f"{name} could not be written.", windowTitle="Save scene")

    def fit_views(self) -> None:
        """Show all data in all views."""
        self.slicer.app.layoutManager().resetSliceViews()
        self.slicer.app.layoutManager().resetThreeDViews()

    def show_module(self, module: Path | str) -> None:
        """Load a scripted module and show its panel."""
        self._module = self.application.load_module(module).name
        self.slicer.app.startupCompleted.emit()
        self.fill_sample_menu()
        self.window.moduleSelector().selectModule(self._module)

    def stay(self) -> int:
        """Run until the window is closed; returns the exit code."""
        import qt

        # Python sees Ctrl-C only when it runs, so it is woken now and then.
        signal.signal(signal.SIGINT, lambda *_: self.window.close())
        awake = qt.QTimer()
        awake.connect("timeout()", lambda: None)
        awake.start(200)
        return int(self.slicer.app.exec_())

    def save_picture(self, path: Path) -> int:
        """Write a picture of the window as it is once nothing waits to be drawn; returns the exit code."""
        for _ in range(5):
            self.application.process_events()
        if not self.window.grab().save(str(path)):
            print(f"{path} could not be written", file=sys.stderr)
            return 1
        return 0

    def close(self) -> None:
        """Let the module clean up, as Slicer does at its end."""
        from Testing.host.application.modules import unload_module

        if self._module:
            unload_module(self._module)
            self._module = ""

    def show_about(self) -> None:
        """Say what this window is."""
        from Testing.host.application.app import DOWNLOAD_PAGE

        self._message_box.information(self.window, "FedSim desktop", NOTICE.format(page=DOWNLOAD_PAGE))


def run_desktop(
    module: Path | str | None = None,
    files: Sequence[str] = (),
    *,
    slicer_source: Path | str | None = None,
    picture: Path | None = None,
) -> int:
    """Open the window with a scripted module and some files, and stay until it is closed or Ctrl-C is pressed.

    Args:
        module: the module's .py file; none opens the views alone.
        files: volumes, segmentations, models, scenes to load at once.
        slicer_source: a checkout of Slicer's source whose Python files are used; see `start_application`.
        picture: write a picture of the window there and leave.

    Returns:
        The exit code.
    """
    desktop = open_desktop(module, files, slicer_source=slicer_source)
    try:
        return desktop.save_picture(picture) if picture is not None else desktop.stay()
    finally:
        desktop.close()


def open_desktop(
    module: Path | str | None = None, files: Sequence[str] = (), *, slicer_source: Path | str | None = None
) -> Desktop:
    """The window of `run_desktop`, shown; its settings are kept in the user's own folder."""
    from Testing.host import start_application

    folder = Path.home() / ".config" / "fedsim-desktop"
    desktop = Desktop(start_application(slicer_source=slicer_source, settings_folder=folder))
    if module is not None:
        desktop.show_module(module)
    desktop.window.show()
    desktop.application.process_events()
    for name in files:
        desktop.load(name)
    return desktop


def main() -> None:
    """Run the window from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", nargs="?", type=Path, help="the scripted module's .py file")
    parser.add_argument("files", nargs="*", help="files to load")
    parser.add_argument("--slicer-source", type=Path, help="a checkout of Slicer's source")
    parser.add_argument("--picture", type=Path, help="write a picture of the window and leave")
    args = parser.parse_args()
    raise SystemExit(run_desktop(args.module, args.files, slicer_source=args.slicer_source, picture=args.picture))


if __name__ == "__main__":
    main()
