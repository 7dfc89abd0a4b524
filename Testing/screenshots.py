"""Take the pictures of the module in ``Resources/Screenshots``: ``python -m Testing.screenshots``.

The real module in the host's window, with the real worker, on a phantom patient made for it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "FedSimSlicer" / "FedSimSlicer.py"
PATIENT = "adult", 4
"""Site and seed of the phantom patient; the built-in model has not seen it."""


class Photographer:
    """The window, and what is done in it before each picture."""

    def __init__(self, out: Path) -> None:
        from Testing.host import start_application

        self.out = out
        self.application = start_application(testing=True)
        self.slicer = self.application.slicer
        self.application.window.windowTitle = "FedSim in the host"
        self.application.load_module(MODULE)
        self.application.window.resize(1400, 900)
        self.application.window.show()
        self.application.window.moduleSelector().selectModule("FedSimSlicer")
        self.panel = self.slicer.modules.FedSimSlicerWidget.panel
        self.session = self.panel.session

    def panel_named(self, name: str) -> Any:
        """Go to a tab and return its panel."""
        self.panel.show_tab(name)
        return next(panel for panel in self.panel.panels if type(panel).__name__ == name)

    def until(self, happened: Callable[[], Any], seconds: float = 300.0) -> None:
        """Let the application go on until something has happened.

        Raises:
            TimeoutError: it has not.
        """
        end = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > end:
                raise TimeoutError("the window did not come to what is to be photographed")
            self.application.process_events()
            time.sleep(0.005)

    def settle(self) -> None:
        """Wait until all is computed and painted."""
        channels = ("labels", "measure", "preview", "modes", "fit", "simulation", "regions")
        end = time.monotonic() + 1.0
        self.until(lambda: time.monotonic() > end and not any(map(self.session.worker.busy, channels)))
        for _turn in range(40):  # layouts that follow each other, however slow the machine is
            self.application.process_events()

    def take(self, name: str) -> None:
        """Write a picture of the whole window."""
        self.settle()
        path = self.out / f"slicer_{name}.png"
        self.application.window.grab().save(str(path))
        print(path)

    def load_patient(self) -> tuple[Any, Any]:
        """Put a phantom patient into the scene; returns the nodes of scan and label map."""
        import numpy as np

        from FedSimCore.cohorts.phantom import make_phantom
        from FedSimSlicerLib.scene_volumes import put_label_map, put_volume

        made = make_phantom(*PATIENT)
        scan = put_volume(made.image.array.astype(np.int16), made.image.grid, "Phantom patient", None, (800.0, 200.0))
        self.slicer.util.setSliceViewerLayers(background=scan)
        return scan, put_label_map(made.label.array, made.label.grid, "Phantom patient's labels")


def explore(camera: Photographer) -> None:
    """A heart of the population, with its measurements."""
    panel = camera.panel_named("ExplorePanel")
    panel.ui.seedBox.value = 11
    panel.ui.randomButton.click()
    camera.take("explore")
    panel.ui.shapeSection.collapsed = True
    panel.ui.measureSection.collapsed = False
    camera.take("measurements")
    panel.ui.measureSection.collapsed = True


def fit(camera: Photographer, labels: Any) -> None:
    """The heart of a patient, with the distance that is left."""
    panel = camera.panel_named("ExplorePanel")
    panel.ui.fitSection.collapsed = False
    camera.session.state.patient = labels
    section = panel.fit
    section.ui.fitModesBox.currentIndex = 1
    section.ui.fitButton.click()
    camera.until(lambda: not section.fit.running)
    camera.take("fit")
    panel.ui.fitSection.collapsed = True
    panel.ui.shapeSection.collapsed = False


def simulate(camera: Photographer) -> None:
    """Its CT, and that of every site's scanner."""
    camera.panel_named("MaterialsPanel")
    camera.take("materials")
    panel = camera.panel_named("SimulatePanel")
    panel.ui.simulateButton.click()
    camera.until(lambda: camera.session.state.simulated is not None)
    camera.take("simulate")
    first = camera.session.state.simulated
    panel.ui.allScannersButton.click()
    camera.until(lambda: not camera.session.worker.busy("simulation"))
    panel.ui.showButton.click()
    camera.take("sites")
    panel.ui.backButton.click()
    camera.session.state.simulated = first


