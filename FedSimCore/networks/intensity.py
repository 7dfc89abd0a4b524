"""Hounsfield units as networks see them: -1 to 1, the range of a Tanh."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from FedSimCore.errors import InputError


@dataclass(frozen=True)
class IntensityRange:
    """A linear scale from Hounsfield units to -1 to 1.

    The default makes 0.1 of 100 HU: air is -1, water 0, and what is denser than twice water is clipped. Only cortical
    bone, metal and dense calcifications are.

    Attributes:
        low_hu: HU that becomes -1; not below air's -1000.
        high_hu: HU that becomes 1.

    Raises:
        InputError: the range is empty or goes below -1000 HU.
    """

    low_hu: float = -1000.0
    high_hu: float = 1000.0

    def __post_init__(self) -> None:
        if not -1000 <= self.low_hu < self.high_hu < float("inf"):
            raise InputError(
                f"The range of intensities is {self.low_hu:g} to {self.high_hu:g} HU; it must rise, from -1000 or more."
            )

    def scale(self, hu: Tensor) -> Tensor:
        """Take HU to the unit scale; values outside the range leave -1 to 1, so that gradients stay."""
        return (hu - self.low_hu) * (2 / (self.high_hu - self.low_hu)) - 1

    def clip(self, hu: Tensor) -> Tensor:
        """Take HU of an image that networks are to imitate to -1 to 1, clipped."""
        return self.scale(hu).clamp(-1, 1)

    def hounsfield(self, unit: Tensor) -> Tensor:
        """Take the unit scale to HU."""
        return (unit + 1) * ((self.high_hu - self.low_hu) / 2) + self.low_hu
