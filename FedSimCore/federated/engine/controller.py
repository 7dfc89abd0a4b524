"""The study as a workflow of NVFlare's server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.controller_spec import Task
from nvflare.apis.fl_constant import ReservedTopic, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.apis.signal import Signal

from FedSimCore.errors import CancelledError, FedSimError, InputError
from FedSimCore.federated.engine.carrying import TASK, reply_of, to_shareable
from FedSimCore.federated.messages import Reply, Request
from FedSimCore.federated.server import open_server
from FedSimCore.federated.study import Study
from FedSimCore.federated.workflow import conduct
from FedSimCore.files import read_json
from FedSimCore.runs.folder import RunFolder

_CHECK_EVERY_S = 0.005
_COULD_NOT = (ReturnCode.EXECUTION_EXCEPTION, ReturnCode.TASK_RESULT_FILTER_ERROR)
_COULD_NOT_SENTENCE = (
    "The site could not write its answer down, so that nothing left it: its disk may be full; its own log says why."
)


class StudyController(Controller):
    """Conducts a study.

    Args:
        study_file: the study as ``for_sites`` has it, JSON.
        folder: of the server's run.
        carry: ``"pull"``: sites fetch requests as NVFlare's tasks, the supported way. ``"push"``: the server sends them
            with NVFlare's internal topic DO_TASK, quicker, for which NVFlare's version is pinned.
    """

    def __init__(self, study_file: str, folder: str, carry: str = "pull") -> None:
        super().__init__()
        self._study_file, self._folder, self._carry = Path(study_file), Path(folder), carry

    def start_controller(self, fl_ctx: FLContext) -> None:  # noqa: ARG002
        """Look after tasks more often than NVFlare's every 0.2 s; its constructor's argument sets another attribute."""
        self.communicator._task_check_period = _CHECK_EVERY_S

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Bring the study to its end."""
        study = Study.model_validate(read_json(self._study_file))
        link = (PushLink if self._carry == "push" else PullLink)(self, fl_ctx, abort_signal)
        try:
            with open_server(study, RunFolder(self._folder)) as server:
                conduct(server, link)
        except CancelledError as error:
            self.log_info(fl_ctx, str(error))
        except FedSimError as error:
            self.system_panic(str(error), fl_ctx)

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Leave nothing behind."""

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,  # noqa: ARG002
        result: Shareable,  # noqa: ARG002
        fl_ctx: FLContext,
    ) -> None:
        """Leave out what comes too late; the round it belongs to is closed."""
        self.log_info(fl_ctx, f"an answer of {client.name} to {task_name} came too late")


class PushLink:
    """Sends requests to the sites' job processes."""

    def __init__(self, controller: Controller, fl_ctx: FLContext, abort_signal: Signal) -> None:  # noqa: ARG002
        """Send with the engine of the context."""
        self._fl_ctx, self._abort = fl_ctx, abort_signal

    def ask(self, request: Request, sites: Sequence[str], seconds: float) -> Mapping[str, Reply]:
        """Ask sites at once; see :class:`~FedSimCore.federated.workflow.Link`."""
        if not sites:
            return {}
        _require_not_aborted(self._abort)
        shareable = to_shareable(request)
        shareable.set_header(ReservedHeaderKey.TASK_NAME, TASK)
        shareable.set_header(ReservedHeaderKey.TASK_ID, str(uuid.uuid4()))
        answers = self._fl_ctx.get_engine().send_aux_request(
            targets=list(sites),
            topic=ReservedTopic.DO_TASK,
            request=shareable,
            timeout=seconds,
            fl_ctx=self._fl_ctx,
            optional=True,
        )
        _require_not_aborted(self._abort)
        return {site: reply for site in sites if (reply := _reply(site, (answers or {}).get(site))) is not None}


class PullLink:
    """Puts requests where the sites' job processes fetch them."""

    def __init__(self, controller: Controller, fl_ctx: FLContext, abort_signal: Signal) -> None:
        """Hand out with the controller's task plane."""
        self._controller, self._fl_ctx, self._abort = controller, fl_ctx, abort_signal

    def ask(self, request: Request, sites: Sequence[str], seconds: float) -> Mapping[str, Reply]:
        """Ask sites at once; see :class:`~FedSimCore.federated.workflow.Link`."""
        if not sites:
            return {}
        found: dict[str, Reply] = {}

        def received(client_task: Any, fl_ctx: FLContext) -> None:  # noqa: ARG001
            reply = _reply(client_task.client.name, client_task.result)
            if reply is not None:
                found[client_task.client.name] = reply
            client_task.result = None

        task = Task(TASK, to_shareable(request), timeout=max(1, round(seconds)), result_received_cb=received)
        self._controller.broadcast_and_wait(
            task, self._fl_ctx, targets=list(sites), min_responses=len(sites), abort_signal=self._abort
        )
        _require_not_aborted(self._abort)
        return found


def _reply(site: str, answer: Any) -> Reply | None:
    """Return a site's reply; None where there is none, or where it speaks for another.

    That a site could make none is told as its refusal: it may not have been able to write one into its ledger.
    """
    if not isinstance(answer, Shareable):
        return None
    code = answer.get_return_code(ReturnCode.OK)
    if code in _COULD_NOT:
        return Reply(site, "refusal", values={"reason": _COULD_NOT_SENTENCE})
    if code != ReturnCode.OK:
        return None
    try:
        reply = reply_of(answer)
    except InputError:
        return None
    return reply if reply.site == site else None


def _require_not_aborted(signal: Signal) -> None:
    if signal.triggered:
        raise CancelledError("The engine ended the study's job; started again, it goes on from its last checkpoint.")


def write_study(study: Study, path: Path) -> Path:
    """Write a study for the controller, without any site's folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(study.for_sites().model_dump(mode="json")), encoding="utf-8")
    return path
