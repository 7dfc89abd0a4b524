"""Linear maps between tensors that PyTorch can differentiate by their own transpose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.progress import Progress, silent


class LinearMap(ABC):
    """A linear map and its exact transpose; each is the other's gradient, to any order.

    The implementations run without autograd and keep nothing for the backward pass but themselves, so a gradient costs
    one application of the transpose and no memory.

    Attributes:
        domain_shape: shape of one channel of the argument.
        range_shape: shape of one channel of the result.
        dtype: floating-point type of both.
        device: where both live.
    """

    def __init__(
        self, domain_shape: tuple[int, ...], range_shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise InputError(f"Projections are computed in float32 or float64, not {dtype}; convert the volume first.")
        self.domain_shape = domain_shape
        self.range_shape = range_shape
        self.device = device
        self.dtype = dtype

    @abstractmethod
    def _apply(self, x: Tensor, progress: Progress) -> Tensor:
        """Map (channels, *domain_shape), contiguous, to (channels, *range_shape)."""

    @abstractmethod
    def _apply_transpose(self, y: Tensor, progress: Progress) -> Tensor:
        """Map (channels, *range_shape), contiguous, to (channels, *domain_shape)."""

    def forward(self, x: Tensor, progress: Progress = silent) -> Tensor:
        """Map (batch, channel, *domain_shape) to (batch, channel, *range_shape).

        Args:
            x: what to map.
            progress: told of every step; not while a gradient is computed.

        Raises:
            InputError: shape, dtype or device are not this map's.
        """
        self._check(x, self.domain_shape)
        return _Application.apply(x, self, False, progress)

    def adjoint(self, y: Tensor, progress: Progress = silent) -> Tensor:
        """Map (batch, channel, *range_shape) to (batch, channel, *domain_shape) by the transpose.

        Args:
            y: what to map.
            progress: told of every step; not while a gradient is computed.

        Raises:
            InputError: shape, dtype or device are not this map's.
        """
        self._check(y, self.range_shape)
        return _Application.apply(y, self, True, progress)

    __call__ = forward

    def _check(self, x: Tensor, shape: tuple[int, ...]) -> None:
        if x.ndim != len(shape) + 2 or tuple(x.shape[2:]) != shape:
            raise InputError(f"The tensor's shape is {tuple(x.shape)}, but (batch, channel, *{shape}) is needed.")
        if x.dtype != self.dtype or x.device.type != self.device.type:
            raise InputError(
                f"The tensor is {x.dtype} on {x.device}, but this {type(self).__name__} was made for {self.dtype} on "
                f"{self.device}; convert one of them."
            )


class _Application(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linear_map: LinearMap, transposed: bool, progress: Progress) -> Tensor:
        ctx.linear_map, ctx.transposed = linear_map, transposed
        channels = x.reshape(-1, *x.shape[2:]).contiguous()
        apply = linear_map._apply_transpose if transposed else linear_map._apply
        result = apply(channels, progress)
        return result.reshape(*x.shape[:2], *result.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _Application.apply(gradients[0], ctx.linear_map, not ctx.transposed, silent), None, None, None
