"""Full simulations: asked for, followed, and put into the scene when they are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FedSimCore.ct.scanners import scanner, scanners
from FedSimCore.errors import FedSimError
from FedSimCore.worker.protocol import RenderTask, ScannerChoice
from FedSimSlicerLib.background import Background
from FedSimSlicerLib.scan_setup import read_scanner, scan_settings
from FedSimSlicerLib.scene_segmentations import new_layer
from FedSimSlicerLib.scene_volumes import new_image
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.simulation_grids import USUAL_VIEWS, choice_of, grid_about
from FedSimSlicerLib.simulation_output import Scan, SimulationOutput, simulations
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimCore.volumes import Grid
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import (
        RequestCancelled,
        RequestDone,
        RequestFailed,
        RequestPart,
        RequestProgress,
    )

CHANNEL = "simulation"


@dataclass(eq=False)
class Run:
    """A simulation that is being made.

    Attributes:
        task: what was asked for.
        replace: whether its nodes take the place of the last one's.
        work: what it costs, in usual scans.
        output: its nodes; None before the first volume.
        answered: the worker has done its part.
    """

    task: RenderTask
    replace: bool
    work: float
    output: SimulationOutput | None = None
    answered: bool = False

    @property
    def complete(self) -> bool:
        """Whether all volumes are in the scene."""
        came = 0 if self.output is None else len(self.output.volumes)
        return self.answered and came == len(self.task.scanners)


class Simulation:
    """Makes full CT volumes of the heart, one run at a time.

    Attributes:
        run: the one that is being made; None if there is none.
        seconds_per_scan: what a usual scan took here the last time, seconds; None before the first.
        changed: emitted when a run begins or has ended, however it did.
        progressed: emitted with every step of the worker.
        arrived: emitted with the nodes of the run whenever it has another volume.

    Args:
        session: what is behind the panels.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._background = Background()
        self.run: Run | None = None
        self.seconds_per_scan: float | None = None
        self.changed: Signal[[]] = Signal()
        self.progressed: Signal[[RequestProgress]] = Signal()
        self.arrived: Signal[[SimulationOutput]] = Signal()
        session.state_changed.connect(self._on_state)

    def start(self, size: int, replace: bool = False) -> None:
        """Scan the heart with the scanner that is set up.

        Args:
            size: voxels along each side.
            replace: use the nodes of the last simulation again.
        """
        state = self._session.state
        if state is not None:
            self._start(state, lambda: (read_scanner(state),), size, replace)

    def start_all(self, size: int, replace: bool = False) -> None:
        """Scan the heart with every site's scanner, as it ships."""
        state = self._session.state
        if state is not None:
            self._start(state, lambda: tuple(ScannerChoice(key=key) for key in scanners()), size, replace)

    def cancel(self) -> None:
        """End the run, if there is one."""
        if self.run is not None:
            self._session.worker.cancel(CHANNEL)
            self._end()

    def close(self) -> None:
        """End the run and hand nothing over any more."""
        self.cancel()
        self._background.close()

    def estimate_s(self, size: int, choices: int = 1) -> float | None:
        """Return how long a run will take by what the last one took; None before the first."""
        if self.seconds_per_scan is None:
            return None
        return self.seconds_per_scan * choice_of(size).relative_time * choices

    def _start(self, state: ModuleState, read_choices: Any, size: int, replace: bool) -> None:
        heart = self._session.editor.heart
        try:
            choices = read_choices()
            grid = grid_about(self._session.surface.vertices(heart), size)
            settings = scan_settings(state) | {"surroundings": state.surroundings}
            task = RenderTask(parameters=heart, scanners=choices, grid=grid, **settings)
            views = sum(_effective(choice).views for choice in choices)
        except FedSimError as error:
            self._session.message.emit(str(error))
            return
        self._session.message.emit("")
        self.run = run = Run(task, replace, choice_of(size).relative_time * views / USUAL_VIEWS)
        reply = Reply(
            lambda event: self._on_done(run, event),
            part=lambda event: self._on_part(run, event),
            progress=self.progressed.emit,
            failed=lambda event: self._on_failed(run, event),
            cancelled=lambda event: self._on_cancelled(run, event),
        )
        self._session.worker.ask(CHANNEL, task, reply)
        self.changed.emit()

    def _on_part(self, run: Run, event: RequestPart) -> None:
        """Bring a volume into VTK's order in a thread, then show it."""
        if run is not self.run:
            return
        part, grid = event.result, event.result.grid.grid()

        def make() -> tuple[Scan, Any]:
            scan = Scan(part.scan.scanner, new_image(event.arrays[part.scan.array]), part.scan.recipe)
            labels = event.arrays.get("labels")
            return scan, None if labels is None else new_layer(labels, grid)

        self._background.run(make, lambda made: self._show(run, grid, *made), self._on_error)

    def _on_done(self, run: Run, event: RequestDone) -> None:
        if run is self.run:
            run.answered = True
            self.seconds_per_scan = event.seconds / run.work
            self._end_if_complete(run)

    def _show(self, run: Run, grid: Grid, scan: Scan, layer: Any) -> None:
        state = self._session.state
        if run is not self.run:
            return
        if state is None:  # a scene is being read; its nodes may not mix with ours
            self.cancel()
            return
        if layer is not None:
            known = simulations()
            replaced = known[max(known)] if run.replace and known else ()
            run.output = SimulationOutput(run.task.parameters, grid, layer, replaced)
        output = run.output
        assert output is not None, "the labels come with the first volume"
        output.add(scan)
        if len(output.volumes) == 1:
            was_modifying = state.parameterNode.StartModify()
            state.simulated, state.simulated_labels = output.volumes[0], output.segmentation
            state.provenance = output.text
            state.parameterNode.EndModify(was_modifying)
        self.arrived.emit(output)
        self._end_if_complete(run)

    def _end_if_complete(self, run: Run) -> None:
        if run.complete:
            self._end()

    def _on_failed(self, run: Run, event: RequestFailed) -> None:
        if run is not self.run:
            return
        self._end()
        if event.cause == "lost":
            told = _("The simulation was lost with its process ({why}) Nothing in the scene was; simulate again.")
            self._session.message.emit(told.format(why=event.sentence))
        else:
            self._session.message.emit(event.sentence)

    def _on_cancelled(self, run: Run, _event: RequestCancelled) -> None:
        if run is self.run:
            self._end()

    def _on_error(self, error: BaseException) -> None:
        self._end()
        told = _("The simulated images could not be taken over ({why}); close other programs and simulate again.")
        self._session.message.emit(told.format(why=error))

    def _on_state(self, state: ModuleState | None) -> None:
        if state is None and self.run is not None and slicer.mrmlScene.IsClosing():
            self.cancel()
            self._session.message.emit(_("The scene was closed during a simulation, which was ended; simulate again."))

    def _end(self) -> None:
        run, self.run = self.run, None
        if run is not None and run.output is not None and self._session.state is not None:
            run.output.finish()
        self.changed.emit()


def _effective(choice: ScannerChoice) -> Any:
    """Return the choice's scanner.

    Raises:
        InputError: it does not exist or cannot be like that.
    """
    return scanner(choice.key).with_changes(**choice.changes)
