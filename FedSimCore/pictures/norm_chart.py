"""Measurements of a heart beside what is normal, at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from FedSimCore.errors import InputError, MissingDependencyError
from FedSimCore.shape.norms import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NORMAL, _INSIDE, _OUTSIDE = "#cfd8dc", "#1b5e20", "#b71c1c"
# An axis reaches this share of the reference interval beyond its ends, or to the measurement if that lies farther.
_MARGIN = 0.2


def norm_chart(comparisons: Sequence[Comparison], title: str = "") -> Figure:
    """Draw each measurement on an axis of its own, over the interval that is normal.

    Args:
        comparisons: of :func:`FedSimCore.shape.norms.compare`; those without a norm are left out.
        title: written above.

    Returns:
        A matplotlib figure without a window.

    Raises:
        InputError: no measurement has a norm.
        MissingDependencyError: matplotlib is not installed.
    """
    shown = [c for c in comparisons if c.low is not None or c.high is not None]
    if not shown:
        raise InputError("None of the measurements has a norm to compare with.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError('Pictures need matplotlib; run: pip install "fedsim[pictures]"') from error
    figure = Figure(figsize=(8.0, 0.42 * len(shown) + 0.8), facecolor="white", layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    figure.suptitle(title, fontsize=11)
    for axis, comparison in zip(axes, shown, strict=True):
        _draw(axis, comparison)
    return figure


def _draw(axis: object, comparison: Comparison) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    low = comparison.low if comparison.low is not None else 0.0
    high = comparison.high if comparison.high is not None else 1.6 * max(comparison.value, low)
    margin = _MARGIN * (high - low)
    color = _OUTSIDE if comparison.outside else _INSIDE
    axis.axvspan(low, high, color=_NORMAL, lw=0)
    axis.plot([comparison.value], [0.5], "o", color=color, markersize=8)
    axis.set_xlim(min(low, comparison.value) - margin, max(high, comparison.value) + margin)
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    axis.set_xticks([low, high], [f"{low:.3g}", f"{high:.3g}"], fontsize=7)
    axis.tick_params(length=2, pad=1)
    for spine in axis.spines.values():
        spine.set_visible(False)
    text = f"{comparison.value:.3g} {comparison.unit}".rstrip()
    axis.text(-0.01, 0.5, comparison.measurement.name, transform=axis.transAxes, ha="right", va="center", fontsize=9)
    axis.text(
        1.01, 0.5, text, transform=axis.transAxes, ha="left", va="center", fontsize=9, color=color, fontweight="bold"
    )
