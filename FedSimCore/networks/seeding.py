"""Networks that start the same from the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as if it had just been seeded, and put it back as it was.

    Layers draw their first weights from the global generator and take no other; networks are made on the CPU and moved
    afterwards, so a seed gives the same weights on every device.
    """
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)
