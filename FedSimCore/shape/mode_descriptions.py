"""What a mode of the shape model does, in a clinician's words.

A mode is a direction in thousands of coordinates. What it means is told by what it changes: the heart is measured at
minus and at plus some sigma of the mode, the other modes at the mean, and the greatest changes become words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from FedSimCore.errors import InputError
from FedSimCore.files import read_json
from FedSimCore.progress import Progress, silent
from FedSimCore.resources import resource_path
from FedSimCore.shape.measurements import Measurements, measure_mesh
from FedSimCore.shape.mesh import HeartMesh
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.parameters import HeartParameters

SMALLEST_PERCENT = 3.0
"""Changes of length below this (of volumes, three times it), from minus to plus sigma, are not worth a word."""

MOST_PHRASES = 3
WHOLE_HEART = "whole heart larger", "whole heart smaller"
# The heart is told as a whole if each chamber changes the same way, none by less than this share of the mean change.
_EVEN_SHARE = 0.5
# What changes with the whole heart is told beside it only if it changes so many times as much.
_AHEAD = 1.5
_CHAMBERS = ("lv_volume_ml", "lv_mass_g", "rv_volume_ml", "la_volume_ml", "ra_volume_ml")


class Word(BaseModel):
    """How a change of one measurement is told; see ``Resources/shape/mode_words.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    group: str
    dimension: int = Field(ge=1, le=3)
    more: str
    less: str
    sized: bool = True


@dataclass(frozen=True)
class ModeDescription:
    """One mode in words.

    Attributes:
        explained: share of the cohort's variance.
        phrases: what a positive weight does, the greatest change first.
        changes: measurement key to its change in percent of the value at the mean, from minus to plus sigma.
    """

    explained: float
    phrases: tuple[str, ...]
    changes: Mapping[str, float]

    @property
    def text(self) -> str:
        """The phrases in one line."""
        return ", ".join(self.phrases) or "position and form rather than size"


@lru_cache(maxsize=1)
def mode_words() -> tuple[Word, ...]:
    """Return the words for measurements."""
    return tuple(Word.model_validate(entry) for entry in read_json(resource_path("shape/mode_words.json"))["words"])


def describe_modes(model: ShapeModel, sigma: float = 1.5, progress: Progress = silent) -> list[ModeDescription]:
    """Describe every mode of a model.

    Args:
        model: the model.
        sigma: how far each mode is moved to either side.
        progress: told of every mode.

    Raises:
        InputError: ``sigma`` is not positive.
    """
    if not sigma > 0:
        raise InputError(f"Modes are described at plus and minus {sigma:g} sigma; give a positive number.")
    mean = measure_mesh(_heart(model, 0, 0.0))
    described = []
    for mode in range(model.mode_count):
        progress(mode, model.mode_count, "describing the modes")
        low, high = (measure_mesh(_heart(model, mode, side * sigma)) for side in (-1, 1))
        changes = changes_percent(low, mean, high)
        explained = float(model.eigenvalues[mode]) / model.header.total_variance_mm2
        described.append(ModeDescription(explained, phrases(changes), changes))
    progress(model.mode_count, model.mode_count, "describing the modes")
    return described


def changes_percent(low: Measurements, mean: Measurements, high: Measurements) -> dict[str, float]:
    """Return each measurement's change from ``low`` to ``high`` in percent of ``mean``, where all three have it."""
    return {
        key: 100 * (high[key].value - low[key].value) / middle.value
        for key, middle in mean.items()
        if key in low and key in high and middle.value
    }


def phrases(changes: Mapping[str, float]) -> tuple[str, ...]:
    """Tell the greatest changes in words.

    Changes are compared as changes of length: a volume that grows by a tenth counts as much as a diameter that grows
    by a thirtieth. Of measurements of one group the one that
    changed most is told. Chambers and wall that all change alike are told as the whole heart, and after it only what
    goes the other way or much farther.

    Args:
        changes: percent by measurement key.
    """
    lengths = {word: changes[word.key] / word.dimension for word in mode_words() if word.key in changes}
    common = _common_change({word.key: change for word, change in lengths.items()})
    told = [WHOLE_HEART[0 if common > 0 else 1]] if common else []
    groups: set[str] = set()
    for word, change in sorted(lengths.items(), key=lambda item: -abs(item[1])):
        if abs(change) < SMALLEST_PERCENT or word.group in groups or len(told) == MOST_PHRASES:
            continue
        if word.sized and change * common >= 0 and abs(change) < _AHEAD * abs(common):
            continue  # It goes with the whole heart.
        groups.add(word.group)
        told.append(word.more if change > 0 else word.less)
    return tuple(told)


def _common_change(lengths: Mapping[str, float]) -> float:
    """Return the mean change of the chambers if all change alike, else 0."""
    chambers: Sequence[float] = [lengths[key] for key in _CHAMBERS if key in lengths]
    if len(chambers) < len(_CHAMBERS):
        return 0.0
    mean = float(np.mean(chambers))
    even = all(change * mean > 0 and abs(change) >= _EVEN_SHARE * abs(mean) for change in chambers)
    return mean if even and abs(mean) >= SMALLEST_PERCENT else 0.0


def _heart(model: ShapeModel, mode: int, weight: float) -> HeartMesh:
    weights = [0.0] * model.mode_count
    weights[mode] = weight
    return model.mesh(HeartParameters(weights=tuple(weights)))
