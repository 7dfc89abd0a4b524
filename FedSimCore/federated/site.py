"""A site: its data, latents and enhancer stay here; only what its policy allows, and its ledger has written, leaves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.errors import CancelledError, DiskError, FedSimError, InputError
from FedSimCore.federated.gate import Gate, record
from FedSimCore.federated.ledger import LEDGER_NAME, Ledger
from FedSimCore.federated.messages import (
    AllowList,
    RefusedUpdate,
    Reply,
    Request,
    load_arrays,
    parameters_of,
    same_request,
)
from FedSimCore.federated.moments import COVARIANCE, MEAN, moments_allowed, told_moments
from FedSimCore.federated.policy import PolicyError, SiteFile
from FedSimCore.federated.run import OpenRun, open_run
from FedSimCore.federated.shared import PARTS, buffers_of
from FedSimCore.federated.study import Study
from FedSimCore.federated.updates import exact_update, local_update
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.runs.folder import RunFolder
from FedSimCore.training.recipes import KINDS
from FedSimCore.training.reporter import Listener, ignore


@runtime_checkable
class HasLatents(Protocol):
    """A task with latents, whose model tells their distribution."""

    normal: LatentNormal | None


class NotAgreed(FedSimError):  # noqa: N818 (the server asks it to agree, and all is well)
    """A site was asked for a round of a study that it does not take part in, e.g. because it has been started again."""


class Site:
    """Answers a server's requests, one at a time.

    Attributes:
        own: what only the site knows.
        run: its folder for the study; None before it has agreed to one.
    """

    def __init__(self, own: SiteFile, listen: Listener = ignore) -> None:
        """Wait for a study.

        Args:
            own: the site's file.
            listen: told every event of its run.
        """
        self.own, self._listen = own, listen
        self.run: OpenRun | None = None
        self._gate: Gate | None = None
        self._study: Study | None = None
        self._made: tuple[Request, Reply] | None = None
        self._told = False
        self._answering = threading.RLock()
        self._stack = ExitStack()
        self._ledger = Ledger(own.runs / LEDGER_NAME)

    def answer(self, request: Request) -> Reply:
        """Do what a server asks, if the policy allows it.

        Requests are answered one after the other: a server that has waited too long asks again while the first is
        still worked on.

        Returns:
            The answer; it is in the ledger already. What the user can put right is answered as a refusal; a message
            that the ledger could not write down is never returned.

        Raises:
            DiskError: the ledger can't be written.
        """
        answers = {
            "agree": self._agree,
            "round": self._round,
            "moments": self._moments,
            "finish": self._finish,
            "stop": self._stop,
        }
        with self._answering:
            try:
                return answers[request.kind](request)
            except DiskError:
                raise
            except FedSimError as error:
                if self.run is not None:
                    self.run.reporter.warn(f"The server was not given what it asked for ({request.kind}): {error}")
                return self._refusal(request, error)

    def close(self, state: Literal["stopped", "failed"] = "stopped", reason: str = "The process ended.") -> None:
        """Let go of the run's folder, once what is being answered is; the last checkpoint is where it goes on."""
        with self._answering:
            if self.run is not None:
                self.run.end(state, reason)
                self.run = None
            self._stack.close()

    # ---- Answers

    def _agree(self, request: Request) -> Reply:
        study = Study.model_validate(request.values["study"])
        if self.own.name not in study.site_names:
            raise InputError(f"The study {study.name!r} has no site {self.own.name!r}.")
        if self.run is None or self._study != study:
            self.close()
            self._begin(study)
        assert self.run is not None
        assert self._gate is not None
        values = {"cases": self.cases, "study_sha256": study.digest, "metrics": self._gate.tells_metrics}
        return self._gate.release(Reply(self.own.name, "agreement", request.round, {}, values))

    def _begin(self, study: Study) -> None:
        config = study.config(self.own.name, **own_fields(study, self.own))
        folder = RunFolder(self.own.runs / study.name)
        run = self._stack.enter_context(open_run(config, folder, study, self._listen))
        try:
            part = PARTS[study.kind]
            cases = part.cases_of(run.task)
            self.own.policy.require(study, cases, part.cases_in_round(run.task, config.batch_size))
            shared = run.shared
            allowed = AllowList.of(shared)
            moments = moments_allowed(self.own.policy.moments_of(study), _latent_size(run))
            self._gate = Gate(self._ledger, study, self.own.policy, cases, config.batch_size, allowed, moments)
        except FedSimError as error:
            run.end("failed", str(error))
            self._stack.close()
            raise
        self.run, self._study, self._made = run, study, None
        run.reporter.note(self._gate.in_words())

    @property
    def cases(self) -> int:
        """Cases that the site learns from."""
        assert self.run is not None
        assert self._study is not None
        return int(PARTS[self._study.kind].cases_of(self.run.task))

    def _round(self, request: Request) -> Reply:
        run, gate, study = self._agreed(request)
        if self._made is None or not same_request(self._made[0], request):
            self._made, self._told = (request, self._computed(request, run, gate, study)), False
        # Else the answer was lost on its way, or the disk was full: the same message, nothing new is told.
        if not self._told:
            gate.release(self._made[1])
            self._told = True
        return self._made[1]

    def _computed(self, request: Request, run: OpenRun, gate: Gate, study: Study) -> Reply:
        if run.wants_stop():
            raise CancelledError(f"The site was stopped because {run.wants_stop.reason}.")
        gate.allowed.check(request.arrays)
        run.go_to(request.round * study.local_steps)
        parameters = parameters_of(run.shared)
        load_arrays(request.arrays, parameters)
        gate.require_budget(request.round)
        before = run.loop.step
        if study.method == "exact":
            arrays, metrics, cases = exact_update(run, parameters, gate.privacy)
        else:
            arrays, metrics, cases = local_update(run, parameters, study)
        values: dict[str, Any] = {"cases": cases}
        if gate.tells_metrics:
            values["metrics"] = metrics
        assert run.loop.step == before + study.local_steps
        return Reply(self.own.name, "update", request.round, arrays, values)

    def _moments(self, request: Request) -> Reply:
        run, gate, _ = self._agreed(request)
        latents = run.task.modules["latents"].state_dict()["vectors.weight"] if gate.moments.shapes else None
        arrays: Mapping[str, NDArray[np.float32]] = {}
        if latents is not None:
            arrays = told_moments(latents, "diagonal" if len(gate.moments.shapes[COVARIANCE]) == 1 else "full")
        return gate.release(Reply(self.own.name, "moments", request.round, arrays, {"cases": self.cases}))

    def _finish(self, request: Request) -> Reply:
        run, gate, _ = self._agreed(request)
        shared = run.shared
        load_arrays(request.arrays, {**parameters_of(shared), **buffers_of(shared)})
        if isinstance(run.task, HasLatents):
            mean, covariance = (torch.from_numpy(request.arrays[name].copy()) for name in (MEAN, COVARIANCE))
            run.task.normal = LatentNormal(mean, covariance)
        run.finish()
        reply = gate.release(Reply(self.own.name, "done", request.round))
        self.run = None
        self._stack.close()
        return reply

    def _stop(self, request: Request) -> Reply:
        run, gate, _ = self._agreed(request)
        if request.values.get("save"):
            run.save()
        reply = gate.release(Reply(self.own.name, "done", request.round))
        self.close("stopped", str(request.values.get("reason", "The server stopped the study.")))
        return reply

    def _agreed(self, request: Request) -> tuple[OpenRun, Gate, Study]:
        if self.run is None or self._gate is None or self._study is None:
            raise NotAgreed(f"The site has agreed to no study yet, but was asked for {request.kind!r}.")
        return self.run, self._gate, self._study

    def _refusal(self, request: Request, error: FedSimError) -> Reply:
        # Other sentences may name cases and files, which are nobody's business but the site's.
        told = isinstance(error, PolicyError | RefusedUpdate | NotAgreed)
        reason = str(error) if told else "The site could not compute; its own log says why."
        reply = Reply(self.own.name, "refusal", request.round, {}, {"reason": reason})
        record(self._ledger, self._study, reply)
        return reply


def own_fields(study: Study, own: SiteFile) -> dict[str, Any]:
    """Return the fields of a recipe's config that only the site knows."""
    known = {name: str(path) for name, path in own.paths.items() if name in KINDS[study.kind].paths}
    fields: dict[str, Any] = {**known, "cohort": str(own.cohort)}
    if study.kind == "semi-supervised":
        fields |= {"site": own.cohort_site or own.name, "model": str(own.model) if own.model else None}
    elif own.cohort_site is not None:
        fields["sites"] = [own.cohort_site]
    if study.kind == "segmenter":
        # The last round's weights are the study's result, not the best by one site's validation cases.
        fields |= {"init": None, "held_cases": 0}
    return fields


def _latent_size(run: OpenRun) -> int:
    latents = run.task.modules.get("latents")
    return int(latents.state_dict()["vectors.weight"].shape[1]) if latents is not None else 0
