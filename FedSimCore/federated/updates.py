"""What a site computes in a round: a gradient of the shared part, or what some steps of its own would change.

In both the site's own part (latents, enhancer) takes its steps at home, by the recipe's own optimizer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from FedSimCore.federated.messages import to_arrays
from FedSimCore.federated.policy import Privacy
from FedSimCore.federated.study import Study
from FedSimCore.training.task import Phase

if TYPE_CHECKING:
    from FedSimCore.federated.run import OpenRun

Arrays32 = dict[str, NDArray[np.float32]]
Shared = Mapping[str, nn.Parameter]


def exact_update(run: OpenRun, shared: Shared, privacy: Privacy | None) -> tuple[Arrays32, dict[str, float], int]:
    """Compute the gradient of one step, and make the step of what stays at home.

    The paper's section 2.3: "we take one step update from each site, accumulate gradients and run a step of gradient
    descent at the server".

    Args:
        run: of the site, with the server's weights.
        shared: parameters that are shared.
        privacy: clip and noise, or None.

    Returns:
        Gradients of the mean loss by name, the losses, and the number of cases.

    Raises:
        TrainingError: the loss or the gradient is not finite.
    """
    total = {name: torch.zeros_like(parameter) for name, parameter in shared.items()}
    metrics: dict[str, float] = {}
    cases = 0
    run.loop.set_rates()
    for phase in run.task.phases(run.loop.step):
        told = _clipped_gradients(run, phase, shared, privacy) if privacy else run.loop.compute_gradients(phase)
        metrics |= {f"{phase.name}/{name}" if phase.name else name: value for name, value in told.items()}
        moves_shared = False
        for name, parameter in shared.items():
            if parameter.grad is not None:
                moves_shared = True
                total[name] += parameter.grad
                parameter.grad = None  # Its step is the server's: the optimizer leaves alone what has no gradient.
        cases = max(cases, len(phase.samples) if moves_shared else 0)
        run.loop.make_step(phase)
    run.loop.step_done()
    return to_arrays(total), metrics, cases


def _clipped_gradients(run: OpenRun, phase: Phase, shared: Shared, privacy: Privacy) -> dict[str, float]:
    """Leave clipped and noisy mean gradients in ``shared``, and true ones in what stays at home.

    Every case is computed by itself, batch norms included, so that no other case's share depends on it.
    """
    sums = {name: torch.zeros_like(parameter) for name, parameter in shared.items()}
    own = _others(run, phase, shared)
    home = [torch.zeros_like(parameter) for parameter in own]
    metrics: dict[str, float] = {}
    count = len(phase.samples)
    # At the seam of two epochs a batch may have a case twice; here it counts once, or it could add twice the clip.
    for sample in dict.fromkeys(phase.samples):
        told = run.loop.compute_gradients(replace(phase, samples=[sample]))
        metrics = {name: metrics.get(name, 0.0) + value / count for name, value in told.items()}
        found = {name: parameter.grad for name, parameter in shared.items() if parameter.grad is not None}
        norm = float(torch.nn.utils.get_total_norm(list(found.values())))
        for name, gradient in found.items():
            sums[name] += gradient * min(1.0, privacy.clip / max(norm, 1e-12))
        for place, parameter in zip(home, own, strict=True):
            if parameter.grad is not None:
                place += parameter.grad / count
    noise = np.random.default_rng(secrets.randbits(256))  # Never from the study's seed, which the server knows.
    for name, parameter in shared.items():
        drawn = noise.normal(0.0, privacy.noise * privacy.clip, tuple(parameter.shape))
        parameter.grad = (sums[name] + torch.from_numpy(drawn).to(sums[name])) / count
    for place, parameter in zip(home, own, strict=True):
        parameter.grad = place
    return metrics


def _others(run: OpenRun, phase: Phase, shared: Shared) -> list[Tensor]:
    """Return the parameters of a phase's optimizer that are not shared."""
    known = {id(parameter) for parameter in shared.values()}
    groups = run.task.optimizers[phase.optimizer].param_groups
    return [parameter for group in groups for parameter in group["params"] if id(parameter) not in known]


def local_update(run: OpenRun, shared: Shared, study: Study) -> tuple[Arrays32, dict[str, float], int]:
    """Make a round's steps at home, and return what they took from the shared weights.

    FedAvg (McMahan et al. 2017); with the method ``"fedprox"`` every step is also drawn back to the round's weights
    (Li et al. 2020, "Federated optimization in heterogeneous networks", equation 2).

    Returns:
        Weights before less weights after, by name, the mean losses, and the number of the site's cases in the round.

    Raises:
        TrainingError: a loss or gradient is not finite.
    """
    before = {name: parameter.detach().clone() for name, parameter in shared.items()}
    sums: dict[str, float] = {}
    cases = 0
    for _ in range(study.local_steps):
        run.loop.set_rates()
        for phase in run.task.phases(run.loop.step):
            for name, value in run.loop.compute_gradients(phase).items():
                told = f"{phase.name}/{name}" if phase.name else name
                sums[told] = sums.get(told, 0.0) + value / study.local_steps
            if study.method == "fedprox":
                for name, parameter in shared.items():
                    if parameter.grad is not None:
                        parameter.grad += study.proximal * (parameter.detach() - before[name])
            cases = max(cases, len(phase.samples))
            run.loop.make_step(phase)
        run.loop.step_done()
    taken = {name: before[name] - parameter.detach() for name, parameter in shared.items()}
    return to_arrays(taken), sums, cases
