"""Quantum and electronic noise of a detector that integrates energy."""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST_QUANTA = 0.5
"""Readings are kept at least this many mean quanta high, so that a starved ray gives a long path instead of NaN."""

POISSON_BELOW_QUANTA = 1000.0
"""Above this the Poisson distribution is drawn as a normal one: skewness 3 % and falling, and several times faster."""


def noisy_signal(
    signal_kev: Tensor, variance_kev2: Tensor, *, electronic_kev: float, generator: torch.Generator
) -> Tensor:
    """Draw detector readings.

    The energy deposited by Poisson many photons of different energies has mean ``S`` and variance ``V = sum E^2 N(E)``.
    It is drawn as ``S / Q * Poisson(Q)`` with ``Q = S^2 / V`` equivalent quanta, which has both moments right (Whiting
    et al. 2006, "Properties of preprocessed sinogram data in x-ray computed tomography"). Electronic noise is normal.

    Args:
        signal_kev: expected energy of each reading (keV), any shape, positive.
        variance_kev2: its variance (keV^2), same shape.
        electronic_kev: standard deviation of the electronics, keV.
        generator: source of randomness, on the device of the signal.

    Returns:
        Readings in keV, at least ``FEWEST_QUANTA`` quanta high. Their gradient is that of the expected signal:
        the noise itself is a constant of the draw.
    """
    with torch.no_grad():
        expected = signal_kev.detach()
        # A ray through metal may bring nothing at all; its quantum then has the energy of the last one that arrives.
        quantum_kev = variance_kev2.detach() / expected.clamp_min(torch.finfo(expected.dtype).tiny)
        quanta = expected / quantum_kev.clamp_min(1.0)
        drawn = quanta.sqrt().mul_(_normal(quanta, generator)).add_(quanta)
        few = quanta < POISSON_BELOW_QUANTA
        if bool(few.any()):
            drawn[few] = torch.poisson(quanta[few], generator=generator)
        reading = drawn * quantum_kev
        if electronic_kev > 0:
            reading.add_(_normal(quanta, generator), alpha=electronic_kev)
        reading = torch.maximum(reading, FEWEST_QUANTA * quantum_kev.clamp_min(1.0))
        difference = reading - expected
    return signal_kev + difference


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