def compare(camera: Photographer, scan: Any) -> None:
    """Real beside simulated."""
    panel = camera.panel_named("ComparePanel")
    camera.session.state.real_scan = scan
    panel.ui.sideButton.click()
    panel.ui.measureButton.click()
    camera.until(lambda: panel.histograms.pairs)
    camera.take("compare")
    panel.ui.boardButton.click()
    camera.take("checkerboard")
    panel.ui.backButton.click()


def train(camera: Photographer) -> None:
    """Two trainings of the shape generator side by side, and a third that runs."""
    from FedSimCore.cohorts.phantom import make_cohort

    panel = camera.panel_named("TrainPanel")
    with tempfile.TemporaryDirectory() as name:
        cohort, folder = Path(name) / "hearts", Path(name) / "runs"
        make_cohort("adult", 4, 0, cohort, spacing_mm=2.5)
        panel.ui.folderEdit.currentPath = str(folder)
        form = panel.setup.form
        for run, rate, steps in (("rate-0.001", 0.001, 60), ("rate-0.003", 0.003, 60), ("longer", 0.003, 20_000)):
            panel.setup.choose("shape-generator")
            values = {"cohort": str(cohort), "size": 48, "spacing_mm": 4.0, "learning_rate": rate, "steps": steps}
            for field, value in {**values, "picture_every": 10, "evaluate_every": 10, "report_every": 1}.items():
                form.set(field, value)
            panel.setup.name = run
            panel.ui.keepNewBox.checked = False
            panel.ui.startButton.click()
            state = "running" if run == "longer" else "finished"
            camera.until(lambda run=run, state=state: panel.state_of(folder / run) == state)
        camera.until(lambda: panel.status.step >= 30)
        panel.table.choose(folder / "longer", folder / "rate-0.003", folder / "rate-0.001")
        panel.ui.newSection.collapsed = True
        panel.ui.chartButton.click()
        camera.take("train")
        panel.ui.stopButton.click()
        camera.until(lambda: panel.state_of(folder / "longer") == "stopped")
        panel.ui.newSection.collapsed = False
        panel.ui.moreBox.collapsed = True
        camera.take("train_form")
        panel.ui.chartButton.click()


def federate(camera: Photographer) -> None:
    """A study of three phantom hospitals on this machine while it runs, and what has left one of them."""
    from FedSimCore.cohorts.phantom import make_cohort

    panel = camera.panel_named("FederatePanel")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "studies"
        sites = []
        for site in ("adult", "congenital-mild", "congenital-severe"):
            make_cohort(site, 4, 0, Path(name) / site, spacing_mm=2.5)
            sites.append({"name": site, "cohort": str(Path(name) / site)})
        panel.ui.folderEdit.currentPath = str(folder)
        setup = panel.setup
        setup.sites.show(sites)
        small = {
            "size": 32,
            "spacing_mm": 5.4,
            "batch_size": 2,
            "coarse": "read",
            "perceptual_weight": 0.0,
            "threads": 1,
        }
        for field, value in small.items():
            setup.recipe.set(field, value)
        setup.form.set("rounds", 60)
        panel.ui.noiseBox.checked = True
        setup.noise.set("noise", 4.0)
        setup.noise.set("clip", 0.1)
        setup.name = "three-hospitals"
        panel.ui.startButton.click()
        camera.until(lambda: panel.row is not None and panel.row.step >= 20, seconds=1500)
        camera.until(lambda: all(site.budget.planned for site in panel.details.sites))
        camera.until(lambda: panel.ui.metricBox.findData("loss") >= 0)
        panel.ui.metricBox.currentIndex = panel.ui.metricBox.findData("loss")
        panel.ui.newSection.collapsed = True
        panel.ui.chartButton.click()
        camera.take("federate")
        panel.ui.stopButton.click()
        camera.until(lambda: panel.row.state == "stopped")
        panel.ui.studiesSection.collapsed = panel.ui.progressSection.collapsed = True
        panel.ledger.table.choose(panel.ledger.table.keys[1])
        camera.take("federate_ledger")
        panel.ui.studiesSection.collapsed = panel.ui.progressSection.collapsed = False
        panel.ui.noiseBox.checked = False
        panel.ui.chartButton.click()


