"""FedSim in 3D Slicer: the entry. What the module does is in FedSimSlicerLib, what it computes in FedSimCore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

HERE = Path(__file__).resolve().parent


class FedSimSlicer(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("FedSim: hearts to move and to image")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = []
        parent.contributors = ["The FedSim for 3D Slicer developers"]
        parent.helpText = _(
            "Move a heart's shape, edit its tissues, see its CT beside a patient's scan, measure and export it. "
            'See the <a href="https://github.com/fedsim/SlicerFedSim/blob/main/docs/tutorial_slicer.md">tutorial</a>. '
            "Not for clinical use."
        )
        parent.acknowledgementText = _(
            "After D. Li, A. Kar, N. Ravikumar, A. F. Frangi, S. Fidler: Federated Simulation for Medical Imaging, "
            "MICCAI 2020."
        )
        if not slicer.app.commandOptions().noMainWindow:
            slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data() -> None:
    """Offer phantom patients in the module Sample Data."""
    from FedSimSlicerLib.sample_data import register_samples

    register_samples()


class FedSimSlicerWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    def setup(self) -> None:
        """Build the panel; nothing heavy is imported before."""
        ScriptedLoadableModuleWidget.setup(self)
        from FedSimSlicerLib.main_panel import MainPanel

        self.logic = FedSimSlicerLogic()
        self.panel = MainPanel(self.resourcePath, self.logic.getParameterNode)
        self.layout.addWidget(self.panel.widget)

    def enter(self) -> None:
        """The user comes."""
        self.panel.enter()

    def exit(self) -> None:
        """The user goes."""
        self.panel.exit()

    def cleanup(self) -> None:
        """The application ends, or the module is reloaded."""
        self.panel.close()

    def onReload(self) -> None:
        """Reload the library's modules too, not the entry alone."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("FedSimSlicerLib", "FedSimCore")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class FedSimSlicerLogic(ScriptedLoadableModuleLogic):
    """What other modules may use: the module's parameter node (see ``FedSimSlicerLib.state``)."""


class FedSimSlicerTest(ScriptedLoadableModuleTest):
    """What a user can run from "Reload and Test", and ctest in a build of Slicer."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear(False)

    def runTest(self) -> None:
        """Run all checks."""
        from FedSimSlicerLib.self_test import run_self_test

        self.setUp()
        run_self_test(self)
