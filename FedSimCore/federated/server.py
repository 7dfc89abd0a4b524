"""The server: checks what sites send, averages it, makes one optimizer step, and writes every round down.

It never sees data, and opens no file of a site. A refused update changes nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from FedSimCore.errors import InputError
from FedSimCore.federated.messages import AllowList, RefusedUpdate, Reply, parameters_of, to_arrays
from FedSimCore.federated.moments import moments_allowed, pooled_normal
from FedSimCore.federated.run import recipe_name, run_config
from FedSimCore.federated.shared import SharedPart, buffers_of, shared_part
from FedSimCore.federated.status import ROUNDS_NAME, RoundRecord
from FedSimCore.federated.study import Study
from FedSimCore.files import disk_errors, write_json
from FedSimCore.generation.latent_normal import LatentNormal
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Ended, Progressed, Saved, Started
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.lock import locked
from FedSimCore.tensor_files import read_tensors, write_tensors
from FedSimCore.training.pace import Pace
from FedSimCore.training.provenance import session_facts
from FedSimCore.training.reporter import Listener, Reporter, ignore, require_libraries, tell_if_possible
from FedSimCore.training.session import written_outcome
from FedSimCore.training.state_tree import join_tree, split_tree
from FedSimCore.training.stopping import StopRequest
from FedSimCore.training.task import TrainingError


class Averaging:
    """The server's mathematics: weights, an average of updates, one optimizer step. No files, no network.

    Attributes:
        part: the shared modules.
        allowed: arrays of weights and updates.
        round: rounds done.
    """

    def __init__(self, study: Study) -> None:
        """Begin with the first weights of the study's seed."""
        self._study = study
        self.part: SharedPart = shared_part(study.config(None))
        self.allowed = AllowList.of(self.part.modules)
        self.round = 0
        self._parameters = parameters_of(self.part.modules)
        self._optimizer = self._made_optimizer()

    def _made_optimizer(self) -> torch.optim.Optimizer:
        if self._study.method == "exact":
            return self.part.optimizer()
        parameters = list(self._parameters.values())
        if self._study.method == "fedopt":
            return torch.optim.Adam(parameters, lr=self._study.server_learning_rate)
        return torch.optim.SGD(parameters, lr=1.0)  # The new weights are the average of the sites' weights.

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the shared weights."""
        return to_arrays(self._parameters)

    def check(self, update: Reply, round_: int) -> float:
        """Check an update.

        Returns:
            Its Euclidean norm.

        Raises:
            RefusedUpdate: it is of another round, or not what was asked for.
        """
        if update.round != round_:
            raise RefusedUpdate(f"It is of round {update.round + 1}, but round {round_ + 1} was asked for.")
        cases = update.values.get("cases")
        if not isinstance(cases, int) or isinstance(cases, bool) or not 0 < cases <= 10**6:
            raise RefusedUpdate(f"It is made of {cases!r} cases.")
        return self.allowed.check(update.arrays, self._study.longest_update(self.allowed.numbers))

    def advance(self, updates: Mapping[str, Reply]) -> None:
        """Average checked updates, weighted by cases, in the order of the study's sites, and make a step.

        Raises:
            TrainingError: a weight would not be finite.
        """
        total = sum(int(update.values["cases"]) for update in updates.values())
        names = [name for name in self._study.site_names if name in updates]
        for name, parameter in self._parameters.items():
            mean = np.zeros(self.allowed.shapes[name], np.float64)
            for site in names:
                mean += updates[site].arrays[name].astype(np.float64) * (int(updates[site].values["cases"]) / total)
            parameter.grad = torch.from_numpy(mean).to(parameter)
        if self._study.method == "exact":
            rates = self.part.rates(self.round)
            for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        broken = [name for name, p in self._parameters.items() if not bool(torch.isfinite(p).all())]
        if broken:
            raise TrainingError(f"After round {self.round + 1} {broken[0]} has numbers that are not finite.")
        self.round += 1

    def state(self) -> dict[str, Any]:
        """Return everything that decides the rounds to come."""
        modules = {name: module.state_dict() for name, module in self.part.modules.items()}
        return {"round": self.round, "modules": modules, "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        for name, module in self.part.modules.items():
            module.load_state_dict(state["modules"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self.round = int(state["round"])


@dataclass(eq=False)
class Server:
    """A study's run at the server, opened.

    Attributes:
        study: what is learnt.
        folder: of the run.
        averaging: weights and optimizer.
        reporter: tells how it goes.
        wants_stop: whether somebody wants it to stop.
    """

    study: Study
    folder: RunFolder
    averaging: Averaging
    reporter: Reporter
    wants_stop: StopRequest
    store: CheckpointStore
    session: int
    pace: Pace = field(default_factory=Pace)
    ended: bool = False

    def close_round(
        self, updates: Mapping[str, Reply], norms: Mapping[str, float], absent: Mapping[str, str], seconds: float
    ) -> None:
        """Average a round's updates, make the step, and write the round down.

        Args:
            updates: checked, by site.
            norms: theirs, as :meth:`Averaging.check` has found them.
            absent: sites that are not among them, and why.
            seconds: that gathering took.

        Raises:
            TrainingError: a weight would not be finite.
            DiskError: the disk is full; the checkpoints from before are as they were.
        """
        self.averaging.advance(updates)
        cases = {site: int(update.values["cases"]) for site, update in updates.items()}
        done = self.averaging.round
        record = RoundRecord(
            round=done, time=time.time(), seconds=seconds, sites=cases, norms=dict(norms), absent=dict(absent)
        )
        _append(self.folder, record)
        self.pace.step_done()
        last = done == self.study.rounds
        if last or done % self.study.checkpoint_every == 0:
            self.save()
        if last or done == 1 or done % self.study.report_every == 0 or absent:
            self._report(updates, norms, seconds)

    def _report(self, updates: Mapping[str, Reply], norms: Mapping[str, float], seconds: float) -> None:
        metrics = {"sites": float(len(updates)), "time/round": seconds}
        told = {site: update.values.get("metrics") or {} for site, update in updates.items()}
        weights = {site: int(updates[site].values["cases"]) for site in told if told[site]}
        for name in dict.fromkeys(name for values in told.values() for name in values):
            with_it = [site for site in weights if name in told[site]]
            total = sum(weights[site] for site in with_it)
            metrics[name] = sum(float(told[site][name]) * weights[site] / total for site in with_it)
        metrics |= {f"{site}/{name}": float(value) for site, values in told.items() for name, value in values.items()}
        metrics |= {f"{site}/norm": norm for site, norm in norms.items()}
        finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
        done, total_rounds = self.averaging.round, self.study.rounds
        left = self.pace.seconds_left(total_rounds - done)
        self.reporter.tell(
            Progressed(stage="federated rounds", step=done, total=total_rounds, seconds_left=left, metrics=finite)
        )

    def save(self) -> None:
        """Write a checkpoint of the newest round, unless there is one.

        Raises:
            DiskError: the disk is full.
        """
        done = self.averaging.round
        if any(c.step == done and c.session == self.session for c in self.store.stored()):
            return
        content, tensors = split_tree(self.averaging.state())
        saved = self.store.save(self.session, done, lambda path: write_tensors(path, tensors), content)
        self.reporter.tell(Saved(step=done, file=saved.path.relative_to(self.folder.path).as_posix()))

    def normal_of(self, told: Mapping[str, Reply]) -> LatentNormal | None:
        """Return the distribution of all sites' latents, from what they tell; None where the recipe has no latents.

        Raises:
            RefusedUpdate: a site tells something else.
        """
        size = self.averaging.part.latent_size
        if not size:
            return None
        kinds = [moments_allowed(kind, size) for kind in ("none", "diagonal", "full")]
        found = []
        for site in self.study.site_names:
            reply = told.get(site)
            if reply is None or not reply.arrays:
                continue
            fitting = next((kind for kind in kinds if _fits(kind, reply)), None)
            if fitting is None:
                raise RefusedUpdate(f"The moments of {site} are not those of latents of {size} numbers.")
            found.append((int(reply.values["cases"]), reply.arrays))
        return pooled_normal(found, size)

    def finish(self, normal: LatentNormal | None) -> dict[str, NDArray[np.float32]]:
        """Write the model.

        Returns:
            What every site is given of it: weights, buffers, and the latents' distribution.
        """
        part = self.averaging.part
        outcome = part.finish(self.folder.path, normal, self.study.seed)
        arrays = to_arrays({**parameters_of(part.modules), **buffers_of(part.modules)})
        if normal is not None:
            arrays |= to_arrays({"latents.mean": normal.mean, "latents.covariance": normal.covariance})
        self._outcome = outcome
        return arrays

    def end(self, state: Literal["finished", "stopped", "failed"], reason: str = "") -> None:
        """Tell of the end and close the files."""
        if self.ended:
            return
        self.ended = True
        if state == "finished":
            written_outcome(self.folder, self.reporter, self.averaging.round, self._outcome)
        else:
            tell_if_possible(self.reporter, Ended(state=state, step=self.averaging.round, reason=reason))
        self.reporter.close()


@contextmanager
def open_server(study: Study, folder: RunFolder, listen: Listener = ignore) -> Iterator[Server]:
    """Begin a study's run at the server, or go on with it from its newest good checkpoint, and hold its folder.

    Raises:
        InputError: the folder holds another study, all checkpoints are damaged, or another process has it.
        DiskError: the disk is full.
    """
    require_libraries()
    with locked(folder):
        resumed = folder.exists
        if not resumed:
            folder.make(run_config(study, study.config(None)) | {"steps": study.rounds})
        elif folder.config().get("study_sha256") != study.digest:
            raise InputError(f"{folder.path} holds another study; give {study.name!r} a folder of its own.")
        folder.stop_file.unlink(missing_ok=True)
        store = CheckpointStore(folder.checkpoints, keep=2)
        summary = folder.summary()
        session = 1 + len(summary.get("sessions", []))
        averaging = Averaging(study)
        stored = store.stored() if resumed else []
        reporter = Reporter(folder, stored[0].step if stored else 0, listen)
        found = store.newest_good(reporter.warn) if resumed else None
        if found is not None:
            tensors, _ = read_tensors(found[0].tensors)
            averaging.load_state(join_tree(found[1], tensors))
        write_json(folder.summary_file, {**summary, **session_facts(summary, recipe_name(study), study.seed, session)})
        server = Server(study, folder, averaging, reporter, StopRequest(folder), store, session)
        reporter.tell(_started(server))
        try:
            yield server
        except GeneratorExit:  # Nobody has closed it: the interpreter ends, and has closed its files already.
            server.ended = True
            raise
        except BaseException as error:
            server.end("failed", str(error))
            raise
        finally:
            server.end("stopped", "The process ended.")


def _started(server: Server) -> Started:
    return Started(
        session=server.session,
        step=server.averaging.round,
        total=server.study.rounds,
        recipe=recipe_name(server.study),
        pid=os.getpid(),
        host=socket.gethostname(),
        device="cpu",
    )


def _fits(kind: AllowList, reply: Reply) -> bool:
    try:
        kind.check(reply.arrays)
    except RefusedUpdate:
        return False
    return True


def _append(folder: RunFolder, record: RoundRecord) -> None:
    path = folder.path / ROUNDS_NAME
    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(record.model_dump_json() + "\n")
