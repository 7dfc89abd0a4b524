"""Training of a segmenter: Dice and cross entropy on random patches; the best model by validation is kept.

Li et al. 2020, section 3: a 3D U-Net is pre-trained on synthetic volumes and fine-tuned on real ones, with a batch of
three. Sample n of a run depends on seed and n alone, so a resumed run goes on bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from FedSimCore.errors import InputError
from FedSimCore.networks.segmenter import divisor
from FedSimCore.progress import Progress
from FedSimCore.segmentation.augmentation import Augmentation, Sample, TrainingVolume, augmentation, draw_sample
from FedSimCore.segmentation.card import card
from FedSimCore.segmentation.inference import probabilities
from FedSimCore.segmentation.model_file import (
    MODEL_OF_RUN,
    WINDOWS,
    Segmenter,
    SegmenterHeader,
    new_network,
    segmenter_file,
    windowed,
)
from FedSimCore.training.data_order import DataOrder
from FedSimCore.training.heart_learning import provenance
from FedSimCore.training.pictures import axial, greys, in_rows, label_colours
from FedSimCore.training.segmenter_cases import SegmenterCases, read_cases
from FedSimCore.training.segmenter_config import SegmenterConfig
from FedSimCore.training.task import Losses, Outcome, Phase, Task

CHANNELS = (32, 64, 128, 192, 256)
_COHORT, _SYNTHETIC, _HELD = 1, 2, 3
"""Streams of random numbers."""
_HELD_OVERLAP = 0.25


def build(config: SegmenterConfig, progress: Progress) -> SegmenterTask:
    """Read the model to start from, the cohort's cases, and make random chests.

    Raises:
        InputError: a file or a case can't be used, or the config contradicts the model it starts from.
    """
    start = Segmenter.load(segmenter_file(config.init)) if config.init is not None else None
    header = segmenter_header(config, start)
    cases = read_cases(config, header.spacing_mm, progress)
    known = tuple(case.name for case in cases.cohort)
    earlier = start.header if start is not None else None
    seen_before = set(earlier.cases if earlier is not None else ()) & {case.name for case in cases.held}
    if seen_before and not cases.held_is_synthetic:
        raise InputError(
            f"The model of init has learnt from {min(seen_before)}, a validation case of this fold; take another one."
        )
    header = header.model_copy(
        update={
            "trained_on": (*(earlier.trained_on if earlier is not None else ()), *cases.trained_on),
            "cases": (*(earlier.cases if earlier is not None else ()), *known),
            "data_sha256": dict(cases.sha256),
        }
    )
    return SegmenterTask(config, header, cases, start)


class SegmenterTask(Task):
    """A network that learns to find the heart.

    Attributes:
        header: of the file to be written.
        cases: to learn from and to measure on.
    """

    memory_advice = "lower patch, channels or batch_size, or take device=cpu"

    def __init__(
        self, config: SegmenterConfig, header: SegmenterHeader, cases: SegmenterCases, start: Segmenter | None
    ) -> None:
        """Make the network, or take the weights of ``start``."""
        from monai.losses.dice import DiceCELoss

        super().__init__()
        self.header, self.cases, self._config = header, cases, config
        self.data_sha256 = cases.sha256
        network = new_network(header, config.seed)
        if start is not None:
            network.load_state_dict(start.network.state_dict())
        self.modules = {"network": network}
        self.optimizers = {
            "adam": torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        }
        # A smoothing of one voxel, not of none: where a region is absent, its Dice still says "predict less".
        self._loss = DiceCELoss(to_onehot_y=True, softmax=True, smooth_nr=1.0, smooth_dr=1.0)
        self._augmentation = augmentation(config.augmentation)
        self._middles = {id(case): case.heart_middle() for case in (*cases.cohort, *cases.synthetic, *cases.held)}
        self._orders = {
            stream: DataOrder(len(found), 1, config.seed, stream)
            for stream, found in ((_COHORT, cases.cohort), (_SYNTHETIC, cases.synthetic))
            if found
        }
        self._held: list[tuple[Tensor, Tensor]] = []
        self._best: dict[str, Any] = {"dice": -1.0, "step": 0, "weights": {}}
        self._step = 0

    def phases(self, step: int) -> Sequence[Phase]:
        """Return the step's only part; a sample is a number that decides case and change."""
        self._step = step + 1
        size = self._config.batch_size
        return [Phase("", "adam", range(step * size, (step + 1) * size), self._load, self._losses)]

    def learning_rates(self, step: int) -> Mapping[str, Sequence[float]]:
        """Return a rate that rises in the first steps and falls to 0 as half a cosine."""
        return {"adam": [segmenter_rate(self._config, step)]}

    def evaluate(self) -> Mapping[str, float]:
        """Return mean Dice of whole validation cases, by region too; the best model so far is kept."""
        if not self.cases.held:
            return {}
        scores = np.array([self._dice(hounsfield, label) for hounsfield, label in self._held_cases()])
        mean = float(np.nanmean(scores))
        if mean > self._best["dice"]:
            weights = {name: t.detach().cpu().clone() for name, t in self.modules["network"].state_dict().items()}
            self._best = {"dice": mean, "step": self._step, "weights": weights}
        keys = [key for key, _ in self.header.region_names().values()]
        by_region = {
            f"held/dice_{key}": float(np.nanmean(column))
            for key, column in zip(keys, scores.T, strict=True)
            if np.isfinite(column).any()
        }
        return {"held/dice": mean, "held/best_dice": float(self._best["dice"]), **by_region}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Return axial slices through a validation case: scan, labels, what the network finds."""
        if not self.cases.held:
            return {}
        hounsfield, label = self._held_cases()[0]
        found = self._predicted(hounsfield).numpy().astype(np.uint8)
        levels = np.flatnonzero(label.numpy().any(axis=(0, 1)))
        chosen = levels[np.linspace(0, len(levels) - 1, 6).round().astype(int)] if len(levels) else [0]
        scan = [greys(axial(hounsfield[:, :, k].numpy())) for k in chosen]
        rows = [scan] + [[label_colours(axial(v[:, :, k])) for k in chosen] for v in (label.numpy(), found)]
        return {"held": in_rows(rows)}

    def state(self) -> Mapping[str, Any]:
        """Return the best model so far."""
        return {"best": self._best}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the best model back."""
        self._best = dict(state["best"])

    def finish(self, folder: Path) -> Outcome:
        """Write the best model by validation, or the last where there are no validation cases."""
        network = new_network(self.header)
        network.load_state_dict(self._best["weights"] or _plain(self.modules["network"].state_dict()))
        metrics = {} if not self._best["weights"] else {"held_dice": self._best["dice"], "step": self._best["step"]}
        header = self.header.model_copy(update={"metrics": metrics, "provenance": provenance(self._config)})
        path = Segmenter(header, network).save(folder / MODEL_OF_RUN)
        told = path.with_name("card.md")
        told.write_text(card(Segmenter(header, network)), encoding="utf-8")
        return Outcome([path, told], metrics)

    def _load(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        drawn = [self._sample(number) for number in samples]
        hounsfield = torch.stack([sample.hounsfield for sample in drawn])
        label = self.header.trained_label(torch.stack([sample.label for sample in drawn]))
        return windowed(hounsfield, self.header.windows_hu), label[:, None].long()

    def _sample(self, number: int) -> Sample:
        rng = np.random.default_rng([self._config.seed, number])
        stream = _COHORT if self.cases.cohort else _SYNTHETIC
        if self.cases.cohort and self.cases.synthetic and rng.random() < self._config.synthetic_share:
            stream = _SYNTHETIC
        found = self.cases.cohort if stream == _COHORT else self.cases.synthetic
        case = found[self._orders[stream].batch(number)[0]]
        return self._drawn(case, rng, self.header.patch, self._augmentation)

    def _drawn(self, case: TrainingVolume, rng: np.random.Generator, size: int, how: Augmentation) -> Sample:
        return draw_sample(
            case.to(self.device),
            self._middles[id(case)],
            size,
            self.header.spacing_mm,
            how,
            rng,
            flip=self._config.flips,
        )

    def _losses(self, batch: tuple[Tensor, Tensor]) -> Losses:
        inputs, label = batch
        return {"loss": self._loss(self.modules["network"](inputs).float(), label)}

    def _held_cases(self) -> list[tuple[Tensor, Tensor]]:
        """Return HU and labels of the validation cases; random chests get one look each, more than a patch of them."""
        if not self._held:
            size, how = 3 * self.header.patch // 2, self._augmentation.model_copy(update={"anywhere": 0.0})
            for number, case in enumerate(self.cases.held):
                if case.hounsfield is not None and not self.cases.held_is_synthetic:
                    self._held.append((case.hounsfield.float(), self.header.trained_label(case.label)))
                else:
                    rng = np.random.default_rng([self._config.seed, _HELD, number, 2**32])
                    sample = self._drawn(case, rng, size, how)
                    self._held.append((sample.hounsfield.cpu(), self.header.trained_label(sample.label.cpu())))
        return self._held

    def _predicted(self, hounsfield: Tensor) -> Tensor:
        network = self.modules["network"]
        found = probabilities(network, self.header, hounsfield, self.device, overlap=_HELD_OVERLAP)
        return found.float().argmax(0)

    def _dice(self, hounsfield: Tensor, label: Tensor) -> list[float]:
        """Return Dice of each region; NaN where a region is in neither."""
        found = self._predicted(hounsfield)
        scores = []
        for value in self.header.region_names():
            a, b = found == value, label == value
            both = int(a.sum()) + int(b.sum())
            scores.append(2 * int((a & b).sum()) / both if both else float("nan"))
        return scores


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in state.items()}