def generator(camera: Photographer, folder: Path) -> None:
    """A heart of a trained model, on the way between two, seen as a site's scanner would."""
    panel = camera.panel_named("ExplorePanel")
    for name in ("shape", "pose", "region"):
        getattr(panel.ui, f"{name}Section").collapsed = True
    panel.ui.generatorSection.collapsed = False
    section = panel.generator
    section.ui.modelEdit.currentPath = str(folder)
    section.open()
    camera.until(lambda: section.model is not None)
    for button in (section.ui.firstButton, section.ui.secondButton):
        before = section.shown
        section.ui.sampleButton.click()
        camera.until(lambda before=before: section.shown is not before)
        button.click()
    sampled = section.shown
    section.ui.walkSlider.value = 40
    camera.until(lambda: section.shown is not sampled and section.shown.trust is not None)
    section.choose_site(next(iter(section.model.sites), ""))
    camera.until(lambda: not camera.session.worker.busy("preview"))
    camera.take("generator")
    section.choose_site("")
    camera.session.state.live_preview = False


def segment(camera: Photographer, scan: Any, labels: Any, segmenter: Path | None) -> None:
    """A phantom's heart found by the segmenter, beside its true labels."""
    from FedSimSlicerLib.segment_measures import MEASURE
    from FedSimSlicerLib.view_centers import bring_views_to

    panel = camera.panel_named("SegmentPanel")
    for _part, node in camera.session.display.nodes():
        node.GetDisplayNode().SetVisibility(False)
    camera.session.layout.back()
    camera.slicer.util.setSliceViewerLayers(background=scan, foreground=None, label=None, fit=True)
    if segmenter is not None:
        panel.ui.segmenterBox.currentIndex = 1
        panel.ui.segmenterEdit.currentPath = str(segmenter)
    camera.until(lambda: panel.segmenter.model is not None)
    panel.table.tick([scan.GetID()])
    panel.ui.uncertaintyBox.checked = True
    panel.ui.segmentButton.click()
    camera.until(lambda: not panel.segmenting.running)
    camera.until(lambda: panel.result.shown is not None)
    bring_views_to(panel.segmenting.jobs[0].middle_mm)
    camera.until(lambda: not panel.result.measures.waits_for(MEASURE))
    camera.take("segment")
    panel.ui.scansSection.collapsed = True
    panel.ui.referenceBox.setCurrentNode(labels)
    camera.until(lambda: panel.ui.scoreTable.isVisible())
    panel.ui.overlayBox.checked = True
    camera.take("segment_reference")
    panel.ui.overlayBox.checked = False
    panel.ui.referenceBox.setCurrentNode(None)


def set_up(camera: Photographer) -> None:
    """What is shown while packages are missing."""
    from FedSimSlicerLib.dependencies import requirements
    from FedSimSlicerLib.installer import PackageInstaller
    from FedSimSlicerLib.setup_panel import SetupPanel

    class Bare(PackageInstaller):
        """A Slicer that has none of the packages."""

        def missing(self) -> Any:
            from FedSimSlicerLib.dependencies import Missing

            return [Missing(str(each), each.name) for each in requirements()]

    panel = SetupPanel(Bare(), lambda: None)
    panel.widget.setFixedWidth(400)
    panel.widget.show()
    camera.application.process_events()
    panel.widget.adjustSize()
    path = camera.out / "slicer_setup.png"
    panel.widget.grab().save(str(path))
    panel.widget.hide()
    print(path)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python -m Testing.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "Resources" / "Screenshots")
    parser.add_argument("--model", type=Path, help="folder of a trained model; by default the one that ships, if any")
    parser.add_argument("--segmenter", type=Path, help="file of a segmenter; by default the one that ships, if any")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    camera = Photographer(options.out)
    from FedSimSlicerLib.generator_section import shipped_model

    try:
        explore(camera)
        scan, labels = camera.load_patient()
        fit(camera, labels)
        simulate(camera)
        compare(camera, scan)
        if options.segmenter is not None or (ROOT / "Resources" / "models" / "segmenter.safetensors").is_file():
            segment(camera, scan, labels, options.segmenter)
        camera.panel_named("ExportPanel")
        camera.take("export")
        train(camera)
        federate(camera)
        model = options.model or shipped_model()
        if model is not None:
            generator(camera, model)
        set_up(camera)
    finally:
        camera.session.worker.close(wait_s=10)


if __name__ == "__main__":
    main()
