"""Whether a segmenter finds a generated heart where its labels are."""

from __future__ import annotations

import torch

from FedSimCore.evaluation.segmentation import compare
from FedSimCore.generation.trust import SegmenterAgreement
from FedSimCore.segmentation.model_file import Segmenter
from FedSimCore.segmentation.predict import segment
from FedSimCore.volumes import Volume


class AgreementMeter:
    """Measures the Dice of hearts' labels against a segmenter's, by region.

    Args:
        segmenter: in evaluation mode.
        device: where it computes.
    """

    def __init__(self, segmenter: Segmenter, device: torch.device) -> None:
        self._segmenter, self._device = segmenter, device
        self._checksum = segmenter.checksum

    def __call__(self, image: Volume, label: Volume) -> SegmenterAgreement:
        """Measure a heart.

        Args:
            image: its CT in HU.
            label: its labels, on the same grid.
        """
        found = segment(image, self._segmenter, device=self._device)
        scores = compare(found.labels, label, regions=self._segmenter.header.regions, metrics=["dice"])
        return SegmenterAgreement(
            segmenter_sha256=self._checksum,
            found=found.found,
            dice={score.region: score.dice for score in scores.regions if score.dice is not None},
        )
