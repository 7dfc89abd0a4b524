"""The loop that makes the steps of every recipe.

Devices, precision and several processes are Fabric's; what is saved, in which order and when, is decided here, and so
that a run that goes on from a checkpoint makes the same steps as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.runs.checkpoints import CheckpointStore
from FedSimCore.runs.events import Evaluated, Progressed, Saved
from FedSimCore.tensor_files import read_tensors, write_tensors
from FedSimCore.training.config import TrainingConfig
from FedSimCore.training.memory import free_unused, is_out_of_memory, smaller_micro_batch
from FedSimCore.training.pace import Pace
from FedSimCore.training.random_state import random_state, set_random_state, undisturbed
from FedSimCore.training.reporter import Reporter
from FedSimCore.training.state_tree import join_tree, split_tree
from FedSimCore.training.task import Losses, Phase, Task, TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_SILENT_S = 5.0
"""Slow steps are told of at least this often, whatever ``report_every`` says."""
WAITING = "time/waiting_for_data"


class Loop:
    """Trains a task up to the config's number of steps.

    Attributes:
        step: steps done.
        micro_batch: cases computed at once on one device; None for all of a step's.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task,
        config: TrainingConfig,
        store: CheckpointStore,
        session: int,
        reporter: Reporter | None,
        wants_stop: Callable[[], bool],
    ) -> None:
        """Bring the task's modules and optimizers onto Fabric's device.

        Args:
            fabric: launched.
            task: freshly built.
            config: of the run.
            store: where checkpoints go.
            session: number of this session.
            reporter: None in all processes but the main one.
            wants_stop: asked before every step.
        """
        self.step = 0
        self.micro_batch = config.micro_batch
        self._fabric, self._task, self._config = fabric, task, config
        self._store, self._session, self._reporter = store, session, reporter
        self._wants_stop = wants_stop
        self._saved_step, self._saved_at = -1, time.monotonic()
        task.to(fabric.device)
        for name, module in task.modules.items():
            has_weights = any(parameter.requires_grad for parameter in module.parameters())
            task.modules[name] = fabric.setup_module(module) if has_weights else fabric.to_device(module)
        self._optimizers: dict[str, Any] = {name: fabric.setup_optimizers(o) for name, o in task.optimizers.items()}
        self._pace = Pace()
        self._sums: dict[str, list[float]] = {}
        self._waited_s, self._told_at = 0.0, time.monotonic()

    # ---- State

    def state(self) -> dict[str, Any]:
        """Return everything that decides the steps to come."""
        task = self._task
        return {
            "step": self.step,
            "micro_batch": self.micro_batch,
            "modules": {name: module.state_dict() for name, module in task.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in task.optimizers.items()},
            "precision": self._fabric.strategy.precision.state_dict(),
            "random": random_state(task.generators),
            "task": dict(task.state()),
        }

    def load(self, content: Any, tensors: Mapping[str, Tensor], origin: str) -> None:
        """Take back a checkpoint's state.

        Raises:
            InputError: it belongs to another config or version.
        """
        task = self._task
        try:
            state = join_tree(content, tensors)
            for name, module in task.modules.items():
                module.load_state_dict(state["modules"][name])
            for name, optimizer in task.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self._fabric.strategy.precision.load_state_dict(state["precision"])
            task.load_state(state["task"])
            self.step = self._saved_step = int(state["step"])
            # Larger parts may have been too large before.
            limits = [limit for limit in (state["micro_batch"], self._config.micro_batch) if limit is not None]
            self.micro_batch = min(limits, default=None)
            set_random_state(state["random"], task.generators)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{origin} does not fit this run's config ({reason}); begin a new run.") from error

    def save(self) -> None:
        """Write a checkpoint of the step just done, unless there is one.

        Raises:
            DiskError: the disk is full; the checkpoints from before are as they were.
            TrainingError: a weight is not finite; the checkpoints from before are kept.
        """
        if self._saved_step == self.step:
            return
        if self._reporter is not None:
            content, tensors = split_tree(self.state())
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise self._diverged(f"After step {self.step} {name} has numbers that are not finite")
            saved = self._store.save(self._session, self.step, lambda path: write_tensors(path, tensors), content)
            self._reporter.tell(Saved(step=self.step, file=saved.path.relative_to(self._reporter.run.path).as_posix()))
        self._saved_step, self._saved_at = self.step, time.monotonic()
        self._fabric.barrier()

    def load_newest(self, tell: Callable[[str], None]) -> None:
        """Go on from the newest good checkpoint, if there is any.

        Raises:
            InputError: all are damaged, or belong to another config.
        """
        found = self._store.newest_good(tell)
        if found is not None:
            checkpoint, content = found
            tensors, _ = read_tensors(checkpoint.tensors)
            self.load(content, tensors, str(checkpoint.path))

    # ---- Steps

    def run(self) -> bool:
        """Make the steps that are left.

        Returns:
            True when all are done, False if somebody asked to stop; a checkpoint of the last step is there either way.

        Raises:
            TrainingError: the loss is not finite, or one case does not fit into memory.
            DiskError: the disk is full.
        """
        config = self._config
        while self.step < config.steps:
            if self._fabric.broadcast(self._wants_stop()):
                self.save()
                return False
            self.set_rates()
            for phase in self._task.phases(self.step):
                self.compute_gradients(phase)
                self.make_step(phase)
            self.step_done()
        return True

    def step_done(self) -> None:
        """Count a step, and measure, show, save and tell what is due after it.

        Raises:
            TrainingError: a weight is not finite.
            DiskError: the disk is full.
        """
        config = self._config
        self.step += 1
        last = self.step == config.steps
        if last or self.step % config.evaluate_every == 0:
            self._evaluate()
        if last or self.step % config.picture_every == 0:
            self._take_pictures()
        if last or self.step % config.checkpoint_every == 0 or self._fabric.broadcast(self._unsaved_too_long()):
            self.save()
        self._pace.step_done()
        self._report(last)

    def _unsaved_too_long(self) -> bool:
        return time.monotonic() - self._saved_at > 60 * self._config.checkpoint_minutes

    def set_rates(self) -> None:
        """Give every optimizer the rates of the step to come."""
        rates = self._task.learning_rates(self.step)
        for name, optimizer in self._task.optimizers.items():
            for group, rate in zip(optimizer.param_groups, rates[name], strict=True):
                group["lr"] = rate

    def make_step(self, phase: Phase) -> None:
        """Move a phase's weights along the gradients that are there; those without one stay."""
        self._optimizers[phase.optimizer].step()

    def compute_gradients(self, phase: Phase) -> dict[str, float]:
        """Compute a phase's gradients, in smaller parts if memory runs out, and remember its metrics.

        Returns:
            The metrics, as means over the phase's cases.

        Raises:
            TrainingError: a metric or the gradient is not finite, or one case does not fit into memory.
        """
        random, buffers = random_state(self._task.generators), self._buffers()
        own = list(phase.samples)[self._fabric.global_rank :: self._fabric.world_size]
        if len(phase.samples) < self._fabric.world_size:
            raise TrainingError(
                f"Step {self.step + 1} has {len(phase.samples)} cases for {self._fabric.world_size} devices, because "
                "there are no more; lower devices."
            )
        while True:
            size = min(self.micro_batch or len(own), len(own))
            try:
                metrics = self._gradients(phase, own, size)
                break
            except (MemoryError, RuntimeError) as error:
                # Other processes wait for this one's gradients: only alone may it begin again.
                if not is_out_of_memory(error) or self._fabric.world_size > 1:
                    raise
            self._begin_smaller(phase, size, buffers)
            set_random_state(random, self._task.generators)
        self._check(phase, metrics)
        for name, value in metrics.items():
            self._sums.setdefault(f"{phase.name}/{name}" if phase.name else name, []).append(value)
        return metrics

    def _gradients(self, phase: Phase, samples: Sequence[int], size: int) -> dict[str, float]:
        """Add up the gradients of micro-batches; returns the metrics' means over the phase's cases."""
        self._task.optimizers[phase.optimizer].zero_grad(set_to_none=True)
        world = self._fabric.world_size
        sums: dict[str, Tensor] = {}
        for first in range(0, len(samples), size):
            part = samples[first : first + size]
            began = time.perf_counter()
            batch = phase.load(part)
            self._waited_s += time.perf_counter() - began
            # Gradients of several processes are averaged, so each weighs its own by their number.
            share = len(part) * world / len(phase.samples)
            with self._synchronised(first + size >= len(samples)):
                losses = self._losses(phase, batch)
                self._fabric.backward(losses["loss"] * share)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach().float() * (share / world)
        stacked = self._fabric.all_reduce(torch.stack(list(sums.values())), reduce_op="sum")
        return dict(zip(sums, torch.as_tensor(stacked).tolist(), strict=True))

    def _losses(self, phase: Phase, batch: Any) -> Losses:
        """Compute a phase's losses; where shapes have become so wild that they are refused, the training diverged."""
        try:
            return phase.losses(batch)
        except InputError as error:
            raise self._diverged(f"In step {self.step + 1} no loss can be computed ({error})") from error

    @contextmanager
    def _synchronised(self, yes: bool) -> Iterator[None]:
        """Let processes exchange gradients only with the last micro-batch."""
        with ExitStack() as stack:
            if self._fabric.world_size > 1 and not yes:
                for module in self._task.modules.values():
                    stack.enter_context(self._fabric.no_backward_sync(cast("Any", module)))
            yield

    def _buffers(self) -> list[tuple[Tensor, Tensor]]:
        """Return the modules' buffers with copies: a forward pass of batch normalisation changes them."""
        return [(b, b.clone()) for module in self._task.modules.values() for b in module.buffers()]

    def _begin_smaller(self, phase: Phase, size: int, buffers: list[tuple[Tensor, Tensor]]) -> None:
        self._task.optimizers[phase.optimizer].zero_grad(set_to_none=True)
        free_unused()
        self.micro_batch = smaller_micro_batch(size, self.step + 1, self._fabric.device, self._task.memory_advice)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        if self._reporter is not None:
            self._reporter.note(
                f"Step {self.step + 1} did not fit into memory with {size} cases at once; from now on steps are made "
                f"of parts of {self.micro_batch}, still with {len(phase.samples)} cases in a step.",
                "warning",
            )

    def _check(self, phase: Phase, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                told = f"{phase.name}/{name}" if phase.name else name
                raise self._diverged(f"In step {self.step + 1} {told} became {value}")
        if self._config.precision == "16-mixed":
            return  # Its scaler meets infinite gradients as a matter of course and leaves the step out.
        groups = self._task.optimizers[phase.optimizer].param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        if gradients and not math.isfinite(float(torch.nn.utils.get_total_norm(gradients))):
            raise self._diverged(f"In step {self.step + 1} the gradient is not finite")

    def _diverged(self, what: str) -> TrainingError:
        stored = self._store.stored()
        kept = f"the checkpoint of step {stored[0].step} is kept" if stored else "there is no checkpoint yet"
        return TrainingError(
            f"{what}, so the training has stopped; {kept}. "
            "Lower the learning rate and go on with `fedsim runs resume RUN --set learning_rate=...`."
        )

    # ---- Telling

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Put the modules into evaluation mode without gradients; nothing drawn inside changes the training."""
        modes = {module: module.training for module in self._task.modules.values()}
        with undisturbed(self._task.generators), torch.no_grad():
            for module in modes:
                module.eval()
            yield
            for module, mode in modes.items():
                module.train(mode)

    def _evaluate(self) -> None:
        with self.looking():
            metrics = {name: value for name, value in self._task.evaluate().items() if math.isfinite(value)}
        if metrics and self._reporter is not None:
            self._reporter.tell(Evaluated(step=self.step, metrics=metrics))

    def _take_pictures(self) -> None:
        with self.looking():
            pictures = self._task.pictures()
        if self._reporter is not None:
            self._reporter.pictures(self.step, pictures)

    def _report(self, last: bool) -> None:
        elapsed = time.monotonic() - self._told_at
        due = last or self.step == 1 or self.step % self._config.report_every == 0 or elapsed > _SILENT_S
        if self._reporter is None or not due:
            return
        metrics = {name: sum(values) / len(values) for name, values in self._sums.items()}
        self._reporter.tell(
            Progressed(
                stage=self._task.stage(self.step - 1),
                step=self.step,
                total=self._config.steps,
                seconds_left=self._pace.seconds_left(self._config.steps - self.step),
                metrics={**metrics, WAITING: min(self._waited_s / max(elapsed, 1e-9), 1.0)},
            )
        )
        self._sums, self._waited_s, self._told_at = {}, 0.0, time.monotonic()
