"""The module's panel: set-up while something is missing, then a tab for each job, a message and the device below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from FedSimSlicerLib.device_status import DeviceStatus, device_setting
from FedSimSlicerLib.installer import PackageInstaller
from FedSimSlicerLib.interpreter import worker_launch
from FedSimSlicerLib.panel_switch import PanelSwitch
from FedSimSlicerLib.python_path import find_fedsim_core
from FedSimSlicerLib.setup_panel import SetupPanel

ResourcePath = Callable[[str], str]


class MainPanel:
    """Builds the panels when everything they need is installed.

    Attributes:
        widget: the panel's qt.QWidget.
        session: what is behind the panels; None until they are built.
        switch: the buttons that lead to the panels.

    Args:
        resource_path: gives the full path of a file in the module's Resources.
        parameter_node: gives the scene's parameter node of the module.
    """

    def __init__(self, resource_path: ResourcePath, parameter_node: Callable[[], Any]) -> None:
        self._resource_path, self._parameter_node = resource_path, parameter_node
        self.widget = slicer.util.loadUI(resource_path("UI/MainPanel.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.session: Any = None
        self.panels: list[Any] = []
        self._device: DeviceStatus | None = None
        self.ui.messageLabel.hide()
        self.switch = PanelSwitch(self.ui.tabs)
        self.widget.layout().insertWidget(self.widget.layout().indexOf(self.ui.tabs), self.switch)
        self.switch.hide()
        self.ui.tabs.hide()
        self.setup = SetupPanel(PackageInstaller(), self._build)
        self.widget.layout().insertWidget(0, self.setup.widget)
        if self.setup.refresh():
            self._build()

    def _build(self) -> None:
        """Make the panels; everything they import is installed now."""
        find_fedsim_core()
        from FedSimSlicerLib.compare_panel import ComparePanel
        from FedSimSlicerLib.explore_panel import ExplorePanel
        from FedSimSlicerLib.materials_panel import MaterialsPanel
        from FedSimSlicerLib.session import Session
        from FedSimSlicerLib.simulate_panel import SimulatePanel

        settings = slicer.app.userSettings()
        self.session = Session(worker_launch(device_setting(settings)), self._parameter_node)
        self.session.message.connect(self.show_message)
        self.session.tab_wanted.connect(self.show_tab)
        self._add(ExplorePanel(self.session, self._resource_path), _("Explore"))
        self._add(MaterialsPanel(self.session, self._resource_path), _("Materials"))
        self._add(SimulatePanel(self.session, self._resource_path), _("Simulate"))
        self._add(ComparePanel(self.session, self._resource_path), _("Compare"))
        self._add(self._segment_panel(), _("Segment"))
        self._add(self._export_panel(), _("Export"))
        self._add(self._train_panel(), _("Train"))
        self._add(self._federate_panel(), _("Federate"))
        self._device = DeviceStatus(self.session.worker.client, settings)
        self.widget.layout().insertWidget(self.widget.layout().indexOf(self.switch), self._device.widget)
        self.switch.show()
        self.ui.tabs.show()
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.session.use_scene()

    def _export_panel(self) -> Any:
        from FedSimSlicerLib.background import Background
        from FedSimSlicerLib.export_panel import ExportPanel
        from FedSimSlicerLib.export_source import SessionSource
        from FedSimSlicerLib.exporter import Exporter

        source = SessionSource(self.session)
        exporter = Exporter(source, self.session.worker, Background(), lambda do: qt.QTimer.singleShot(0, do))
        panel = ExportPanel(source, exporter, self._resource_path)

        def follow(state: Any) -> None:
            if state is None:
                panel.scene_is_closing()
            elif panel.widget.isVisible():
                panel.follow_scene()

        self.ui.tabs.connect("currentChanged(int)", lambda _index: follow(self.session.state))
        self.session.state_changed.connect(follow)
        return panel

    def _segment_panel(self) -> Any:
        from FedSimSlicerLib.segment_panel import SegmentPanel

        panel = SegmentPanel(self.session, self._resource_path)
        self.ui.tabs.connect("currentChanged(int)", lambda _index: panel.follow())
        return panel

    def _train_panel(self) -> Any:
        from FedSimSlicerLib.train_panel import TrainPanel

        panel = TrainPanel(self.session, self._resource_path)
        self.ui.tabs.connect("currentChanged(int)", lambda _index: panel.follow())
        return panel

    def _federate_panel(self) -> Any:
        from FedSimSlicerLib.federate_panel import FederatePanel

        panel = FederatePanel(self.session, self._resource_path)
        self.ui.tabs.connect("currentChanged(int)", lambda _index: panel.follow())
        return panel

    def _add(self, panel: Any, title: str) -> None:
        self.panels.append(panel)
        self.switch.add(panel.widget, title)

    def show_tab(self, name: str) -> None:
        """Go to the panel of this class, e.g. ``"ExplorePanel"``."""
        self.ui.tabs.setCurrentWidget(next(p.widget for p in self.panels if type(p).__name__ == name))

    def show_message(self, sentence: str) -> None:
        """Tell the user something; an empty sentence takes the last one away."""
        self.ui.messageLabel.text = sentence
        self.ui.messageLabel.visible = bool(sentence)

    def enter(self) -> None:
        """Show the heart when the user comes to the module."""
        if self.session is not None:
            self.session.show_heart()

    def exit(self) -> None:
        """Keep what was done as a step of undo when the user goes, and let nothing move unseen."""
        if self.session is not None:
            self.panels[0].shape.stop_animation()
            self.session.editor.commit()

    def close(self) -> None:
        """End the worker and let go of the scene."""
        for panel in self.panels:
            panel.close()
        if self._device is not None:
            self._device.close()
        if self.session is not None:
            self.session.close()
            self.session = None
