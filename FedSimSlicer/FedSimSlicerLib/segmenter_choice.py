"""The part of the panel "Segment" that chooses the segmenter and tells what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctk
from slicer.i18n import tr as _

from FedSimCore.worker.protocol import OpenSegmenterTask
from FedSimSlicerLib.checked_edit import choose, fill_combo_box, make_quiet
from FedSimSlicerLib.signal import Signal
from FedSimSlicerLib.widget_values import silenced
from FedSimSlicerLib.worker_service import Reply

if TYPE_CHECKING:
    from FedSimCore.worker.protocol import OpenSegmenterResult
    from FedSimSlicerLib.session import Session
    from FedSimSlicerLib.state import ModuleState
    from FedSimSlicerLib.worker_events import RequestDone, RequestFailed

CHANNEL = "segmenter"
SHIPPED, OWN = "shipped", "own"


class SegmenterChoice:
    """Opens the segmenter that is chosen, in the worker, and shows its card.

    Attributes:
        model: what is open; None before, and where it cannot be used.
        changed: emitted when another one is open, or none.

    Args:
        session: what is behind the panel.
        ui: the panel's widgets by name.
    """

    def __init__(self, session: Session, ui: Any) -> None:
        self._session, self.ui = session, ui
        self.model: OpenSegmenterResult | None = None
        self._asked: str | None = None
        self.changed: Signal[[]] = Signal()
        make_quiet(ui.segmenterBox)
        fill_combo_box(ui.segmenterBox, [(_("The one that ships"), SHIPPED), (_("A file or a finished training"), OWN)])
        ui.segmenterEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Dirs
        ui.segmenterEdit.nameFilters = [_("Segmenters (*.safetensors)")]
        ui.segmenterEdit.hide()
        ui.cardBox.collapsed = True
        ui.segmenterBox.connect("currentIndexChanged(int)", lambda _index: self._on_chosen())
        ui.segmenterEdit.connect("currentPathChanged(QString)", lambda _path: self._on_chosen())
        self._show()

    @property
    def file(self) -> str | None:
        """The chosen file or folder; None for the segmenter that ships."""
        return str(self.ui.segmenterEdit.currentPath).strip() if self._own else None

    def open(self) -> None:
        """Open what is chosen, unless it is open."""
        wanted = self.file
        key = wanted or ""
        if self._own and not wanted:
            self._forget()
            return
        if key == self._asked:
            return
        self._asked, self.model = key, None
        self._session.worker.ask(CHANNEL, OpenSegmenterTask(file=wanted), Reply(self._take, failed=self._on_failed))
        self._show(_("The segmenter is being read..."))
        self.changed.emit()

    def use(self, file: str) -> None:
        """Choose a segmenter's file or run as if the user had, and open it."""
        with silenced(self.ui.segmenterEdit) as edit:
            edit.currentPath = file
        choose(self.ui.segmenterBox, OWN)
        self._on_chosen()

    def show_state(self, state: ModuleState) -> None:
        """Show the segmenter that the scene wants."""
        if (self.file or "") == state.segmenter:
            return
        with silenced(self.ui.segmenterEdit) as edit:
            edit.currentPath = state.segmenter
        choose(self.ui.segmenterBox, OWN if state.segmenter else SHIPPED)
        self.ui.segmenterEdit.visible = self._own
        if self._asked is not None:
            self.open()

    @property
    def _own(self) -> bool:
        return bool(self.ui.segmenterBox.currentData == OWN)

    def _on_chosen(self) -> None:
        self.ui.segmenterEdit.visible = self._own
        if self._session.state is not None:
            self._session.state.segmenter = self.file or ""
        self.open()

    def _take(self, event: RequestDone) -> None:
        opened: Any = event.result  # an OpenSegmenterResult
        self.model = opened
        self._show()
        self.changed.emit()

    def _on_failed(self, event: RequestFailed) -> None:
        self._asked, self.model = None, None
        self._show(event.sentence)
        self.changed.emit()

    def _forget(self) -> None:
        self._asked, self.model = None, None
        self._session.worker.cancel(CHANNEL)
        self._show(_("Choose a segmenter’s file, or the folder of a training of the recipe “segmenter”."))
        self.changed.emit()

    def _show(self, sentence: str = "") -> None:
        ui, model = self.ui, self.model
        ui.segmenterLabel.text = sentence if model is None else model_text(model)
        ui.segmenterLabel.toolTip = "" if model is None else ", ".join(region.name for region in model.regions)
        ui.cardBox.visible = model is not None
        ui.cardLabel.text = "" if model is None else model.card


def model_text(model: OpenSegmenterResult) -> str:
    """Return in a few sentences what a segmenter is."""
    whole = len(model.regions) == 1
    what = _("the heart as a whole") if whole else _("{count} regions").format(count=len(model.regions))
    lines = [
        _("Finds {what}, looking at {spacing:g} mm.").format(what=what, spacing=model.spacing_mm),
        _("Learnt from: {what}").format(what="; ".join(model.trained_on)) if model.trained_on else "",
        _("Not for clinical use."),
    ]
    return "\n".join(filter(None, lines))
