"""Ending tensor work between two operations, without that work knowing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode


class InterruptionPoints(TorchFunctionMode):
    """Within this context, on this thread, every call of a torch function first calls ``check``, which may raise.

    The simulator's work is thousands of calls of milliseconds each, so an answer that nobody wants any more is given
    up at once; NumPy, SciPy and backward passes run through. A call costs about a microsecond more.

    Args:
        check: raises to end the work.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check, then call."""
        self._check()
        return func(*args, **(kwargs or {}))