def segmenter_rate(config: SegmenterConfig, step: int) -> float:
    """Return a step's rate: rising in the first steps, falling to 0 as half a cosine."""
    share = max(0.0, (step - config.warm_up) / max(1, config.steps - config.warm_up))
    return config.learning_rate * min(1.0, (step + 1) / (config.warm_up + 1)) * 0.5 * (1 + float(np.cos(np.pi * share)))


def segmenter_header(config: SegmenterConfig, start: Segmenter | None) -> SegmenterHeader:
    """Return sizes: the config's, else those of the model it starts from, else usual ones."""
    usual: dict[str, Any] = {
        "regions": "seven",
        "spacing_mm": 2.0,
        "patch": 96,
        "channels": CHANNELS,
        "windows_hu": WINDOWS,
    }
    given = {**{name: getattr(config, name) for name in usual}, "windows_hu": config.windows}
    asked = {name: value for name, value in given.items() if value not in (None, "auto")}
    if start is not None:
        usual = {name: getattr(start.header, name) for name in usual}
        for name in sorted({"regions", "channels"} & set(asked)):
            if asked[name] != usual[name]:
                raise InputError(
                    f"The model of init has {name} = {usual[name]}, but the config {asked[name]}; leave {name} out, or "
                    "begin without init."
                )
        if len(asked.get("windows_hu", usual["windows_hu"])) != len(usual["windows_hu"]):
            raise InputError(f"The model of init has {len(usual['windows_hu'])} windows; give as many, or none.")
    sizes: dict[str, Any] = {**usual, **asked}
    step = divisor(sizes["channels"])
    if sizes["patch"] % step:
        raise InputError(f"patch = {sizes['patch']} is no multiple of {step}, which {sizes['channels']} need.")
    flips = config.flips and (start is None or start.header.flips)
    return SegmenterHeader(**sizes, flips=flips)
