from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch.nn.functional import embedding_bag

from FedSimCore.errors import CancelledError
from FedSimCore.worker.interruption import InterruptionPoints


class After:
    """Lets some calls pass and then ends the work."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise CancelledError("enough")


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.scale = 2
        for _ in range(10):
            y = torch.mul(x, x)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return ctx.scale * gradients[0]


def test_work_ends_between_two_operations() -> None:
    done = 0
    with pytest.raises(CancelledError), InterruptionPoints(After(7)):
        x = torch.eye(3)
        for _ in range(100):
            torch.mm(x, x, out=x)
            done += 1
    assert done == 6


def test_the_operations_of_projector_and_filter_are_such_points() -> None:
    weights, indices, offsets = torch.ones(4), torch.arange(4), torch.tensor([0, 2, 4])
    for operation in (
        lambda: embedding_bag(
            indices, torch.eye(4), offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
        ),
        lambda: torch.eye(4) @ torch.eye(4),
        lambda: torch.zeros(4).neg().exp(),
        lambda: torch.zeros(4, 4).addmm_(torch.eye(4), torch.eye(4)),
    ):
        with pytest.raises(CancelledError), InterruptionPoints(After(0)):
            operation()


def test_work_inside_a_function_with_a_gradient_ends_too() -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(CancelledError), InterruptionPoints(After(5)):
        Square.apply(x)


def test_results_are_what_they_are_without() -> None:
    x = torch.linspace(0, 1, 50).reshape(5, 10)
    with InterruptionPoints(After(1000)):
        inside = (x @ x.T).softmax(1)
    assert torch.equal(inside, (x @ x.T).softmax(1))


def test_other_threads_and_later_work_are_left_alone() -> None:
    found: list[torch.Tensor] = []
    with pytest.raises(CancelledError), InterruptionPoints(After(0)):
        thread = threading.Thread(target=lambda: found.append(torch.ones(3) + 1))
        thread.start()
        thread.join()
        torch.ones(3)
    assert torch.equal(found[0], torch.full((3,), 2.0))
    assert torch.ones(1) + 1 == 2
