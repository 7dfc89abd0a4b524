"""A site as an executor of NVFlare's client."""

from __future__ import annotations

import os
from pathlib import Path

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace

from FedSimCore.errors import FedSimError
from FedSimCore.federated.engine.carrying import request_of, to_shareable
from FedSimCore.federated.local_sites import SITE_FILE
from FedSimCore.federated.policy import SiteFile
from FedSimCore.federated.site import Site
from FedSimCore.files import read_json

SITES_FOLDER = "FEDSIM_SITES"
"""Environment variable: folder of the sites' files in a study on one machine."""


class SiteExecutor(Executor):
    """Answers the server's requests with a :class:`~FedSimCore.federated.site.Site`."""

    def __init__(self) -> None:
        super().__init__()
        self._site: Site | None = None

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:  # noqa: ARG002
        """Answer one request."""
        try:
            if self._site is None:
                self._site = Site(read_site_file(fl_ctx))
            return to_shareable(self._site.answer(request_of(shareable)))
        except FedSimError as error:
            # E.g. the disk is full: what the ledger can't hold must not leave, so the server hears nothing more.
            self.log_error(fl_ctx, str(error))
            return make_reply(ReturnCode.EXECUTION_EXCEPTION)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:  # noqa: ARG002
        """Close the site's run with the job."""
        if event_type in (EventType.END_RUN, EventType.ABORT_TASK) and self._site is not None:
            self._site.close()


def read_site_file(fl_ctx: FLContext) -> SiteFile:
    """Return what the site alone knows: ``local/site.json`` of its kit, or its file in a study on one machine.

    Raises:
        InputError: there is none.
    """
    folder = os.environ.get(SITES_FOLDER)
    if folder:
        path = Path(folder) / fl_ctx.get_identity_name() / SITE_FILE
    else:
        workspace: Workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
        path = Path(workspace.get_site_config_dir()) / SITE_FILE
    return SiteFile.model_validate(read_json(path))
