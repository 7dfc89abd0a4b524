"""Where a picture is looked at from, in patient terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from FedSimCore.errors import InputError

Vector = tuple[float, float, float]

# A direction is named after every axis it makes less than this angle with (67 degrees).
_NAMED_COSINE = 0.38
_LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True, eq=False)
class View:
    """An orthographic view.

    Attributes:
        right: (3,) unit vector, RAS, to the right of the picture.
        up: (3,) unit vector, RAS.
        toward: (3,) unit vector, RAS, out of the picture to the viewer.
    """

    right: NDArray[np.float64]
    up: NDArray[np.float64]
    toward: NDArray[np.float64]

    @classmethod
    def looking_from(cls, toward: Vector, up: Vector = (0.0, 0.0, 1.0)) -> View:
        """Return the view of somebody who stands in direction ``toward`` (RAS), with ``up`` upwards."""
        front = np.asarray(toward, dtype=float) / np.linalg.norm(toward)
        right = np.cross(np.array(up), front)
        right /= np.linalg.norm(right)
        return cls(right, np.cross(front, right), front)

    def letters(self) -> dict[str, str]:
        """Return what lies at the picture's ``left``, ``right``, ``top`` and ``bottom``, e.g. L or AL."""
        sides = {"left": -self.right, "right": self.right, "top": self.up, "bottom": -self.up}
        return {side: direction_letters(direction) for side, direction in sides.items()}


def direction_letters(direction: NDArray[np.float64]) -> str:
    """Name a direction (3,), RAS, by the patient axes it points along, the nearest first."""
    order = np.argsort(-np.abs(direction))
    named = [axis for axis in order if abs(direction[axis]) > _NAMED_COSINE * np.linalg.norm(direction)]
    return "".join(_LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in named)


_ANTERIOR_UP = (0, 1, 0)
VIEWS = {
    "anterior": View.looking_from((0, 1, 0)),
    "posterior": View.looking_from((0, -1, 0)),
    "left": View.looking_from((-1, 0, 0)),
    "right": View.looking_from((1, 0, 0)),
    "superior": View.looking_from((0, 0, 1), _ANTERIOR_UP),
    # As CT slices are looked at: from the feet, the patient's right at the picture's left.
    "inferior": View.looking_from((0, 0, -1), _ANTERIOR_UP),
    "left anterior oblique": View.looking_from((-0.7, 0.7, 0.35)),
    "right anterior oblique": View.looking_from((0.6, 0.8, 0.2)),
}


def view(name: str) -> View:
    """Return a view by name.

    Raises:
        InputError: there is no such view.
    """
    if name not in VIEWS:
        raise InputError(f"There is no view {name!r}; choose one of {', '.join(VIEWS)}.")
    return VIEWS[name]
