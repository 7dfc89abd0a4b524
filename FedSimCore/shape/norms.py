"""Whether a measurement is normal: the table of ``Resources/anatomy/norms.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from FedSimCore.files import read_json
from FedSimCore.resources import resource_path
from FedSimCore.shape.measurements import Measurement, Measurements

Sex = Literal["male", "female"]
SEXES: tuple[Sex, ...] = ("male", "female")
# Two-sided 95 % of a normal distribution, the usual reference interval of laboratory and imaging norms.
_SD_OF_INTERVAL = 1.96


class Spread(BaseModel):
    """How a quantity varies among the healthy of one sex; percentiles have text keys such as ``"97.5"``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    mean: float | None = None
    sd: float | None = None
    percentiles: dict[str, float] = {}

    @property
    def low(self) -> float | None:
        """Lower end of the reference interval, None if not published."""
        if self.mean is not None and self.sd is not None:
            return self.mean - _SD_OF_INTERVAL * self.sd
        return min((v for key, v in self.percentiles.items() if float(key) < 50), default=None)

    @property
    def high(self) -> float | None:
        """Upper end of the reference interval, None if not published."""
        if self.mean is not None and self.sd is not None:
            return self.mean + _SD_OF_INTERVAL * self.sd
        return max((v for key, v in self.percentiles.items() if float(key) > 50), default=None)


class Norm(BaseModel):
    """What is normal for one quantity."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    name: str
    unit: str
    region: str
    male: Spread
    female: Spread
    citation: str
    evidence: str
    per_m2: bool = False

    def spread(self, sex: Sex) -> Spread:
        """Return the spread of one sex."""
        return self.male if sex == "male" else self.female


@dataclass(frozen=True)
class Comparison:
    """A measurement beside its norm.

    Attributes:
        measurement: what was measured.
        value: the number compared: the measurement, divided by body surface area where the norm is.
        unit: its unit.
        low: lower end of the reference interval (95 %, or the published percentile), None if there is none.
        high: upper end.
        citation: the norm's publication, e.g. ``"hudsmith2005"``; ``""`` without a norm.
        verdict: ``"low"``, ``"normal"``, ``"high"``, or ``""`` without a norm.
    """

    measurement: Measurement
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    citation: str = ""
    verdict: Literal["low", "normal", "high", ""] = ""

    @property
    def outside(self) -> bool:
        """Whether the number lies outside the reference interval."""
        return self.verdict in ("low", "high")


@lru_cache(maxsize=1)
def norms() -> tuple[Norm, ...]:
    """Return all norms."""
    entries = read_json(resource_path("anatomy/norms.json"))["quantities"]
    return tuple(Norm.model_validate(entry) for entry in entries)


def compare(measurements: Measurements, sex: Sex | None = None, bsa_m2: float | None = None) -> list[Comparison]:
    """Set measurements beside the norms of healthy adults.

    Args:
        measurements: of a heart at end diastole, which is what the norms of volumes are for.
        sex: whose norms; without it a number counts as normal if it is so for either.
        bsa_m2: body surface area; norms per square metre are used only with it.

    Returns:
        One comparison for each measurement, in their order.
    """
    return [_compare(measurement, sex, bsa_m2) for measurement in measurements.values()]


def _compare(measurement: Measurement, sex: Sex | None, bsa_m2: float | None) -> Comparison:
    norm = next(_matching(measurement.key, bsa_m2), None)
    if norm is None:
        return Comparison(measurement, measurement.value, measurement.unit)
    value = measurement.value / bsa_m2 if norm.per_m2 and bsa_m2 else measurement.value
    spreads = [norm.spread(each) for each in ((sex,) if sex else SEXES)]
    lows = [spread.low for spread in spreads if spread.low is not None]
    highs = [spread.high for spread in spreads if spread.high is not None]
    low, high = min(lows, default=None), max(highs, default=None)
    if low is None and high is None:
        return Comparison(measurement, measurement.value, measurement.unit)
    verdict: Literal["low", "normal", "high"] = (
        "low" if low is not None and value < low else "high" if high is not None and value > high else "normal"
    )
    return Comparison(measurement, value, norm.unit, low, high, norm.citation, verdict)


def _matching(key: str, bsa_m2: float | None) -> Iterator[Norm]:
    """Norms of a quantity, those per square metre first."""
    indexed = (norm for norm in norms() if bsa_m2 and norm.per_m2 and norm.key == f"{key}_per_m2")
    return iter([*indexed, *(norm for norm in norms() if norm.key == key)])
