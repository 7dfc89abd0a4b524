"""From HU on the working grid to probabilities of the regions, window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations

import numpy as np
import torch
from torch import Tensor

from FedSimCore.networks.segmenter import divisor
from FedSimCore.progress import Progress, silent
from FedSimCore.segmentation.model_file import SegmenterHeader, windowed
from FedSimCore.volumes.resample import AIR_HU

Network = Callable[[Tensor], Tensor]
OVERLAP = 0.5
WINDOWS = "segmenting"
"""Stage that is told while windows are computed."""
_EMPTY = -0.999
"""A window whose inputs are all below this holds air alone."""


@torch.no_grad()
def probabilities(
    network: Network,
    header: SegmenterHeader,
    hounsfield: Tensor,
    device: torch.device,
    *,
    overlap: float = OVERLAP,
    flips: bool = False,
    progress: Progress = silent,
    stage: str = WINDOWS,
) -> Tensor:
    """Return the probabilities (classes, X, Y, Z), float16 on the CPU, of a scan on the working grid.

    MONAI's ``sliding_window_inference`` with Gaussian weights blends the windows' probabilities. A window of air alone
    is not computed. Along an axis in which the scan is shorter than a patch, windows are no longer than they need be:
    instance normalization would count the air round it.

    Args:
        network: from (1, windows, X, Y, Z) to logits (1, classes, X, Y, Z), on the device.
        header: of the segmenter.
        hounsfield: (X, Y, Z) float32 on the CPU.
        device: where windows are computed; the whole stays on the CPU.
        overlap: share of a window that the next one sees again.
        flips: average over the eight mirror images of each window; only for networks that have seen such hearts.
        progress: told of every window; may raise to cancel.
        stage: as which it is told.
    """
    from monai.inferers.utils import sliding_window_inference

    sizes = _window(hounsfield.shape, header)
    total, done = window_count(hounsfield.shape, header, overlap), 0
    background = torch.zeros(1, header.classes, *sizes, device=device)
    background[:, 0] = 1

    def predict(patch: Tensor) -> Tensor:
        nonlocal done
        progress(done, total, stage)
        done = min(done + 1, total)
        inputs = windowed(patch[:, 0], header.windows_hu)
        if float(inputs.max()) < _EMPTY:
            return background
        mirrored = _mirrors() if flips else [()]
        return torch.stack([_softmax(network, inputs, axes) for axes in mirrored]).mean(0)

    result = sliding_window_inference(
        hounsfield[None, None],
        roi_size=sizes,
        sw_batch_size=1,
        predictor=predict,
        overlap=overlap,
        mode="gaussian",
        padding_mode="constant",
        cval=AIR_HU,
        sw_device=device,
        device=torch.device("cpu"),
    )
    assert isinstance(result, Tensor)
    progress(total, total, stage)
    return result[0].half()


def _softmax(network: Network, inputs: Tensor, axes: tuple[int, ...]) -> Tensor:
    mirrored = inputs.flip(axes) if axes else inputs
    # Half precision gains on graphics cards only; a CPU gives the same bits every time.
    with torch.autocast(inputs.device.type, torch.float16, enabled=inputs.is_cuda):
        logits = network(mirrored)
    found = logits.float().softmax(1)
    return found.flip(axes) if axes else found


def _mirrors() -> list[tuple[int, ...]]:
    axes = (2, 3, 4)
    return list(chain.from_iterable(combinations(axes, count) for count in range(4)))


def _window(shape: Sequence[int], header: SegmenterHeader) -> tuple[int, ...]:
    """Return the sides of windows: a patch's, or the scan's if it is shorter, as the network's levels allow."""
    step = divisor(header.channels)
    return tuple(min(header.patch, max(-(-n // step), 2) * step) for n in shape)


def window_count(shape: Sequence[int], header: SegmenterHeader, overlap: float) -> int:
    """Return how many windows MONAI lays over a volume (X, Y, Z)."""
    counts = []
    for n, size in zip(shape, _window(shape, header), strict=True):
        step = max(1, int(size * (1 - overlap)))
        counts.append(1 + max(0, -(-(max(n, size) - size) // step)))
    return int(np.prod(counts))
